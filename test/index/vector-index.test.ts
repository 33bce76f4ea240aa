import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LichenErrorCode } from '../../src/errors.js';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import type { Key } from '../../src/index/types.js';
import type { VectorIndex } from '../../src/index/vector-index.js';
import { matrix } from '../../src/vectors/matrix.js';
import { clustered } from './data.js';

const error = (code: LichenErrorCode, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;

const KINDS: [string, (dim: number) => VectorIndex<Key>][] = [
  ['flat', (dim) => new FlatIndex<Key>({ dim, metric: 'l2' })],
  ['hnsw', (dim) => new HnswIndex<Key>({ dim, metric: 'l2', m: 8, efConstruction: 40 })],
];

describe.each(KINDS)('%s index', (kind, make) => {
  it('keeps integer keys', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.maxSafeInteger(), { minLength: 1, maxLength: 60 }), (keys) => {
        using index = make(2);
        const half = Math.ceil(keys.length / 2);
        const vectors = keys.map((_, at) => [at, 0]);
        index.addSync(vectors.slice(0, half), { keys: keys.slice(0, half) });
        if (half < keys.length) {
          index.addSync(vectors.slice(half), { keys: Float64Array.from(keys.slice(half)) });
        }
        expect(index.size).toBe(keys.length);
        keys.forEach((key, at) => {
          // -0 and 0 are one key.
          expect(index.searchSync([at, 0], { k: 1 }).keys[0]).toBe(key + 0);
          expect(index.has(key)).toBe(true);
          expect([...index.get(key)!]).toEqual([at, 0]);
        });
        expect(index.has(0.5)).toBe(false);
        expect(index.get('1')).toBeUndefined();
      }),
      { numRuns: 40 },
    );
  });

  it('keeps string keys', async () => {
    const keys = ['', 'a', 'ä', '日本', '🙂', 'a\0b', 'x'.repeat(65535)].slice(1);
    const index = make(1);
    await index.add(
      keys.map((_, at) => [at]),
      { keys },
    );
    expect(index.keyKind).toBe('string');
    expect((await index.search([0], { k: 6 })).keys).toEqual(keys);
    expect((await index.searchBatch([[0], [5]], { k: 2 })).keys).toEqual([
      keys[0],
      keys[1],
      keys[5],
      keys[4],
    ]);
    expect(index.has('ä')).toBe(true);
    expect(index.has('b')).toBe(false);
    expect(index.has(0)).toBe(false);
  });

  it("writes results into the caller's arrays", async () => {
    const index = make(1);
    await index.add(Float32Array.from({ length: 40 }, (_, at) => at));
    const into = { keys: new Float64Array(12).fill(7), scores: new Float32Array(11).fill(7) };
    const filter = index.filter([1, 2, 30]);
    for (const search of [
      (options: object) => index.searchSync([2], options),
      (options: object) => index.search([2], options),
    ]) {
      const found = await search({ k: 4, filter, into });
      expect([...found.keys]).toEqual([2, 1, 30]);
      expect([...found.scores]).toEqual([0, 1, 784]);
      expect([...into.keys.subarray(0, 5)]).toEqual([2, 1, 30, -1, 7]);
      expect([...into.scores.subarray(2, 5)]).toEqual([784, NaN, 7]);
      expect((found.keys as unknown as Float64Array).buffer).toBe(into.keys.buffer);
      into.keys.fill(7);
      into.scores.fill(7);
    }
    const batch = await index.searchBatch([[2], [38]], { k: 2, into });
    expect([...batch.keys]).toEqual([2, 1, 38, 37]);
    expect(batch.scores.buffer).toBe(into.scores.buffer);
    for (const bad of [
      null,
      {},
      { ...into, scores: new Float64Array(12) },
      { ...into, keys: [] },
    ]) {
      const options = { k: 2, into: bad as never };
      expect(() => index.searchSync([2], options)).toThrow(error('ERR_LICHEN_ARGUMENT', /into/));
    }
    const room = error('ERR_LICHEN_ARGUMENT', /room for 12 results, got 12 and 11/);
    expect(() => index.searchSync([2], { k: 12, into })).toThrow(room);
    await expect(index.searchBatch([[2], [3]], { k: 6, into })).rejects.toEqual(room);
    const running = index.search([2], { k: 4, into });
    structuredClone(into.keys, { transfer: [into.keys.buffer] });
    await expect(running).rejects.toEqual(error('ERR_LICHEN_ARGUMENT', /room for 4 results/));
    const named = make(1);
    await named.add([[1]], { keys: ['a'] as never });
    expect(() => named.searchSync([1], { k: 1, into })).toThrow(
      error('ERR_LICHEN_ARGUMENT', /strings/),
    );
  });

  it('takes vectors in every form', async () => {
    const index = make(2);
    await index.add([[1, 2], new Float64Array([3, 4])]);
    await index.add(Float32Array.of(5, 6));
    await index.add(matrix(Float32Array.of(7, 8, 9, 10), 2));
    expect(index.size).toBe(5);
    expect([...index.get(4)!]).toEqual([9, 10]);
    // A view into a larger array, at an offset that is not aligned to a cache line.
    const large = Float32Array.of(0, 0, 0, 9, 10, 0);
    expect(index.searchSync(large.subarray(3, 5), { k: 1 }).keys[0]).toBe(4);
    const shared = new Float32Array(new SharedArrayBuffer(8));
    shared.set([3, 4]);
    expect(index.searchSync(shared, { k: 1 }).keys[0]).toBe(1);
  });

  const good = clustered(5, 30, 4);
  const bad: [string, unknown, unknown, LichenErrorCode, RegExp][] = [
    [
      'too short a vector',
      [[1, 2, 3]],
      {},
      'ERR_LICHEN_DIMENSION',
      /vectors\[0\]: dim is 4, got 3/,
    ],
    ['a ragged array', new Float32Array(6), {}, 'ERR_LICHEN_DIMENSION', /dim is 4, got 6 values/],
    ['another dim', matrix(new Float32Array(6), 3), {}, 'ERR_LICHEN_DIMENSION', /dim is 4, got 3/],
    ['nothing', [], {}, 'ERR_LICHEN_EMPTY', /at least one vector/],
    ['no array', 'abcd', {}, 'ERR_LICHEN_ARGUMENT', /must be a Float32Array, .* got "abcd"/],
    ['bare numbers', [1, 2, 3, 4], {}, 'ERR_LICHEN_ARGUMENT', /one array a vector, got numbers/],
    ['NaN', [[1, 2, NaN, 4]], {}, 'ERR_LICHEN_NOT_FINITE', /NaN at position 2/],
    ['a string', [[1, 2, '3', 4]], {}, 'ERR_LICHEN_NOT_FINITE', /NaN at position 2/],
    ['null', [[null, 2, 3, 4]], {}, 'ERR_LICHEN_NOT_FINITE', /NaN at position 0/],
    [
      'infinity',
      Float32Array.of(1, 2, 3, 4, 5, -Infinity, 7, 8),
      {},
      'ERR_LICHEN_NOT_FINITE',
      /position 1 of row 1/,
    ],
    ['beyond f32', [[1e39, 0, 0, 0]], {}, 'ERR_LICHEN_NOT_FINITE', /Infinity at position 0/],
    ['too few keys', good, { keys: [1] }, 'ERR_LICHEN_ARGUMENT', /got 1 keys for 30 vectors/],
    ['fractions', [[1, 2, 3, 4]], { keys: [0.5] }, 'ERR_LICHEN_ARGUMENT', /keys\[0\] .* got 0.5/],
    ['huge keys', [[1, 2, 3, 4]], { keys: [2 ** 53] }, 'ERR_LICHEN_ARGUMENT', /safe integer/],
    ['string keys', [[1, 2, 3, 4]], { keys: ['a'] }, 'ERR_LICHEN_ARGUMENT', /keys of this index/],
    ['no threads', good, { threads: 0 }, 'ERR_LICHEN_ARGUMENT', /threads must be .* got 0/],
    ['an unknown option', good, { key: [] }, 'ERR_LICHEN_ARGUMENT', /unknown option 'key'/],
    [
      'a key that is there',
      [[1, 2, 3, 4]],
      { keys: [3] },
      'ERR_LICHEN_DUPLICATE_KEY',
      /3 .*already/,
    ],
    [
      'a key twice',
      Float32Array.from([1, 2, 3, 4, 5, 6, 7, 8]),
      { keys: [90, 90] },
      'ERR_LICHEN_DUPLICATE_KEY',
      /90 at position 1 stands twice/,
    ],
  ];

  it.each(bad)('refuses to add %s and stays as it was', async (_, vectors, options, code, text) => {
    const index = make(4);
    index.addSync(good, { keys: Array.from({ length: 30 }, (_, at) => at) });
    const before = index.searchSync(good.subarray(0, 4), { k: 30 });
    expect(() => index.addSync(vectors as never, options as never)).toThrow(error(code, text));
    await expect(index.add(vectors as never, options as never)).rejects.toThrow(error(code, text));
    expect(index.size).toBe(30);
    expect(index.searchSync(good.subarray(0, 4), { k: 30 })).toEqual(before);
    index.addSync([[1, 2, 3, 4]], { keys: [90] });
    expect(index.size).toBe(31);
  });

  it.each([
    [[1, 2, 3], {}, 'ERR_LICHEN_DIMENSION', /query: dim is 4, got 3 values/],
    [[1, 2, NaN, 4], {}, 'ERR_LICHEN_NOT_FINITE', /query has the value NaN at position 2/],
    [new DataView(new ArrayBuffer(16)), {}, 'ERR_LICHEN_ARGUMENT', /query must be a Float32Array/],
    [undefined, {}, 'ERR_LICHEN_ARGUMENT', /query must be .* got undefined/],
    [[1, 2, 3, 4], { k: 0 }, 'ERR_LICHEN_ARGUMENT', /k must be .* at least 1, got 0/],
    [[1, 2, 3, 4], { k: 1.5 }, 'ERR_LICHEN_ARGUMENT', /got 1.5/],
    [[1, 2, 3, 4], { k: '3' }, 'ERR_LICHEN_ARGUMENT', /got "3"/],
    [[1, 2, 3, 4], { ef: 0 }, 'ERR_LICHEN_ARGUMENT', /ef must be .* got 0/],
    [[1, 2, 3, 4], { exact: 1 }, 'ERR_LICHEN_ARGUMENT', /exact must be true or false, got 1/],
    [[1, 2, 3, 4], { oversample: 0 }, 'ERR_LICHEN_ARGUMENT', /oversample must be .* got 0/],
    [[1, 2, 3, 4], { oversample: 2.5 }, 'ERR_LICHEN_ARGUMENT', /oversample must be .* got 2.5/],
    [[1, 2, 3, 4], { oversample: '2' }, 'ERR_LICHEN_ARGUMENT', /oversample must be .* got "2"/],
    [[1, 2, 3, 4], { filter: [1] }, 'ERR_LICHEN_ARGUMENT', /filter must be .* got an array/],
    [[1, 2, 3, 4], { filter: null }, 'ERR_LICHEN_ARGUMENT', /filter must be .* got null/],
    [[1, 2, 3, 4], { filter: 'x' }, 'ERR_LICHEN_ARGUMENT', /filter must be .* got "x"/],
    [
      [1, 2, 3, 4],
      { filter: new Uint16Array(2) },
      'ERR_LICHEN_ARGUMENT',
      /filter must be a Filter or a Uint8Array of its bits, got a Uint16Array/,
    ],
    [[1, 2, 3, 4], { topK: 3 }, 'ERR_LICHEN_ARGUMENT', /unknown option 'topK', expected k, ef/],
  ])('refuses to search for %j with %j', async (query, options, code, text) => {
    const index = make(4);
    index.addSync(good);
    const expected = error(code as LichenErrorCode, text);
    expect(() => index.searchSync(query as never, options as never)).toThrow(expected);
    await expect(index.search(query as never, options as never)).rejects.toThrow(expected);
  });

  it('refuses a search on a bad number of threads', async () => {
    const index = make(4);
    index.addSync(good);
    for (const threads of [0, 1.5, '2', 5000]) {
      await expect(index.search([1, 2, 3, 4], { threads: threads as number })).rejects.toThrow(
        error('ERR_LICHEN_ARGUMENT', /threads must be an integer from 1 to 1024/),
      );
    }
    expect(() => index.searchSync([1, 2, 3, 4], { threads: 2 } as never)).toThrow(
      error('ERR_LICHEN_ARGUMENT', /unknown option 'threads'/),
    );
  });

  it('is shown by what it is and holds', () => {
    const index = make(4);
    index.addSync([[1, 2, 3, 4]]);
    const shown = inspect({ index }, { compact: true, breakLength: Infinity });
    const metric = `metric: '${index.metric}'`;
    expect(shown).toContain(
      `${index.constructor.name} { dim: 4, ${metric}, storage: '${index.storage}'`,
    );
    expect(shown).toContain(`size: 1, dead: 0, bytes: ${index.bytes} } }`);
    index.close();
    expect(inspect(index)).toMatch(/closed: true/);
  });

  it('refuses every call once closed, but lets running searches end', async () => {
    const index = make(4);
    await index.add(good);
    const running = index.searchBatch(good, { k: 3 });
    index.close();
    index.close();
    expect((await running).rows).toBe(30);
    const closed = error('ERR_LICHEN_CLOSED', /closed/);
    expect(() => index.size).toThrow(closed);
    expect(() => index.bytes).toThrow(closed);
    expect(() => index.searchSync([1, 2, 3, 4])).toThrow(closed);
    expect(() => index.addSync(good)).toThrow(closed);
    expect(() => index.has(1)).toThrow(closed);
    expect(() => index.get(1)).toThrow(closed);
    await expect(index.search([1, 2, 3, 4])).rejects.toThrow(closed);
    await expect(index.searchBatch(good)).rejects.toThrow(closed);
    await expect(index.add(good)).rejects.toThrow(closed);
    await expect(index.save('/tmp/never')).rejects.toThrow(closed);
  });

  it('answers a batch as it answers one by one, whatever the threads', async () => {
    const dim = 16;
    const index = make(dim);
    await index.add(clustered(6, 2000, dim), { threads: 1 });
    const queries = clustered(7, 333, dim);
    for (const threads of [1, 2, 7]) {
      const done: number[] = [];
      const batch = await index.searchBatch(queries, {
        k: 5,
        threads,
        onProgress: (at, total) => done.push(at, total),
      });
      expect(done.slice(-2)).toEqual([333, 333]);
      for (let q = 0; q < 333; q++) {
        const one = index.searchSync(queries.subarray(q * dim, (q + 1) * dim), { k: 5 });
        expect(batch.keys.slice(q * 5, q * 5 + 5)).toEqual(one.keys);
        expect(batch.scores.subarray(q * 5, q * 5 + 5)).toEqual(one.scores);
        expect(batch.counts[q]).toBe(5);
      }
    }
  });

  it('lets the caller change its arrays while the work runs', async () => {
    const vectors = clustered(8, 500, 4);
    const index = make(4);
    const adding = index.add(vectors);
    vectors.fill(0);
    await adding;
    const queries = clustered(8, 500, 4);
    const expected = queries.slice();
    const searching = index.searchBatch(queries, { k: 1 });
    structuredClone(queries, { transfer: [queries.buffer as ArrayBuffer] });
    const { scores } = await searching;
    expect(Math.max(...scores)).toBeLessThan(1e-9);
    expect([...index.get(7)!]).toEqual([...expected.subarray(28, 32)]);
  });

  it('counts its bytes', () => {
    const index = make(64);
    index.addSync(clustered(9, 1000, 64));
    const vectors = 1000 * 64 * 4;
    const links = kind === 'hnsw' ? 1000 * 2 * 8 * 4 : 0;
    expect(index.bytes).toBeGreaterThanOrEqual(vectors + links);
    expect(index.bytes).toBeLessThan((vectors + links) * 1.15);
  });
});
