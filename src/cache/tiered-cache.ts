import { LichenError, shown, throwIfAborted } from '../errors.js';
import { Flights, type LoadGroup } from './flights.js';
import { Origin } from './origin.js';
import { badArgument, requireDuration } from './cache-limits.js';
import { requireCacheKey, type CacheKey } from './key-hash.js';
import { MemoryTier, type Timing } from './memory-tier.js';
import { SharedSide } from './shared-side.js';
import { ReadAhead } from './read-ahead.js';
import type { Enveloped } from './envelope.js';
import {
  resolveTiered,
  type CacheGetOptions,
  type CacheSetOptions,
  type ResolvedTieredOptions,
  type TieredCacheOptions,
  type TieredCacheStatistics,
} from './tiered-options.js';
import {
  ABSENT,
  fromBytes,
  isArrayKind,
  NO_VALUE,
  toBytes,
  type ValueArray,
  type ValueBytes,
} from './value-bytes.js';

/** What a fill takes of the shared tier before it turns to the origin: any value, fresh ones, none. */
type Sources = 'any' | 'fresh' | 'origin';

/** A load that began before an invalidation must be over before it is forgotten. */
const TOMBSTONE_SPARE_MS = 1000;

/**
 * A cache in tiers: memory of this process, a store that processes share, the origin. Typed arrays are kept as their
 * bytes in all of them, and what comes out is the caller's own. A value is loaded once however many ask for it; one past
 * its time may be served while it is loaded anew; a key without a value is remembered as such. When the shared tier is
 * dead or slow, requests do without it, within its time budget.
 *
 * @example
 * const cache = new TieredCache<string, Float32Array>({
 *   ...{ name: 'users', maxBytes: 64e6, ttlMs: 60_000, staleMs: 600_000 },
 *   load: (ids) => loadVectors(ids),
 * });
 * const vector = await cache.get('u1');
 */
export class TieredCache<K extends CacheKey = CacheKey, V = ValueArray> {
  private readonly options: ResolvedTieredOptions<K, V>;
  private readonly memory: MemoryTier<K>;
  private readonly shared: SharedSide<K> | undefined;
  private readonly flights = new Flights<K>();
  /** What follows what, if keys are read ahead. */
  private readonly readAhead: ReadAhead<K> | undefined;
  private readonly origin: Origin<K, V> | undefined;
  private readonly counts = {
    ...{ requests: 0, memory: 0, shared: 0, origin: 0, stale: 0, negative: 0, joined: 0 },
    ...{ invalid: 0, early: 0, refreshed: 0 },
  };
  private current: string;
  private isClosed = false;

  /** @throws ERR_LICHEN_ARGUMENT for an option that is missing or out of range. */
  constructor(options: TieredCacheOptions<K, V>) {
    this.options = resolveTiered(options);
    const { name, shared, maxBytes, now, sharedTimeoutMs, loadTimeoutMs } = this.options;
    this.memory = new MemoryTier(maxBytes, now);
    const { load, readAhead } = this.options;
    this.origin = load && new Origin(load, loadTimeoutMs);
    this.readAhead =
      readAhead > 0
        ? new ReadAhead<K>(
            readAhead,
            (key) => this.memory.rowOf(key) < 0 && this.flights.get(key) === undefined,
          )
        : undefined;
    this.current = options.version ?? '0';
    const isPinned = options.version !== undefined;
    const times = {
      budgetMs: sharedTimeoutMs,
      tombstoneMs: loadTimeoutMs + TOMBSTONE_SPARE_MS,
    };
    this.shared =
      shared &&
      new SharedSide<K>(shared, name, times, {
        onOutdated: (keys) => keys.forEach((key) => this.outdate(key)),
        onVersion: (version, isNews) => {
          if (isNews || !isPinned) this.useVersion(version);
        },
        onGap: () => this.forget(),
      });
  }

  /** What values are made by; see {@link publish}. */
  get version(): string {
    return this.current;
  }

