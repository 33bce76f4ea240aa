import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Filter } from '../../src/index/filter.js';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import type { Key } from '../../src/index/types.js';
import { clustered } from './data.js';

const rowsOf = (filter: Filter, size: number): number[] =>
  Array.from({ length: size }, (_, row) => row).filter((row) => filter.has(row));

describe('a filter', () => {
  it('is a set of rows', () => {
    const SIZE = 70;
    const rows = fc.uniqueArray(fc.nat(SIZE - 1));
    fc.assert(
      fc.property(rows, rows, fc.integer({ min: 0, max: SIZE + 20 }), (first, second, size) => {
        const a = Filter.ofRows(first, SIZE);
        const b = Filter.ofRows(second, 1 + Math.max(-1, ...second));
        const [inA, inB] = [new Set(first), new Set(second)];
        expect(a.count).toBe(inA.size);
        expect(rowsOf(a, 100)).toEqual([...inA].sort((x, y) => x - y));
        expect(rowsOf(a.and(b), 100)).toEqual(rowsOf(a, 100).filter((row) => inB.has(row)));
        for (const either of [a.or(b), b.or(a)]) {
          expect(rowsOf(either, 100)).toEqual(
            [...new Set([...first, ...second])].sort((x, y) => x - y),
          );
          expect(either.count).toBe(new Set([...first, ...second]).size);
        }
        const others = rowsOf(a.not(size), 100);
        expect(others).toEqual(
          Array.from({ length: size }, (_, row) => row).filter((row) => !inA.has(row)),
        );
        expect(a.not(size).count).toBe(others.length);
        expect(new Filter(a.bits).bits).toEqual(a.bits);
      }),
    );
  });

  it('never changes', () => {
    const bits = Uint8Array.of(0b101);
    const filter = new Filter(bits);
    bits[0] = 0xff;
    filter.bits[0] = 0xff;
    expect(rowsOf(filter, 20)).toEqual([0, 2]);
    expect([filter.has(-1), filter.has(0.5), filter.has(NaN), filter.has(2 ** 40)]).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });

  it.each([
    [() => new Filter([1] as never), /bits must be a Uint8Array, got an array/],
    [() => Filter.ofRows([5], 5), /rows must be integers from 0 to 4, got 5/],
    [() => Filter.ofRows([-1], 5), /got -1/],
    [() => Filter.ofRows([0.5], 5), /got 0.5/],
    [() => Filter.ofRows(7 as never, 5), /rows must be row numbers, got 7/],
    [() => Filter.ofRows([0], 2 ** 31), /size must be an integer from 0 to 2147483647/],
    [() => Filter.ofRows([], 5).and(new Uint8Array(1) as never), /other must be a Filter/],
    [() => Filter.ofRows([], 5).or(undefined as never), /other must be a Filter, got undefined/],
    [() => Filter.ofRows([], 5).not(-1), /rows must be an integer from 0 to 2147483647, got -1/],
  ])('is not made of what is wrong (%#)', (call, message) => {
    expect(call).toThrow(
      expect.objectContaining({
        code: 'ERR_LICHEN_ARGUMENT',
        message: expect.stringMatching(message) as string,
      }),
    );
  });
});

describe.each([
  ['flat', () => new FlatIndex<Key>({ dim: 4, metric: 'l2', storage: 'i8', rerank: 'f32' })],
  ['hnsw', () => new HnswIndex<Key>({ dim: 4, metric: 'l2', m: 4, efConstruction: 20 })],
] as const)('a filter of a %s index', (_, make) => {
  const vectors = clustered(61, 90, 4);
  const names = Array.from({ length: 90 }, (_, at) => `song-${at}`);
  const ids = Array.from({ length: 90 }, (_, at) => 1000 - at);

  it.each([
    ['row', undefined, (row: number): Key => row],
    ['integer', ids, (row: number): Key => ids[row]!],
    ['string', names, (row: number): Key => names[row]!],
  ] as const)('admits %s keys, or those of a condition', (_, keys, keyOf) => {
    const index = make();
    index.addSync(vectors, { keys: keys as never });
    expect([...index.keys()]).toEqual(Array.from({ length: 90 }, (_, row) => keyOf(row)));
    const wanted = [3, 40, 41, 89];
    const chosen = index.filter(wanted.map(keyOf) as never);
    expect(rowsOf(chosen, 100)).toEqual(wanted);
    expect(index.filter((key) => wanted.map(keyOf).includes(key)).bits).toEqual(chosen.bits);
    expect(index.filter([] as never).count).toBe(0);
    const { keys: found } = index.searchSync(vectors.subarray(0, 4), { k: 90, filter: chosen });
    expect(new Set(found as Iterable<Key>)).toEqual(new Set(wanted.map(keyOf)));
    const others = index.searchSync(vectors.subarray(160, 164), {
      k: 90,
      filter: chosen.not(index.size),
    });
    expect(others.keys.length).toBe(86);
    expect(Array.from(others.keys as ArrayLike<Key>)).not.toContain(keyOf(40));
    // What is added later is not admitted, though it is the nearest.
    const later = typeof keyOf(0) === 'string' ? ['new'] : [-5];
    index.addSync(vectors.subarray(0, 4), { keys: keys && later });
    const all = index.searchSync(vectors.subarray(0, 4), { k: 91, filter: chosen.not(90) });
    expect(all.keys.length).toBe(86);
    expect(index.keys().length).toBe(91);
  });

  it('may be changed by its owner while a search runs', async () => {
    const index = make();
    index.addSync(vectors);
    const bits = index.filter([1, 2, 3]).bits;
    const expected = await index.searchBatch(vectors, { k: 3, filter: bits });
    const searching = [
      index.searchBatch(vectors, { k: 3, filter: bits }),
      index.search(vectors.subarray(0, 4), { k: 3, filter: bits }),
      index.searchWithin(vectors.subarray(0, 4), { score: 1e9, filter: bits }),
    ] as const;
    structuredClone(bits, { transfer: [bits.buffer as ArrayBuffer] });
    const [batch, one, within] = await Promise.all(searching);
    expect(batch).toEqual(expected);
    expect([...one.keys].sort()).toEqual([1, 2, 3]);
    expect([...within.keys].sort()).toEqual([1, 2, 3]);
    // What is left of the array admits nothing.
    expect(index.searchSync([1, 2, 3, 4], { k: 3, filter: bits }).keys.length).toBe(0);
  });

  it('knows no key that is not there', () => {
    const index = make();
    index.addSync(vectors, { keys: ids });
    for (const keys of [[1000, 5], ['song-1']]) {
      expect(() => index.filter(keys as never)).toThrow(
        expect.objectContaining({
          code: 'ERR_LICHEN_UNKNOWN_KEY',
          message: expect.stringMatching(/has no key '?(5|song-1)/) as string,
        }),
      );
    }
    for (const keys of [undefined, 7, [0.5], [1, '1'], new BigInt64Array(2), { length: 2 }]) {
      expect(() => index.filter(keys as never)).toThrow(
        expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
      );
    }
    expect(() =>
      index.filter(() => {
        throw new Error('the condition is broken');
      }),
    ).toThrow('the condition is broken');
    index.close();
    for (const call of [() => index.keys(), () => index.filter([1000])]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_LICHEN_CLOSED' }));
    }
  });
});
