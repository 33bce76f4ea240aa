import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { LichenError } from '../errors.js';
import { requireDuration, requireLimit, steadyClock, type Clock } from '../cache/cache-limits.js';
import { Guard, LatencyRecord, UnavailableError, type GuardStatistics } from '../cache/guarded.js';
import { MemoryTier } from '../cache/memory-tier.js';
import { NO_VALUE, toBytes, type ValueBytes } from '../cache/value-bytes.js';
import {
  tableOf,
  type BatchView,
  type FeatureService,
  type FeatureView,
  type StreamView,
} from './definitions.js';
import {
  computeOnDemand,
  FEATURE_STATUS,
  openFrame,
  rowsOf,
  setMissing,
  spreadFirstRow,
  type FeatureFrame,
  type FeatureStatus,
  type FrameKeys,
  type FrameRequest,
  type OpenFrame,
} from './frame.js';
import type { FeatureKey } from './keys.js';
import type { OnlineStore } from './store.js';
import { ViewReader } from './view-reader.js';

/** Options of {@link OnlineFeatures}. Times are in milliseconds. */
export interface OnlineFeaturesOptions {
  /** Where values stand. */
  store: OnlineStore;
  /** A tier in the memory of this process before the store. Default: none. */
  memory?: {
    /** Most that it takes, in bytes, shared among the views. */
    maxBytes: number;
    /** For how long a value is fresh. */
    freshMs: number;
    /** For how long after that it is still served while it is read anew in the background. Default 0. */
    staleMs?: number;
  };
  /** How long a request waits for the store before it goes on with defaults. Default 50. */
  timeoutMs?: number;
  /** Whether values that could not be had are an error instead of defaults with a status. Default false. */
  isStrict?: boolean;
  /** Time of day, and a clock that never goes back. Default: the system's. */
  time?: Clock;
  /** Milliseconds of a clock that never goes back. */
  now?: Clock;
}

/** How fresh and dear the features of a view were. */
export interface ViewStatistics {
  /** Keys asked for, by what their values were. */
  readonly rows: Readonly<Record<FeatureStatus, number>>;
  /** Keys that memory answered, and of those the ones that were stale. */
  readonly memoryHits: number;
  /** Keys that memory answered past their time. */
  readonly stale: number;
  /** How old the values served were, in milliseconds, of a sample. */
  readonly ageMs: {
    /** What half of them did not exceed. */
    readonly p50: number;
    /** What 99 in 100 did not exceed. */
    readonly p99: number;
  };
}

/** What {@link OnlineFeatures} has done so far. */
export interface OnlineStatistics {
  /** Requests for features. */
  readonly requests: number;
  /** By name of the view. */
  readonly views: Readonly<Record<string, ViewStatistics>>;
  /** Keys by the tier that answered. */
  readonly hits: {
    /** The tier in this process. */
    readonly memory: number;
    /** The store. */
    readonly store: number;
  };
  /** Microseconds a request spent in each tier. */
  readonly microseconds: Readonly<
    Record<
      'memory' | 'store' | 'onDemand',
      {
        /** What half of the requests did not exceed. */
        p50us: number;
        /** What 99 in 100 requests did not exceed. */
        p99us: number;
      }
    >
  >;
  /** Of the requests to the store. */
  readonly store: GuardStatistics;
  /** Bytes of memory in use. */
  readonly memoryBytes: number;
}

interface ServedView {
  readonly view: BatchView | StreamView;
  readonly reader: ViewReader;
  readonly memory: MemoryTier<FeatureKey> | undefined;
  readonly counts: Record<FeatureStatus, number>;
  readonly ages: RecordableHistogram;
  memoryHits: number;
  stale: number;
}

/** Keys of a view that a request wants of the store, and the rows that they are for. */
interface Wanted {
  readonly served: ServedView;
  readonly keys: FeatureKey[];
  readonly rows: number[];
}

/** Ages that a request records of each view. */
const AGE_SAMPLE = 4;
const STATUSES = Object.keys(FEATURE_STATUS) as FeatureStatus[];

/**
 * Gets the features of a service for serving: from memory, from the store by one request, computed.
 *
 * @example
 * const online = new OnlineFeatures(service, { store, memory: { maxBytes: 64e6, freshMs: 1000 } });
 * const { columns, status } = await online.get({ track: [7, 8, 9] });
 * columns.profile.year; // a value a track; status.profile tells which are defaults
 */
export class OnlineFeatures<V extends readonly FeatureView[]> {
  private readonly views: readonly ServedView[];
  private readonly store: OnlineStore;
  private readonly guard: Guard;
  private readonly time: Clock;
  private readonly isStrict: boolean;
  private readonly freshMs: number;
  private readonly servedMs: number;
  private readonly times = {
    memory: new LatencyRecord(),
    store: new LatencyRecord(),
    onDemand: new LatencyRecord(),
  };
  private readonly refreshing = new Set<string>();
  private requests = 0;