  /**
   * The value of a key, undefined if the origin has none.
   * @throws ERR_LICHEN_ARGUMENT for a key that is no safe integer or string, ERR_LICHEN_ABORTED, ERR_LICHEN_DEADLINE
   * when loading takes too long, ERR_LICHEN_CLOSED, and what `load` throws.
   */
  async get(key: K, { signal }: CacheGetOptions = {}): Promise<V | undefined> {
    this.requireOpen();
    requireCacheKey(key);
    throwIfAborted(signal, 'get');
    this.counts.requests++;
    this.memory.tick();
    this.readAhead?.note(key);
    const row = this.memory.ask(key);
    if (row < 0) return (await this.arrive([key], signal))[0];
    const due: K[] = [];
    const value = this.serve(key, row, due);
    if (due.length > 0) this.refresh(due);
    return value;
  }

  /**
   * The values of some keys, in their order: one request to the shared tier and one load for all that memory does not
   * have. Errors as {@link get}.
   */
  async getMany(keys: readonly K[], { signal }: CacheGetOptions = {}): Promise<(V | undefined)[]> {
    this.requireOpen();
    for (const key of keys) requireCacheKey(key);
    throwIfAborted(signal, 'getMany');
    const values = new Array<V | undefined>(keys.length);
    const missing: K[] = [];
    const places: number[] = [];
    const due: K[] = [];
    this.counts.requests += keys.length;
    this.memory.tick();
    for (let at = 0; at < keys.length; at++) {
      this.readAhead?.note(keys[at]!);
      const row = this.memory.ask(keys[at]!);
      if (row >= 0) {
        values[at] = this.serve(keys[at]!, row, due);
      } else {
        missing.push(keys[at]!);
        places.push(at);
      }
    }
    if (due.length > 0) this.refresh(due);
    if (missing.length > 0) {
      const arrived = await this.arrive(missing, signal);
      arrived.forEach((value, at) => (values[places[at]!] = value));
    }
    return values;
  }

  /** The value of a key if memory has it, whether fresh or not; nothing is loaded, nothing counted. */
  peek(key: K): V | undefined {
    this.memory.tick();
    const row = this.memory.rowOf(key);
    return row < 0 ? undefined : (this.memory.valueAt(row) as V | undefined);
  }

  /**
   * Stores a value in all tiers. A load that began before does not overwrite it, and the memory of other processes
   * forgets theirs.
   * @throws ERR_LICHEN_ARGUMENT for a key or a value that cannot be stored or is not valid, ERR_LICHEN_CLOSED.
   */
  async set(key: K, value: V, { ttlMs }: CacheSetOptions = {}): Promise<void> {
    this.requireOpen();
    requireCacheKey(key);
    requireDuration('ttlMs', ttlMs);
    if (ttlMs === Infinity && this.shared !== undefined) {
      throw badArgument('ttlMs must be finite: what is shared must end');
    }
    const bytes = toBytes(value);
    if (this.options.isValid?.(value, key) === false) {
      throw badArgument(`the value of ${shown(key)} is not valid`);
    }
    const timing = this.timing(bytes, 0, ttlMs);
    this.outdate(key);
    this.memory.set(key, bytes, timing);
    await this.shared?.write(this.current, key, this.enveloped(bytes, timing));
  }

  /**
   * Makes the values of keys count no more, here at once and in other processes as soon as they hear of it. False: the
   * shared tier is away; it is told when it is back, and not read for these keys until then.
   * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_CLOSED.
   */
  async invalidate(keys: K | readonly K[]): Promise<boolean> {
    this.requireOpen();
    const all = Array.isArray(keys) ? (keys as readonly K[]) : [keys as K];
    all.forEach(requireCacheKey);
    for (const key of all) this.outdate(key);
    if (this.shared === undefined || all.length === 0) return true;
    return this.shared.invalidate(this.current, all);
  }

  /**
   * Makes all values count no more by going over to a version without any: that of a new model, say. All processes that
   * share the tier follow, unless they were begun with a version of their own and this one was published before. False:
   * the shared tier is away, and will be told when it is back.
   */
  async publish(version: string): Promise<boolean> {
    this.requireOpen();
    if (typeof version !== 'string' || version === '') {
      throw badArgument(`version must be a text, got ${shown(version)}`);
    }
    this.useVersion(version);
    return this.shared === undefined || this.shared.publish(version);
  }

