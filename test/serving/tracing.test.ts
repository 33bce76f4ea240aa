import * as api from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Recommender } from '../../src/serving/recommender.js';
import type { OpenTelemetry } from '../../src/serving/tracing.js';
import { outcome } from '../batching/helpers.js';
import { AMPLE, deploymentOf, flatOf, randomVectors, vectorOf } from './helpers.js';

const items = randomVectors(30, 19);
const exporter = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });

/** What is active in the tests: there are no asynchronous ones to keep. */
let active: api.Context = api.ROOT_CONTEXT;

beforeAll(() => {
  api.trace.setGlobalTracerProvider(provider);
  api.context.setGlobalContextManager({
    active: () => active,
    with: (_context, work, self, ...given) => work.call(self as never, ...given),
    bind: (_context, target) => target,
    enable() {
      return this;
    },
    disable() {
      return this;
    },
  });
});
afterAll(() => {
  api.trace.disable();
  api.context.disable();
});
beforeEach(() => {
  exporter.reset();
  active = api.ROOT_CONTEXT;
});

const milliseconds = ([seconds, nanos]: api.HrTime): number => seconds * 1000 + nanos / 1e6;
async function named(name: string): Promise<ReadableSpan> {
  return (await ended()).find((span) => span.name === name)!;
}

async function traced(
  changes: Parameters<typeof deploymentOf<number>>[1] = {},
  openTelemetry: OpenTelemetry = api,
) {
  const service = new Recommender({
    ...{ slo: AMPLE, k: 5, warmUp: 0, openTelemetry },
    resultCache: { maxUsers: 10, ttlMs: AMPLE },
  });
  await service.deploy(deploymentOf(await flatOf(items), changes).deployment);
  return service;
}

/** What has ended, also what is still on its way to the exporter. */
async function ended(): Promise<ReadableSpan[]> {
  await provider.forceFlush();
  return exporter.getFinishedSpans();
}

