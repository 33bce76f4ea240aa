import { ByteCache, type ByteCacheStatistics } from './byte-cache.js';
import type { Clock } from './cache-limits.js';
import type { CacheKey } from './key-hash.js';
import { ABSENT, type ValueBytes } from './value-bytes.js';

/** How long an entry is fresh and served, and how long its load took. Milliseconds. */
export interface Timing {
  readonly freshMs: number;
  readonly servedMs: number;
  readonly loadMs: number;
}

/** The tier in this process: a {@link ByteCache} that knows until when its entries are fresh. */
export class MemoryTier<K extends CacheKey> {
  private readonly cache: ByteCache<K, unknown>;
  /** Reading a clock takes as long as finding a value, so it is read once a request. */
  private time = 0;
  private freshUntil = new Float64Array(0);
  private loadMs = new Float64Array(0);
  /** Of each row whether it was loaded before anybody asked for it, and nobody has since. */
  private ahead = new Uint8Array(0);

  constructor(
    maxBytes: number,
    private readonly now: Clock,
  ) {
    this.cache = new ByteCache({ maxBytes, now: () => this.time });
    this.tick();
  }

  /** Reads the clock; to be called whenever time may have passed. */
  tick(): void {
    this.time = this.now();
  }

  /** The row of a key that is asked for, -1 if it is not there. */
  ask(key: K): number {
    return this.cache.ask(key);
  }

  rowOf(key: K): number {
    return this.cache.rowOf(key);
  }

  isAbsent(row: number): boolean {
    return this.cache.kindAt(row) === ABSENT;
  }

  /** A copy of the value, undefined for one that is known to be absent. */
  valueAt(row: number): unknown {
    return this.isAbsent(row) ? undefined : this.cache.valueAt(row);
  }

  /** The bytes of the value, valid until the next call; undefined for one that is known to be absent. */
  bytesAt(row: number): Uint8Array | undefined {
    return this.isAbsent(row) ? undefined : this.cache.bytesAt(row);
  }

  /** For how long a row is fresh yet; 0 or less for a stale one. */
  freshMs(row: number): number {
    return this.freshUntil[row]! - this.time;
  }

  /** By how much a fresh entry's load should come before its end: at random, longer where loading took long (XFetch). */
  lead(row: number, eagerness: number): number {
    return this.loadMs[row]! * eagerness * -Math.log(Math.random());
  }

  /** Whether a row that is asked for was loaded ahead; it counts once. */
  takeAhead(row: number): boolean {
    if (this.ahead[row] !== 1) return false;
    this.ahead[row] = 0;
    return true;
  }

  set(key: K, value: ValueBytes, { freshMs, servedMs, loadMs }: Timing, isAhead = false): void {
    this.tick();
    const row = servedMs > 0 ? this.cache.setBytes(key, value, servedMs) : -1;
    if (row < 0) return;
    if (row >= this.freshUntil.length) this.grow(row);
    this.freshUntil[row] = this.time + freshMs;
    this.loadMs[row] = loadMs;
    this.ahead[row] = isAhead ? 1 : 0;
  }

  delete(key: K): void {
    this.cache.delete(key);
  }

  clear(): void {
    this.cache.clear();
  }

  /** Number of entries. */
  get size(): number {
    return this.cache.size;
  }

  stats(): ByteCacheStatistics {
    const stats = this.cache.stats();
    const beside = this.freshUntil.byteLength + this.loadMs.byteLength + this.ahead.byteLength;
    return { ...stats, bytes: stats.bytes + beside };
  }

  private grow(row: number): void {
    const rows = Math.ceil((row + 16) * 1.25);
    const freshUntil = new Float64Array(rows);
    freshUntil.set(this.freshUntil);
    this.freshUntil = freshUntil;
    const loadMs = new Float64Array(rows);
    loadMs.set(this.loadMs);
    this.loadMs = loadMs;
    const ahead = new Uint8Array(rows);
    ahead.set(this.ahead);
    this.ahead = ahead;
  }
}
