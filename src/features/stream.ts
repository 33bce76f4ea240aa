import { randomUUID } from 'node:crypto';
import { LichenError, shown, throwIfAborted } from '../errors.js';
import type { Clock } from '../cache/cache-limits.js';
import { hashOf } from '../cache/key-hash.js';
import { tableOf, type StreamView } from './definitions.js';
import { mismatch, type RowOf, type Schema } from './feature-types.js';
import { keyMismatch, keyText, type FeatureKey } from './keys.js';
import { StreamFold, type EntityState, type FoldedEvent } from './stream-state.js';
import type { OnlineStore } from './store.js';

/** Something that happened to an entity. */
export interface FeatureEvent<V extends Schema = Schema> {
  /** To whom it happened. */
  readonly key: FeatureKey;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Tells it from all others: an event that comes again is added once. */
  readonly id?: string | number;
  /** What the view says an event has. */
  readonly fields: RowOf<V>;
}

/** What became of events. */
export interface IngestReport {
  /** Events added. */
  readonly added: number;
  /** Events that had been added before. */
  readonly duplicates: number;
  /** Events that came later than the view allows. */
  readonly late: number;
  /** Events of a time that has not come yet. */
  readonly future: number;
  /** Events that are not what the view says. */
  readonly invalid: number;
}

/** Events of a call, and what became of them. */
interface Write {
  readonly token: string;
  readonly events: readonly FeatureEvent[];
  readonly report: IngestReport;
}

type Counts = { -readonly [N in keyof IngestReport]: number };

/** What a stream view's checkpoint says. */
export interface StreamProgress {
  /** Of the writer's own words: how far it has read. */
  readonly position: string | undefined;
  /** The time of the latest event. */
  readonly latest: number;
  readonly totals: IngestReport;
  /** Time of day of the write, and what tells it from other writes. */
  readonly at: number;
  readonly token: string;
}

/** Options of {@link StreamWriter.open}. */
export interface StreamWriterOptions {
  /** How far in the future an event's time may be: then it counts as of now. Default 1 minute. */
  futureMs?: number;
  /** Is told of each event that is left out, and why. */
  onDropped?: (event: unknown, reason: string) => void;
  /** Time of day. */
  time?: Clock;
}

/** How far in the future an event's time may be, unless told otherwise: the same for serving and for training. */
export const FUTURE_MS = 60_000;
const NONE: IngestReport = { added: 0, duplicates: 0, late: 0, future: 0, invalid: 0 };

/** Decides which events count, in the order in which they come; the same for serving and for training. */
export class EventGate {
  readonly fold: StreamFold;

  constructor(
    private readonly view: StreamView,
    private readonly futureMs: number,
    /** The time of the latest event. */
    public latest = -Infinity,
  ) {
    this.fold = new StreamFold(view);
  }

  /** Adds an event that comes at a time to the state of its entity; what became of it, and why it was left out. */
  admit(
    event: FeatureEvent,
    now: number,
    stateOf: (key: FeatureKey) => EntityState,
  ): { readonly as: keyof IngestReport; readonly reason?: string } {
    const reason = this.mismatch(event);
    if (reason !== undefined) return { as: 'invalid', reason };
    if (event.time > now + this.futureMs) {
      return { as: 'future', reason: `its time is ${event.time - now} ms ahead` };
    }
    const time = Math.min(event.time, now);
    const horizon = this.latest - this.view.latenessMs;
    if (time < horizon) return { as: 'late', reason: `it is ${horizon - time} ms too late` };
    const id = event.id === undefined ? undefined : idHash(event.id);
    const folded: FoldedEvent = { time, id, fields: event.fields };
    if (!this.fold.add(stateOf(event.key), folded, horizon)) return { as: 'duplicates' };
    this.latest = Math.max(this.latest, time);
    return { as: 'added' };
  }

  /** Why it is no event of the view. */
  private mismatch(event: FeatureEvent): string | undefined {
    if (event === null || typeof event !== 'object')
      return `expected an event, got ${shown(event)}`;
    const wrongKey = keyMismatch(this.view.entity, event.key);
    if (wrongKey !== undefined) return `key must be ${wrongKey}`;
    if (!Number.isFinite(event.time)) return `time must be a number, got ${shown(event.time)}`;
    const { id } = event;
    if (id !== undefined && typeof id !== 'string' && !Number.isSafeInteger(id)) {
      return `id must be a text or a safe integer, got ${shown(id)}`;
    }
    for (const [name, type] of Object.entries(this.view.event)) {
      const wrong = mismatch(type, (event.fields as Record<string, unknown> | undefined)?.[name]);
      if (wrong !== undefined) return `${name} must be ${wrong}`;
    }
    return undefined;
  }
}

/** 64 bits of an id. */
function idHash(id: string | number): [number, number] {
  const text = keyText(id);
  return [hashOf(text) >>> 0, hashOf(`${text}#${text.length}`) >>> 0];
}

/**
 * Adds events up in a store. Events of a call are stored whole, together with the caller's position and what is known of
 * the stream, before its promise is fulfilled; so a restart goes on where the last fulfilled call stopped, and nothing is
 * counted twice. One writer a view: a second is found out and gets an error.
 *
 * @example
 * const writer = await StreamWriter.open(recent, store);
 * await writer.ingest([{ key: 7, time: Date.now(), id: 'e1', fields: { seconds: 180 } }]);
 */
