import { shown } from '../errors.js';
import {
  badArgument,
  requireDuration,
  requireLimit,
  steadyClock,
  type Clock,
} from './cache-limits.js';
import { CacheTable, type CacheTableStatistics } from './cache-table.js';
import { ChunkStore, CHUNK_COST, chunksFor } from './chunk-store.js';
import { keyBytes, requireCacheKey, type CacheKey } from './key-hash.js';
import { OutputSlab } from './output-slab.js';
import {
  arrayOver,
  fromBytes,
  isArrayKind,
  toBytes,
  type ValueArray,
  type ValueBytes,
} from './value-bytes.js';

/** Options of {@link ByteCache}. */
export interface ByteCacheOptions {
  /** Most memory that the cache takes, in bytes, all of its own arrays and the keys included. */
  maxBytes: number;
  /** Milliseconds that an entry lasts, unless `set` says otherwise. Default: as long as there is room. */
  ttlMs?: number;
  /** Milliseconds of a clock that never goes back. Default `performance.now`. */
  now?: Clock;
}

/** What happened in a {@link ByteCache} so far. */
export interface ByteCacheStatistics extends CacheTableStatistics {
  /** Memory that the process has taken for it. */
  readonly bytes: number;
}

/** What the rows of the table, the index and the history take for an entry, with what growing arrays have to spare. */
export const ENTRY_COST = 144;

/**
 * A cache of values as bytes in this process: typed arrays, texts, whatever can be cloned. The bytes lie in chunks that
 * all entries share, so there is no object an entry, the garbage collector has nothing to walk, and the limit is what its
 * arrays take together. A value that comes out is a copy: changing it changes nothing in the cache. Small arrays that come
 * out lie side by side in one ArrayBuffer: transfer a copy (`slice`) of them, not their buffer.
 *
 * @example
 * const cache = new ByteCache<string, Float32Array>({ maxBytes: 64e6, ttlMs: 60_000 });
 * cache.set('u1', query);
 * cache.get('u1'); // a copy of it
 */
export class ByteCache<K extends CacheKey = CacheKey, V = ValueArray> {
  private readonly chunks: ChunkStore;
  private readonly table: CacheTable;
  private readonly ttlMs: number;
  private readonly now: Clock;
  private firsts = new Uint32Array(0);
  private lengths = new Uint32Array(0);
  private kinds = new Uint8Array(0);
  private readonly slab = new OutputSlab();
  /** The array that values were last copied into, as words. */
  private into: unknown;
  private intoWords: Int32Array = new Int32Array(0);
  /** Bytes that are lent until the next call, and views of them by length. */
  private lent = new Int32Array(1024);
  private readonly lentViews: (Uint8Array | undefined)[] = [];

  /** @throws ERR_LICHEN_ARGUMENT for a limit that is none. */
  constructor({ maxBytes, ttlMs = Infinity, now = steadyClock }: ByteCacheOptions) {
    requireLimit('maxBytes', maxBytes);
    if (maxBytes === undefined) throw badArgument('a cache needs a limit: maxBytes');
    requireDuration('ttlMs', ttlMs);
    this.ttlMs = ttlMs;
    this.now = now;
    this.chunks = new ChunkStore(maxBytes);
    this.table = new CacheTable({
      maxEntries: Infinity,
      maxWeight: maxBytes,
      now,
      onRemove: (row) => this.chunks.release(this.firsts[row]!),
    });
  }

  /** Number of entries. */
  get size(): number {
    return this.table.size;
  }

  /** A copy of the value of a key, undefined if it is not there (any more). */
  get(key: K): V | undefined {
    const row = this.ask(key);
    return row < 0 ? undefined : (this.valueAt(row) as V);
  }

  /**
   * Copies the bytes of a value into `to`, from element `at` on, without making an array. False: the key is not there.
   * @throws ERR_LICHEN_ARGUMENT if they do not fit, or `to` is no array of 4-byte elements.
   */
  getInto(key: K, to: Float32Array | Int32Array | Uint32Array, at = 0): boolean {
    const row = this.ask(key);
    if (row < 0) return false;
    if (to !== this.into) {
      if (to.BYTES_PER_ELEMENT !== 4)
        throw badArgument(`to must have elements of 4 bytes, got ${shown(to)}`);
      this.into = to;
      this.intoWords = new Int32Array(to.buffer, to.byteOffset, to.length);
    }
    const length = this.lengths[row]!;
    const isWithin =
      Number.isInteger(at) && at >= 0 && at * 4 + length <= this.intoWords.byteLength;
    if (length % 4 !== 0 || !isWithin) {
      throw badArgument(
        `to has ${to.length} elements, which cannot hold ${length} bytes from element ${at} on`,
      );
    }
    this.chunks.read(this.firsts[row]!, this.intoWords, at, length / 4);
    return true;
  }

