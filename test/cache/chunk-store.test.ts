import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHUNK_BYTES, ChunkStore, chunksFor } from '../../src/cache/chunk-store.js';
import { Random } from '../../src/vectors/random.js';

const SENTINEL = 0x5a5a5a5a;

/** What the store holds, read between words that must stay as they are. */
function read(store: ChunkStore, first: number, length: number): Uint8Array {
  const count = Math.ceil(length / 4);
  const to = new Int32Array(count + 6).fill(SENTINEL);
  store.read(first, to, 3, count);
  for (const at of [0, 1, 2, count + 3, count + 4, count + 5]) expect(to[at]).toBe(SENTINEL);
  return new Uint8Array(to.buffer, 12, length);
}

/** Bytes at an offset that need not be a multiple of 4, with others before and behind. */
function randomBytes(random: Random, length: number): Uint8Array {
  const offset = random.below(5);
  const whole = Uint8Array.from({ length: length + 8 }, () => random.below(256));
  return whole.subarray(offset, offset + length);
}

describe('ChunkStore', () => {
  it('gives back what was stored, whatever comes and goes besides', () => {
    const step = fc.record({ length: fc.oneof(fc.nat(300), fc.nat(5000)), drop: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(1000), (steps, seed) => {
        const random = new Random(seed);
        const store = new ChunkStore(1 << 26);
        const oracle = new Map<number, { first: number; bytes: Uint8Array }>();
        let id = 0;
        for (const { length, drop } of steps) {
          const bytes = randomBytes(random, length);
          oracle.set(id++, { first: store.write(bytes), bytes: bytes.slice() });
          for (let n = 0; n < drop && oracle.size > 0; n++) {
            const [victim, { first }] = [...oracle][random.below(oracle.size)]!;
            store.release(first);
            oracle.delete(victim);
          }
        }
        for (const { first, bytes } of oracle.values()) {
          expect(read(store, first, bytes.length)).toEqual(bytes);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('keeps several segments apart', () => {
    const random = new Random(5);
    const store = new ChunkStore(1 << 26);
    const values = Array.from({ length: 30 }, () =>
      randomBytes(random, 150_000 + random.below(99)),
    );
    const firsts = values.map((bytes) => store.write(bytes));
    expect(store.bytes).toBeGreaterThan(30 * 150_000);
    // Longer than a segment, over chunks that lie in several.
    for (let at = 0; at < 30; at += 2) store.release(firsts[at]!);
    const long = randomBytes(random, 2_000_001);
    const first = store.write(long);
    expect(Buffer.compare(read(store, first, long.length), long)).toBe(0);
    for (let at = 1; at < 30; at += 2) {
      expect(Buffer.compare(read(store, firsts[at]!, values[at]!.length), values[at]!)).toBe(0);
    }
  });

  it('uses freed chunks again, so that memory does not grow', () => {
    const random = new Random(8);
    const store = new ChunkStore(1 << 26);
    const live: { first: number; chunks: number }[] = [];
    let chunks = 0;
    let most = 0;
    for (let round = 0; round < 30_000; round++) {
      const length = random.below(4000);
      // Never more than a segment holds, to the last chunk of it.
      while (chunks + chunksFor(length) > 2 ** 14) {
        const at = random.below(live.length);
        const [gone] = live.splice(at, 1);
        store.release(gone!.first);
        chunks -= gone!.chunks;
      }
      live.push({ first: store.write(new Uint8Array(length)), chunks: chunksFor(length) });
      chunks += chunksFor(length);
      most = Math.max(most, chunks);
    }
    expect(most).toBeGreaterThan(2 ** 14 - 64);
    expect(store.bytes).toBe(2 ** 20 + 4 * 2 ** 14);
  });

  it('needs no chunk for nothing, and one for each 64 bytes', () => {
    expect([0, 1, 64, 65, 128].map(chunksFor)).toEqual([0, 1, 1, 2, 2]);
    expect(CHUNK_BYTES).toBe(64);
    const store = new ChunkStore(1 << 26);
    const none = store.write(new Uint8Array(0));
    expect(store.bytes).toBe(0);
    store.release(none);
    const first = store.write(Uint8Array.of(1, 2, 3));
    expect(read(store, first, 3)).toEqual(Uint8Array.of(1, 2, 3));
    store.clear();
    expect(store.bytes).toBe(0);
  });
});