export class StreamWriter<W extends StreamView = StreamView> {
  private readonly table: string;
  private queue: Promise<unknown> = Promise.resolve();
  private sequence = 0;
  private progress: StreamProgress | undefined;
  /** A write that failed: the store may have it or not. */
  private doubtful: Write | undefined;

  private constructor(
    /** What events add up to. */
    readonly view: W,
    private readonly store: OnlineStore,
    private readonly options: StreamWriterOptions,
  ) {
    this.table = tableOf(view);
  }

  /** Begins where the last writer stopped. @throws ERR_LICHEN_IO if the store cannot be read. */
  static async open<W extends StreamView>(
    view: W,
    store: OnlineStore,
    options: StreamWriterOptions = {},
  ): Promise<StreamWriter<W>> {
    const writer = new StreamWriter(view, store, options);
    await writer.load();
    return writer;
  }

  /** How far reading had come at the last fulfilled call, in the caller's words. */
  get position(): string | undefined {
    return this.progress?.position;
  }

  /** What became of all events so far. */
  get totals(): IngestReport {
    return this.progress?.totals ?? NONE;
  }

  /**
   * Adds events. Calls wait for one another.
   * @param options `position`: how far reading has come with these events; a call with the position of the last one does
   * nothing, as it was stored already.
   * @throws ERR_LICHEN_IO if they could not be stored, or it is not known: give the same array again, or events with ids
   * or positions, and nothing is counted twice. ERR_LICHEN_BUSY if another writer is at work. ERR_LICHEN_FORMAT for what is
   * in the store and is no state of this view.
   */
  ingest(
    events: readonly FeatureEvent<W['event']>[],
    options: { position?: string } = {},
  ): Promise<IngestReport> {
    const done = this.queue.then(() => this.add(events, options.position));
    this.queue = done.catch(() => undefined);
    return done;
  }

  /** Adds what a source gives until it ends. */
  async run(
    batches: AsyncIterable<{
      readonly events: readonly FeatureEvent<W['event']>[];
      readonly position?: string;
    }>,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<IngestReport> {
    for await (const { events, position } of batches) {
      throwIfAborted(signal, 'run');
      await this.ingest(events, position === undefined ? {} : { position });
    }
    return this.totals;
  }

  private async add(
    events: readonly FeatureEvent[],
    position: string | undefined,
  ): Promise<IngestReport> {
    const { doubtful } = this;
    if (doubtful !== undefined) {
      await this.load();
      if (doubtful.token === this.progress?.token && doubtful.events === events)
        return doubtful.report;
    }
    if (position !== undefined && position === this.progress?.position) return NONE;
    const { futureMs = FUTURE_MS, time = Date.now, onDropped } = this.options;
    const gate = new EventGate(this.view, futureMs, this.progress?.latest);
    const states = await this.read(gate.fold, events);
    const report: Counts = { ...NONE };
    const changed = new Map<FeatureKey, EntityState>();
    const now = time();
    for (const event of events) {
      const { as, reason } = gate.admit(event, now, (key) => states.get(key)!);
      report[as]++;
      if (as === 'added') changed.set(event.key, states.get(event.key)!);
      if (reason !== undefined) onDropped?.(event, reason);
    }
    const token = randomUUID();
    const progress: StreamProgress = {
      position: position ?? this.progress?.position,
      latest: gate.latest,
      totals: sumOf(this.totals, report),
      at: now,
      token,
    };
    const entries = [...changed].map(([key, state]) => ({ key, record: gate.fold.encode(state) }));
    const text = JSON.stringify({ ...progress, latest: finiteOrNull(gate.latest) });
    this.doubtful = { token, events, report };
    const checkpoint = { name: this.table, expected: this.sequence, text };
    // Longer than it is served: what comes late must find it.
    const ttlMs = 2 * this.view.ttlMs + this.view.latenessMs;
    await this.store.write({ table: this.table, entries, ttlMs, checkpoint });
    this.doubtful = undefined;
    this.sequence++;
    this.progress = progress;
    return report;
  }

  /** The states of all entities that events are of. */
  private async read(
    fold: StreamFold,
    events: readonly FeatureEvent[],
  ): Promise<Map<FeatureKey, EntityState>> {
    const keys = [...new Set(events.map((event) => event?.key))].filter(
      (key) => keyMismatch(this.view.entity, key) === undefined,
    );
    const states = new Map<FeatureKey, EntityState>();
    await this.store.read([{ table: this.table, keys }], (_, at, record) => {
      const state = record === undefined ? fold.empty() : fold.decode(record);
      if (state === undefined) {
        throw new LichenError(
          'ERR_LICHEN_FORMAT',
          `what the store has of ${shown(keys[at])} is no state of view ${this.view.name}`,
        );
      }
      states.set(keys[at]!, state);
    });
    return states;
  }

  private async load(): Promise<void> {
    const found = await this.store.checkpoint(this.table);
    this.sequence = found?.sequence ?? 0;
    this.progress = found && streamProgress(found.text);
    this.doubtful = undefined;
  }
}

/** What a stream view's checkpoint says. */
export function streamProgress(text: string): StreamProgress {
  const progress = JSON.parse(text) as StreamProgress & { latest: number | null };
  return { ...progress, latest: progress.latest ?? -Infinity };
}

function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function sumOf(a: IngestReport, b: IngestReport): IngestReport {
  return {
    added: a.added + b.added,
    duplicates: a.duplicates + b.duplicates,
    late: a.late + b.late,
    future: a.future + b.future,
    invalid: a.invalid + b.invalid,
  };
}