  /** What was asked for so far and which tier answered. */
  stats(): TieredCacheStatistics {
    const { counts, origin } = this;
    const memory = this.memory.stats();
    return {
      version: this.current,
      requests: counts.requests,
      hits: {
        memory: counts.memory,
        shared: counts.shared,
        origin: counts.origin,
        stale: counts.stale,
        negative: counts.negative,
      },
      joined: counts.joined,
      ahead: { keys: this.readAhead?.keys ?? 0, used: this.readAhead?.used ?? 0 },
      memory: { ...memory, bytes: memory.bytes + (this.readAhead?.bytes ?? 0) },
      shared: this.shared?.stats(),
      origin: {
        loads: origin?.loads ?? 0,
        keys: origin?.keys ?? 0,
        errors: (origin?.errors ?? 0) + counts.invalid,
        early: counts.early,
        refreshed: counts.refreshed,
        ...(origin?.percentiles() ?? { p50us: 0, p99us: 0 }),
      },
    };
  }

  /** Ends listening; requests that wait are rejected. The shared tier stays open: it may serve other caches. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    this.flights.end(closedError());
    this.memory.clear();
    await this.shared?.close();
  }

  /** As `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Values that memory does not have: those that are on their way, and the others by one fill. */
  private async arrive(
    keys: readonly K[],
    signal: AbortSignal | undefined,
  ): Promise<(V | undefined)[]> {
    const fresh = new Set(keys.filter((key) => this.flights.get(key) === undefined));
    this.counts.joined += keys.length - fresh.size;
    const ahead = fresh.size > 0 ? this.readAhead?.of(fresh, this.memory.size) : undefined;
    const group = fresh.size > 0 ? this.flights.begin([...fresh], false, ahead) : undefined;
    const landing = keys.map((key) => this.flights.join(this.flights.get(key)!, signal));
    // If one fails, the others must not be unhandled.
    for (const value of landing) value.catch(() => undefined);
    if (group !== undefined) this.start(group, 'any');
    const values: (V | undefined)[] = [];
    for (const value of landing) values.push(valueOf(await value) as V | undefined);
    return values;
  }

  /** The value of a row; enters the key among those due if it has to be loaded anew. */
  private serve(key: K, row: number, due: K[]): V | undefined {
    const { counts, memory, options } = this;
    counts.memory++;
    if (memory.takeAhead(row)) this.readAhead!.use();
    if (memory.isAbsent(row)) counts.negative++;
    const freshMs = memory.freshMs(row);
    if (freshMs <= 0) counts.stale++;
    const lead = options.load === undefined ? 0 : memory.lead(row, options.earlyRefresh);
    if (freshMs <= lead) due.push(key);
    return memory.valueAt(row) as V | undefined;
  }

  /** Loads keys anew in the background, except those that are on their way. */
  private refresh(keys: readonly K[]): void {
    const due = [...new Set(keys)].filter((key) => this.flights.get(key) === undefined);
    const isEarly = (key: K): boolean => {
      const row = this.memory.rowOf(key);
      return row >= 0 && this.memory.freshMs(row) > 0;
    };
    const early = due.filter(isEarly);
    const late = due.filter((key) => !isEarly(key));
    this.counts.early += early.length;
    this.counts.refreshed += late.length;
    // The shared tier has of the early ones what memory has; of the others another process may have loaded news.
    for (const [some, from] of [
      [early, 'origin'],
      [late, 'fresh'],
    ] as const) {
      // If that fails, what is in memory goes on being served; the error is counted.
      if (some.length > 0) this.start(this.flights.begin(some, true), from);
    }
  }

  private start(group: LoadGroup<K>, from: Sources): void {
    this.fill(group, from).catch((error: unknown) => group.fail(error));
  }

  /** Gets what a group waits for: from the shared tier, then from the origin. */
  private async fill(group: LoadGroup<K>, from: Sources): Promise<void> {
    const version = this.current;
    const stale: K[] = [];
    if (from !== 'origin' && this.shared !== undefined) {
      const { keys } = group;
      const found = await this.shared.read(version, keys);
      keys.forEach((key, at) => {
        const entry = found[at];
        if (entry === undefined || !this.isSound(key, entry)) return;
        // A time of day that went back must not make a value last longer.
        const age = Math.max(0, entry.freshMs - (entry.freshUntil - this.options.time()));
        const isStale = age >= entry.freshMs;
        if (isStale && from === 'fresh') return;
        this.landShared(group, key, entry, age);
        if (isStale) stale.push(key);
      });
    }
    if (stale.length > 0) this.refresh(stale);
    const { keys } = group;
    if (keys.length > 0) await this.load(group, version, keys);
  }