  /** @throws ERR_LICHEN_ARGUMENT for an option out of range. */
  constructor(
    /** What is served. */
    readonly service: FeatureService<V>,
    options: OnlineFeaturesOptions,
  ) {
    const { store, memory, timeoutMs = 50, isStrict = false, time = Date.now } = options;
    const { now = steadyClock } = options;
    requireDuration('timeoutMs', timeoutMs);
    if (memory !== undefined) {
      requireLimit('memory.maxBytes', memory.maxBytes);
      requireDuration('memory.freshMs', memory.freshMs);
      requireDuration('memory.staleMs', memory.staleMs);
    }
    this.store = store;
    this.time = time;
    this.isStrict = isStrict;
    this.freshMs = memory?.freshMs ?? 0;
    this.servedMs = this.freshMs + (memory?.staleMs ?? 0);
    this.guard = new Guard(`the ${store.kind} store`, timeoutMs);
    const stored = (service.views as readonly FeatureView[]).filter(
      (view): view is BatchView | StreamView => view.tier !== 'on demand',
    );
    this.views = stored.map((view) => ({
      view,
      reader: new ViewReader(view),
      memory: memory && new MemoryTier(Math.ceil(memory.maxBytes / stored.length), now),
      counts: { found: 0, missing: 0, expired: 0, poisoned: 0, unavailable: 0 },
      ages: createHistogram(),
      memoryHits: 0,
      stale: 0,
    }));
  }

  /**
   * Features of the service for some rows.
   * @param keys of each entity: one a row, or one for all rows.
   * @param options `request`: what on-demand views want to know.
   * @throws ERR_LICHEN_ARGUMENT for keys or a request that are not as the service says, ERR_LICHEN_IO if the store cannot
   * be asked (with `isStrict`), ERR_LICHEN_FORMAT if it has what is no value of a view (with `isStrict`).
   */
  async get(
    keys: FrameKeys<V>,
    options: { request?: Partial<FrameRequest<V>> } = {},
  ): Promise<FeatureFrame<V>> {
    const all = keys as Readonly<Record<string, readonly FeatureKey[]>>;
    const frame = openFrame(this.service, rowsOf(this.service, all));
    this.requests++;
    const now = this.time();
    // One key for all of no rows is for nothing.
    const wanted = frame.rows === 0 ? [] : this.fromMemory(all, now, frame);
    if (wanted.length > 0) await this.fromStore(wanted, now, frame);
    this.count(frame, now, all);
    if (frame.rows > 1) {
      for (const { view } of this.views) {
        if (all[view.entity.name]!.length === 1) spreadFirstRow(view, frame);
      }
    }
    const started = performance.now();
    computeOnDemand(this.service, frame, options.request ?? {}, () => now);
    this.times.onDemand.add(performance.now() - started);
    return frame as unknown as FeatureFrame<V>;
  }

  /** What was asked for so far, and what answered. */
  stats(): OnlineStatistics {
    const views: Record<string, ViewStatistics> = {};
    const hits = { memory: 0, store: 0 };
    let memoryBytes = 0;
    for (const { view, counts, ages, memoryHits, stale, memory } of this.views) {
      const ageMs =
        ages.count === 0
          ? { p50: 0, p99: 0 }
          : { p50: ages.percentile(50), p99: ages.percentile(99) };
      views[view.name] = { rows: { ...counts }, memoryHits, stale, ageMs };
      hits.memory += memoryHits;
      hits.store += STATUSES.reduce((sum, status) => sum + counts[status], 0) - memoryHits;
      memoryBytes += memory?.stats().bytes ?? 0;
    }
    const { memory, store, onDemand } = this.times;
    return {
      requests: this.requests,
      views,
      hits,
      microseconds: {
        memory: memory.percentiles(),
        store: store.percentiles(),
        onDemand: onDemand.percentiles(),
      },
      store: this.guard.stats(),
      memoryBytes,
    };
  }