describe('spans', () => {
  it('say what became of a request and each of its steps', async () => {
    const before = Date.now();
    const service = await traced({
      stages: [{ name: 'ranker', candidates: 10, score: (_query, { keys }) => keys }],
    });
    await service.recommend({ user: 1 }, { tenant: 'shop' });
    const spans = await ended();
    expect(spans.map(({ name }) => name).sort()).toEqual([
      'lichen.encode',
      'lichen.ranker',
      'lichen.recommend',
      'lichen.retrieval',
    ]);
    const request = await named('lichen.recommend');
    expect(request.attributes).toEqual({
      ...{ 'lichen.tenant': 'shop', 'lichen.cache': 'none', 'lichen.outcome': 'ok' },
    });
    expect(request.status.code).toBe(api.SpanStatusCode.UNSET);
    expect(request.parentSpanContext).toBeUndefined();
    expect(request.instrumentationScope.name).toBe('lichen');
    for (const [name, candidates] of [
      ['encode', 1],
      ['retrieval', 10],
      ['ranker', 10],
    ] as const) {
      const step = await named(`lichen.${name}`);
      expect(step.parentSpanContext?.spanId).toBe(request.spanContext().spanId);
      expect(step.spanContext().traceId).toBe(request.spanContext().traceId);
      expect(step.attributes).toEqual({
        'lichen.outcome': 'full',
        'lichen.candidates': candidates,
      });
      expect(milliseconds(step.startTime)).toBeGreaterThanOrEqual(
        milliseconds(request.startTime) - 0.01,
      );
      expect(milliseconds(step.endTime)).toBeGreaterThanOrEqual(milliseconds(step.startTime));
      expect(milliseconds(step.endTime)).toBeLessThanOrEqual(milliseconds(request.endTime) + 0.01);
    }
    // Times of day, not of the process; a clock that was set meanwhile may differ by a little.
    expect(Math.abs(milliseconds(request.startTime) - before)).toBeLessThan(60_000);
    await service.close();
  });

  it('are parts of what was active when the request came', async () => {
    const service = await traced();
    const parent = provider.getTracer('test').startSpan('parent');
    active = api.trace.setSpan(api.ROOT_CONTEXT, parent);
    const request = service.recommend({ user: 1 });
    active = api.ROOT_CONTEXT;
    await request;
    parent.end();
    const { parentSpanContext } = await named('lichen.recommend');
    expect(parentSpanContext?.spanId).toBe(parent.spanContext().spanId);
    await service.close();
  });

  it('have the status of an error, and its message', async () => {
    const service = await traced({ encode: () => Promise.reject(new RangeError('no weights')) });
    await outcome(service.recommend({ user: 1 }));
    const { status, attributes } = await named('lichen.recommend');
    expect(status).toEqual({ code: api.SpanStatusCode.ERROR, message: 'no weights' });
    expect(attributes).toEqual({ 'lichen.tenant': '', 'lichen.outcome': 'failed' });
    await service.close();
    exporter.reset();
    expect(await outcome(service.recommend({ user: 1 }))).toBe('ERR_LICHEN_CLOSED');
    expect(await named('lichen.recommend')).toMatchObject({
      attributes: { 'lichen.outcome': 'shed' },
      status: { code: api.SpanStatusCode.ERROR },
    });
  });

  it('say why a step did less than it should', async () => {
    const service = await traced({
      usualVector: vectorOf('usual'),
      encode: () => Promise.reject(new Error('down')),
      stages: [{ name: 'bad', candidates: 10, score: () => Promise.reject(new Error('no model')) }],
    });
    await service.recommend({ user: 1 });
    expect((await named('lichen.recommend')).attributes['lichen.outcome']).toBe('degraded');
    expect((await named('lichen.recommend')).status.code).toBe(api.SpanStatusCode.UNSET);
    expect((await named('lichen.encode')).attributes).toMatchObject({
      'lichen.outcome': 'failed',
      'lichen.candidates': 0,
    });
    expect((await named('lichen.encode')).attributes['lichen.reason']).toContain('down');
    expect((await named('lichen.bad')).attributes).toEqual({
      ...{ 'lichen.outcome': 'failed', 'lichen.candidates': 0, 'lichen.reason': 'no model' },
    });
    await service.close();
  });

  it('of a result that was kept have no parts', async () => {
    const service = await traced();
    await service.recommend({ user: 1 });
    exporter.reset();
    await service.recommend({ user: 1 });
    expect((await ended()).map(({ name }) => name)).toEqual(['lichen.recommend']);
    expect((await named('lichen.recommend')).attributes['lichen.cache']).toBe('result');
    await service.close();
  });

  it('of other work are called as that is', async () => {
    const service = await traced();
    await service.run('search', () => Promise.resolve(1), { tenant: 't' });
    expect(await ended()).toHaveLength(1);
    expect((await named('lichen.search')).attributes).toEqual({
      'lichen.tenant': 't',
      'lichen.outcome': 'ok',
    });
    await service.close();
  });

  it('that are not recorded cost no parts', async () => {
    const started: string[] = [];
    const span = {
      ...{ setAttribute: () => undefined, setStatus: () => undefined },
      ...{ isRecording: () => false, end: () => undefined },
    };
    const service = await traced(
      {},
      {
        trace: {
          getTracer: () => ({
            startSpan: (name) => {
              started.push(name);
              return span;
            },
          }),
          setSpan: (parent) => parent,
        },
        context: { active: () => undefined },
      },
    );
    await service.recommend({ user: 1 });
    expect(started).toEqual(['lichen.recommend']);
    await service.close();
  });

  it('that cannot be made do no harm', async () => {
    const service = await traced(
      {},
      {
        trace: {
          getTracer: () => ({
            startSpan: () => {
              throw new Error('exporter is gone');
            },
          }),
          setSpan: (parent) => parent,
        },
        context: { active: () => undefined },
      },
    );
    expect(await outcome(service.recommend({ user: 1 }))).toHaveProperty('items');
    await service.close();
  });
});
