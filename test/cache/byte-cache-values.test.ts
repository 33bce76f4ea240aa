import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteCache } from '../../src/cache/byte-cache.js';
import { detached } from '../detached.js';
import { withCode } from './helpers.js';

const ARRAYS = [
  ...[Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array],
  ...[Uint32Array, Float32Array, Float64Array, BigInt64Array, BigUint64Array],
];

function cacheOf<V>(): ByteCache<number, V> {
  return new ByteCache<number, V>({ maxBytes: 2 ** 26 });
}

describe('values of a ByteCache', () => {
  it.each(ARRAYS.map((Kind) => [Kind.name, Kind] as const))('come out as %s', (_, Kind) => {
    const cache = cacheOf<unknown>();
    const size = Kind.BYTES_PER_ELEMENT;
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 5000 }),
        fc.nat(5),
        fc.integer({ min: 1, max: 9 }),
        (random, skip, key) => {
          const length = Math.floor(random.length / size);
          // Lies somewhere in a larger buffer, as a part of another array does.
          const buffer = new ArrayBuffer((length + 6) * size);
          new Uint8Array(buffer, skip * size).set(random.subarray(0, length * size));
          const value = new Kind(buffer, skip * size, length);
          const bytes = new Uint8Array(buffer, skip * size, length * size).slice();
          expect(cache.set(key, value)).toBe(true);
          const got = cache.get(key) as typeof value;
          expect(got.constructor).toBe(Kind);
          expect(got.length).toBe(length);
          // Bit by bit: NaN is not NaN, -0 is not 0.
          const out = new Uint8Array(got.buffer, got.byteOffset, got.byteLength);
          expect(Buffer.compare(out, bytes)).toBe(0);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('come out as Buffer, also from the pool of small ones', () => {
    const cache = cacheOf<Buffer>();
    const value = Buffer.from('some bytes');
    expect(value.buffer.byteLength).toBeGreaterThan(value.length);
    cache.set(1, value);
    const got = cache.get(1)!;
    expect(Buffer.isBuffer(got)).toBe(true);
    expect(got.toString()).toBe('some bytes');
    cache.set(2, Buffer.alloc(0));
    expect(cache.get(2)).toEqual(Buffer.alloc(0));
  });

  it('come out as text', () => {
    const cache = cacheOf<string>();
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
        cache.set(1, text);
        expect(cache.get(1)).toBe(text);
      }),
    );
    const long = 'ä'.repeat(100_000);
    cache.set(1, long);
    expect(cache.get(1)).toBe(long);
  });

  it('come out as structures', () => {
    const cache = cacheOf<unknown>();
    const structures = fc.anything({
      ...{ withBigInt: true, withDate: true, withMap: true, withSet: true },
      ...{ withTypedArray: true, withSparseArray: true },
    });
    fc.assert(
      fc.property(structures, (value) => {
        fc.pre(value !== undefined);
        cache.set(1, value);
        expect(cache.get(1)).toStrictEqual(structuredClone(value));
      }),
      { numRuns: 500 },
    );
    for (const value of [
      null,
      false,
      0,
      NaN,
      1n,
      new Date(5),
      /x/g,
      new DataView(new ArrayBuffer(3)),
    ]) {
      cache.set(1, value);
      expect(cache.get(1)).toStrictEqual(value);
    }
    const ring: { self?: unknown } = {};
    ring.self = ring;
    cache.set(1, ring);
    const got = cache.get(1) as { self: unknown };
    expect(got.self).toBe(got);
  });

  it('come out of shared memory', () => {
    const cache = cacheOf<Float32Array>();
    const shared = new Float32Array(new SharedArrayBuffer(12)).fill(3);
    cache.set(1, shared);
    shared.fill(4);
    expect(cache.get(1)).toEqual(Float32Array.of(3, 3, 3));
  });

  it('are refused once their memory has gone elsewhere', () => {
    const cache = cacheOf<Float32Array>();
    expect(() => cache.set(1, detached(3))).toThrow(withCode('ERR_LICHEN_ARGUMENT'));
  });
});

describe('a ByteCache and its callers', () => {
  const sizes = [1, 3, 64, 500, 513, 5000];

  it.each(sizes)('do not share memory (%s elements)', (length) => {
    const cache = cacheOf<Float32Array>();
    const put = new Float32Array(length).fill(1);
    cache.set(1, put);
    cache.set(2, new Float32Array(length).fill(2));
    put.fill(9);
    const [first, second, other] = [cache.get(1)!, cache.get(1)!, cache.get(2)!];
    expect(first).toEqual(new Float32Array(length).fill(1));
    first.fill(8);
    expect(second).toEqual(new Float32Array(length).fill(1));
    expect(other).toEqual(new Float32Array(length).fill(2));
    expect(cache.get(1)).toEqual(new Float32Array(length).fill(1));
    // What came out stays, whatever becomes of the entry.
    cache.set(1, new Float32Array(length).fill(7));
    cache.clear();
    cache.set(3, new Float32Array(length).fill(6));
    expect(second).toEqual(new Float32Array(length).fill(1));
  });

  it('do not share what lies within structures', () => {
    const cache = cacheOf<{ array: Float64Array; bytes: Buffer; list: number[] }>();
    const put = { array: Float64Array.of(1, 2), bytes: Buffer.from('ab'), list: [1] };
    cache.set(1, put);
    put.array[0] = 9;
    put.bytes[0] = 0;
    put.list.push(2);
    const first = cache.get(1)!;
    first.array.fill(8);
    first.bytes.fill(8);
    first.list.push(3);
    const second = cache.get(1)!;
    expect(second.array).toEqual(Float64Array.of(1, 2));
    expect(Buffer.from(second.bytes).toString()).toBe('ab');
    expect(second.list).toEqual([1]);
  });

  it('lie side by side without touching, for values of any length', () => {
    const cache = cacheOf<Uint8Array>();
    fc.assert(
      fc.property(fc.array(fc.nat(300), { maxLength: 200 }), (lengths) => {
        lengths.forEach((length, key) => cache.set(key, new Uint8Array(length).fill(key)));
        const all = lengths.map((_, key) => cache.get(key)!);
        for (const value of all.filter((_, at) => at % 2 === 0)) value.fill(255);
        all.forEach((value, key) => {
          const byte = key % 2 === 0 ? 255 : key & 255;
          const expected = new Uint8Array(lengths[key]!).fill(byte);
          expect(Buffer.compare(value, expected)).toBe(0);
        });
      }),
      { numRuns: 50 },
    );
  });
});