  private landShared(group: LoadGroup<K>, key: K, entry: Enveloped, age: number): void {
    const { counts } = this;
    // What nobody waits for answers no request.
    const isAhead = group.isAhead(key);
    if (!group.isKept && !isAhead) {
      counts.shared++;
      if (entry.kind === ABSENT) counts.negative++;
      if (age >= entry.freshMs) counts.stale++;
    }
    const freshMs = Math.max(0, entry.freshMs - age);
    const servedMs = entry.servedMs - age;
    const { loadMs } = entry;
    if (!group.land(key, entry)) return;
    this.memory.set(key, entry, { freshMs, servedMs, loadMs }, isAhead);
  }

  private async load(group: LoadGroup<K>, version: string, keys: readonly K[]): Promise<void> {
    const { counts, origin } = this;
    if (origin === undefined) {
      for (const key of keys) group.land(key, NO_VALUE);
      return;
    }
    const { loaded, ms: loadMs } = await origin.get(keys, group.controller);
    const entries: [K, Enveloped][] = [];
    const values = keys.map((key, at) => this.bytesOfLoaded(group, key, loaded[at]));
    keys.forEach((key, at) => {
      const value = values[at];
      if (value === undefined) return;
      const isAhead = group.isAhead(key);
      if (!group.isKept && !isAhead) counts.origin++;
      const isStorable = group.land(key, value);
      const timing = { ...this.timing(value), loadMs };
      if (!isStorable) return;
      if (timing.freshMs === 0) {
        // What is not remembered must not leave an older value standing.
        this.memory.delete(key);
        if (group.isKept) void this.shared?.invalidate(version, [key]);
        return;
      }
      this.memory.set(key, value, timing, isAhead);
      entries.push([key, this.enveloped(value, timing)]);
    });
    if (entries.length > 0) this.shared?.fill(version, entries);
  }

  /**
   * The bytes of what a load gave, copied: the loader may go on using its array. What is no value fails the load, or the
   * key alone if nobody had asked for it.
   */
  private bytesOfLoaded(group: LoadGroup<K>, key: K, value: V | undefined): ValueBytes | undefined {
    if (value === undefined) return NO_VALUE;
    try {
      if (this.options.isValid?.(value, key) === false) {
        throw new LichenError('ERR_LICHEN_FORMAT', `load gave no valid value for ${shown(key)}`);
      }
      const { kind, bytes } = toBytes(value);
      return { kind, bytes: new Uint8Array(bytes) };
    } catch (error) {
      this.counts.invalid++;
      if (!group.isAhead(key)) throw error;
      group.failOne(key, error);
      return undefined;
    }
  }

  private isSound(key: K, entry: Enveloped): boolean {
    const { isValid } = this.options;
    if (entry.kind === ABSENT || (isValid === undefined && isArrayKind(entry.kind))) return true;
    try {
      const value = fromBytes(entry) as V;
      if (isValid === undefined || isValid(value, key)) return true;
    } catch {
      // No value at all.
    }
    this.shared!.countPoisoned();
    return false;
  }

  private timing({ kind }: ValueBytes, loadMs = 0, ttlMs?: number): Timing {
    const { options } = this;
    const whole = ttlMs ?? (kind === ABSENT ? options.negativeTtlMs : options.ttlMs);
    const freshMs = whole * (1 - options.jitter * Math.random());
    // What has no value is asked for anew when its time is over.
    const servedMs = freshMs + (kind === ABSENT ? 0 : options.staleMs);
    return { freshMs, servedMs, loadMs };
  }

  private enveloped(value: ValueBytes, timing: Timing): Enveloped {
    return { ...value, ...timing, freshUntil: this.options.time() + timing.freshMs };
  }

  private outdate(key: K): void {
    this.flights.outdate(key);
    this.memory.delete(key);
  }

  private forget(): void {
    this.flights.outdateAll();
    this.memory.clear();
  }

  private useVersion(version: string): void {
    if (version === this.current) return;
    this.current = version;
    this.forget();
  }

  private requireOpen(): void {
    if (this.isClosed) throw closedError();
  }
}

function valueOf(bytes: ValueBytes): unknown {
  return bytes.kind === ABSENT ? undefined : fromBytes(bytes);
}

function closedError(): LichenError {
  return new LichenError('ERR_LICHEN_CLOSED', 'the cache is closed');
}