  /**
   * Stores the bytes of a value. False: it is not kept, since it is larger than the cache or worth less than what would
   * have to go.
   * @throws ERR_LICHEN_ARGUMENT for a key that is no safe integer or string, for a value that has no bytes.
   */
  set(key: K, value: V, options: { ttlMs?: number } = {}): boolean {
    requireCacheKey(key);
    requireDuration('ttlMs', options.ttlMs);
    return this.setBytes(key, toBytes(value), options.ttlMs ?? this.ttlMs) >= 0;
  }

  /** Whether the key was there. */
  delete(key: K): boolean {
    return this.table.delete(key);
  }

  /** Forgets all entries. */
  clear(): void {
    this.table.clear();
    this.chunks.clear();
  }

  /** What was asked for and given up so far, and bytes in use. */
  stats(): ByteCacheStatistics {
    return { ...this.table.stats(), bytes: this.bytes };
  }

  /** @internal The row of a key that is asked for, -1 if it is not there. */
  ask(key: K): number {
    return this.table.ask(key);
  }

  /** @internal The row of a key, without counting as a request. */
  rowOf(key: K): number {
    return this.table.rowOf(key);
  }

  /** @internal */
  kindAt(row: number): number {
    return this.kinds[row]!;
  }

  /** @internal A copy of the value in a row. */
  valueAt(row: number): unknown {
    const kind = this.kinds[row]!;
    const length = this.lengths[row]!;
    const { slab } = this;
    slab.take(length);
    const { buffer, words, start } = slab;
    this.chunks.read(this.firsts[row]!, words, start / 4, (length + 3) >>> 2);
    if (isArrayKind(kind)) return arrayOver(kind, buffer, start, length);
    return fromBytes({ kind, bytes: new Uint8Array(buffer, start, length) });
  }

  /** @internal The bytes of the value in a row, valid until the next call. */
  bytesAt(row: number): Uint8Array {
    const length = this.lengths[row]!;
    if (length > this.lent.byteLength) {
      this.lent = new Int32Array(Math.ceil(length / 4) * 2);
      this.lentViews.length = 0;
    }
    this.chunks.read(this.firsts[row]!, this.lent, 0, (length + 3) >>> 2);
    // Making a view takes as long as copying a small value.
    return (this.lentViews[length] ??= new Uint8Array(this.lent.buffer, 0, length));
  }

  /** @internal Stores bytes of a kind; the row, -1 if they are not kept. */
  setBytes(key: K, { kind, bytes }: ValueBytes, ttlMs: number): number {
    const expiry = ttlMs === Infinity ? Infinity : this.now() + ttlMs;
    const weight = ENTRY_COST + keyBytes(key) + chunksFor(bytes.length) * CHUNK_COST;
    const old = this.table.rowOf(key);
    if (old >= 0) {
      this.chunks.release(this.firsts[old]!);
      this.firsts[old] = NONE;
      if (!this.table.reweigh(old, weight, expiry)) return -1;
    }
    const row = old >= 0 ? old : this.table.admit(key, weight, expiry);
    if (row < 0) return -1;
    if (row >= this.firsts.length) this.grow();
    this.firsts[row] = this.chunks.write(bytes);
    this.lengths[row] = bytes.length;
    this.kinds[row] = kind;
    return row;
  }

  private get bytes(): number {
    const rows = this.firsts.byteLength + this.lengths.byteLength + this.kinds.byteLength;
    const { table, chunks } = this;
    // What is left of the weights without the rest of them.
    const keys = table.weight - table.size * ENTRY_COST - chunks.used * CHUNK_COST;
    return table.bytes + chunks.bytes + rows + keys;
  }

  private grow(): void {
    const rows = this.table.capacity;
    const firsts = new Uint32Array(rows).fill(NONE);
    firsts.set(this.firsts);
    this.firsts = firsts;
    const lengths = new Uint32Array(rows);
    lengths.set(this.lengths);
    this.lengths = lengths;
    const kinds = new Uint8Array(rows);
    kinds.set(this.kinds);
    this.kinds = kinds;
  }
}

const NONE = 0xffffffff;
