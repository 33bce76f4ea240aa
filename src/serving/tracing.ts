import type { StageReport } from '../cascade/stage.js';

/** What is used of a span of OpenTelemetry. */
interface Span {
  setAttribute(name: string, value: string | number | boolean): unknown;
  setStatus(status: { code: number; message?: string }): unknown;
  isRecording(): boolean;
  end(endTime?: number): void;
}

/** The package `@opentelemetry/api`, or what is used of it. */
export interface OpenTelemetry {
  /** Begins spans. */
  readonly trace: {
    /** What spans are begun by. */
    getTracer(name: string): {
      /** Begins a span. */
      startSpan(
        name: string,
        options?: {
          startTime?: number;
          attributes?: Record<string, string | number | boolean>;
        },
        context?: unknown,
      ): Span;
    };
    /** A context in which that span is the current one. */
    setSpan(context: unknown, span: Span): unknown;
  };
  /** Tells which span is the current one. */
  readonly context: {
    /** The current context. */
    active(): unknown;
  };
}

/** What a span of a request says. */
export interface TracedRequest {
  readonly kind: string;
  readonly outcome: string;
  /** As of `performance.now`. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly steps: readonly StageReport[];
  readonly error?: unknown;
}

/** SpanStatusCode.ERROR of OpenTelemetry. */
const ERROR = 2;

/** Gives spans of requests and their steps to OpenTelemetry, once they have ended. */
export class Tracing {
  readonly #api: OpenTelemetry;
  #hasFailed = false;
  readonly #tracer: ReturnType<OpenTelemetry['trace']['getTracer']>;

  constructor(api: OpenTelemetry) {
    this.#api = api;
    this.#tracer = api.trace.getTracer('lichen');
  }

  /** Whose part the request is; taken when it comes, since it is another when it has ended. */
  active(): unknown {
    return this.#attempt(() => this.#api.context.active());
  }

  record(request: TracedRequest, parent: unknown): void {
    this.#attempt(() => this.#record(request, parent));
  }

  /** What fails here must not fail a request. */
  #attempt<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (!this.#hasFailed) process.emitWarning(`spans could not be made: ${String(error)}`);
      this.#hasFailed = true;
      return undefined;
    }
  }

  #record(request: TracedRequest, parent: unknown): void {
    const { kind, outcome, startedAt, endedAt, attributes, error } = request;
    const epoch = performance.timeOrigin;
    const span = this.#tracer.startSpan(
      `lichen.${kind}`,
      { startTime: epoch + startedAt, attributes: { ...attributes, 'lichen.outcome': outcome } },
      parent,
    );
    if (span.isRecording()) {
      const within = this.#api.trace.setSpan(parent, span);
      for (const { name, outcome: done, candidates, startedAt: at, ms, reason } of timed(request)) {
        const step = this.#tracer.startSpan(
          `lichen.${name}`,
          {
            startTime: epoch + at,
            attributes: {
              ...{ 'lichen.outcome': done, 'lichen.candidates': candidates },
              ...(reason !== undefined && { 'lichen.reason': reason }),
            },
          },
          within,
        );
        step.end(epoch + at + ms);
      }
      if (error !== undefined) {
        const message = error instanceof Error ? error.message : 'failed';
        span.setStatus({ code: ERROR, message });
      }
    }
    span.end(epoch + endedAt);
  }
}

/** Steps follow one another. */
function timed({ startedAt, steps }: TracedRequest): (StageReport & { startedAt: number })[] {
  let at = startedAt;
  return steps.map((step) => {
    const begun = at;
    at += step.ms;
    return { ...step, startedAt: begun };
  });
}