  /** Fills rows from memory; gives what is to be asked of the store. */
  private fromMemory(
    keys: Readonly<Record<string, readonly FeatureKey[]>>,
    now: number,
    frame: OpenFrame,
  ): Wanted[] {
    const started = performance.now();
    const wanted: Wanted[] = [];
    const stale: Wanted[] = [];
    for (const served of this.views) {
      const list = keys[served.view.entity.name]!;
      const missing: Wanted = { served, keys: [], rows: [] };
      const old: Wanted = { served, keys: [], rows: [] };
      served.memory?.tick();
      const filler = served.reader.into(frame);
      for (let at = 0; at < list.length; at++) {
        const key = list[at]!;
        const row = served.memory?.ask(key) ?? -1;
        if (row < 0) {
          missing.keys.push(key);
          missing.rows.push(at);
          continue;
        }
        served.memoryHits++;
        if (served.memory!.freshMs(row) <= 0) {
          served.stale++;
          old.keys.push(key);
        }
        filler.put(served.memory!.bytesAt(row), now, at);
      }
      if (missing.keys.length > 0) wanted.push(missing);
      if (old.keys.length > 0) stale.push(old);
    }
    this.times.memory.add(performance.now() - started);
    if (stale.length > 0) this.refresh(stale);
    return wanted;
  }

  /** Fills rows from the store, by one request. */
  private async fromStore(wanted: readonly Wanted[], now: number, frame: OpenFrame): Promise<void> {
    const started = performance.now();
    let poisoned: Wanted | undefined;
    const fillers = wanted.map(({ served }) => served.reader.into(frame));
    // What comes after the time is over must not change a frame that was handed over.
    let isOpen = true;
    const visit = (request: number, at: number, record: Uint8Array | undefined): void => {
      if (!isOpen) return;
      const { served, keys, rows } = wanted[request]!;
      this.remember(served, keys[at]!, record);
      if (!fillers[request]!.put(record, now, rows[at]!)) poisoned = wanted[request];
    };
    try {
      await this.read(wanted, visit);
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      const { cause } = error;
      // That it was closed is a mistake of the program, which waiting does not mend.
      if (cause instanceof LichenError && cause.code === 'ERR_LICHEN_CLOSED') throw cause;
      if (this.isStrict) throw error;
      for (const { served, rows } of wanted) {
        for (const row of rows) setMissing(frame, served.view, row, 'unavailable');
      }
    } finally {
      isOpen = false;
      this.times.store.add(performance.now() - started);
    }
    if (poisoned !== undefined && this.isStrict) {
      throw new LichenError(
        'ERR_LICHEN_FORMAT',
        `the ${this.store.kind} store has what is no value of view ${poisoned.served.view.name}`,
      );
    }
  }

  private read(
    wanted: readonly Wanted[],
    visit: (request: number, at: number, record: Uint8Array | undefined) => void,
  ): Promise<void> {
    const requests = wanted.map(({ served, keys }) => ({ table: tableOf(served.view), keys }));
    return this.guard.run(() => this.store.read(requests, visit));
  }

  /** Reads stale values anew, in the background; those that cannot be had stay. */
  private refresh(stale: readonly Wanted[]): void {
    const due = stale
      .map(({ served, keys }) => ({
        served,
        keys: keys.filter((key) => !this.refreshing.has(`${served.view.name} ${key}`)),
        rows: [],
      }))
      .filter(({ keys }) => keys.length > 0);
    if (due.length === 0) return;
    const names = due.flatMap(({ served, keys }) =>
      keys.map((key) => `${served.view.name} ${key}`),
    );
    for (const name of names) this.refreshing.add(name);
    // After the request that met them: a store in this process would read at once.
    setImmediate(() => {
      this.read(due, (request, at, record) => {
        const { served, keys } = due[request]!;
        this.remember(served, keys[at]!, record);
      })
        .catch(() => undefined)
        .finally(() => names.forEach((name) => this.refreshing.delete(name)));
    });
  }

  private remember({ memory }: ServedView, key: FeatureKey, record: Uint8Array | undefined): void {
    if (memory === undefined) return;
    // The store's own kind of buffer may have another length than its memory.
    const value: ValueBytes =
      record === undefined
        ? NO_VALUE
        : toBytes(new Uint8Array(record.buffer, record.byteOffset, record.length));
    const { freshMs, servedMs } = this;
    memory.set(key, value, { freshMs, servedMs, loadMs: 0 });
  }

  private count(
    frame: OpenFrame,
    now: number,
    keys: Readonly<Record<string, readonly FeatureKey[]>>,
  ): void {
    for (const { view, counts, ages } of this.views) {
      const status = frame.status[view.name]!;
      const times = frame.times[view.name]!;
      const rows = Math.min(frame.rows, keys[view.entity.name]!.length);
      for (let row = 0; row < rows; row++) counts[STATUSES[status[row]!]!]++;
      const step = Math.max(1, Math.floor(rows / AGE_SAMPLE));
      for (let row = 0; row < rows; row += step) {
        if (status[row] === FEATURE_STATUS.found) {
          ages.record(Math.max(1, Math.round(now - times[row]!)));
        }
      }
    }
  }
}
