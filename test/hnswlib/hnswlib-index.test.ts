import Module from 'node:module';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { LichenErrorCode } from '../../src/errors.js';
import { HnswlibIndex } from '../../src/hnswlib/hnswlib-index.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import type { Key } from '../../src/index/types.js';
import { METRICS } from '../../src/vectors/metric.js';
import { clustered, exactRows, overlap } from '../index/data.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { error, line } from './line.js';

const DIM = 16;
const ROWS = 1500;
const QUERIES = 60;

const drawn = clustered(5, ROWS + QUERIES, DIM);
const vectors = drawn.subarray(0, ROWS * DIM);
const queries = drawn.subarray(ROWS * DIM);
const vectorAt = (row: number): Float32Array => drawn.subarray(row * DIM, (row + 1) * DIM);
const queryAt = (q: number): Float32Array => vectorAt(ROWS + q);

const file = temporaryFolder();

describe('hnswlib index', () => {
  it.each(METRICS)('finds and scores as HnswIndex does: %s', async (metric) => {
    const options = { dim: DIM, metric, m: 12, efConstruction: 80 };
    const theirs = new HnswlibIndex({ ...options, capacity: 10 });
    const ours = new HnswIndex(options);
    await theirs.add(vectors);
    await ours.add(vectors, { threads: 1 });
    expect(theirs.size).toBe(ROWS);
    const batch = await theirs.searchBatch(queries, { k: 10, ef: 60 });
    let theirRecall = 0;
    let ourRecall = 0;
    for (let q = 0; q < QUERIES; q++) {
      const exact = exactRows(vectors, queryAt(q), metric, 10);
      const rows = exact.map(({ row }) => row);
      const found = theirs.searchSync(queryAt(q), { k: 10, ef: 60 });
      theirRecall += overlap(found.keys, rows) / QUERIES;
      ourRecall += overlap(ours.searchSync(queryAt(q), { k: 10, ef: 60 }).keys, rows) / QUERIES;
      found.keys.forEach((key, at) => {
        const score = exact.find(({ row }) => row === key)?.score;
        if (score !== undefined) {
          expect(Math.abs(found.scores[at]! - score)).toBeLessThan(1e-5 * (1 + Math.abs(score)));
        }
      });
      expect(await theirs.search(queryAt(q), { k: 10, ef: 60 })).toEqual(found);
      expect(batch.keys.slice(q * 10, q * 10 + 10)).toEqual(found.keys);
      expect(batch.scores.slice(q * 10, q * 10 + 10)).toEqual(found.scores);
      expect(batch.counts[q]).toBe(10);
    }
    expect(theirRecall).toBeGreaterThan(0.95);
    expect(Math.abs(theirRecall - ourRecall)).toBeLessThan(0.03);
  });

  it('keeps keys of all kinds', () => {
    const rows = [[0], [1], [2]];
    const numbers = new HnswlibIndex({ dim: 1, metric: 'l2' });
    numbers.addSync(rows, { keys: [7, 0, 2 ** 32 - 1] });
    numbers.addSync([[3]], { keys: Float64Array.of(-0 + 3) });
    expect(numbers.keyKind).toBe('integer');
    expect(numbers.keys()).toEqual(Float64Array.of(7, 0, 2 ** 32 - 1, 3));
    expect(numbers.searchSync([2.2], { k: 2 }).keys).toEqual(Float64Array.of(2 ** 32 - 1, 3));

    const words = new HnswlibIndex<string>({ dim: 1, metric: 'l2' });
    words.addSync(rows, { keys: ['zero', 'eins', '二'] });
    expect(words.keyKind).toBe('string');
    expect(words.keys()).toEqual(['zero', 'eins', '二']);
    const found = words.searchSync([1.9], { k: 2 });
    expect(found.keys).toEqual(['二', 'eins']);
    expect(Array.from(found.scores, (score) => score.toFixed(4))).toEqual(['0.0100', '0.8100']);
    expect([words.has('eins'), words.has('drei'), words.has(1 as never)]).toEqual([
      true,
      false,
      false,
    ]);
    expect(words.get('二')).toEqual(Float32Array.of(2));
    expect(words.get('drei')).toBeUndefined();

    const plain = line();
    expect(plain.keyKind).toBe('row');
    expect([plain.has(9), plain.has(10), plain.has(-1), plain.has(0.5)]).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect(plain.bytes).toBeGreaterThan(10 * 2 * 4);
  });

  it('gives cosine 0 for a vector of zeros and returns vectors normalized', () => {
    const index = new HnswlibIndex({ dim: 2, metric: 'cosine' });
    index.addSync([
      [0, 0],
      [3, 4],
    ]);
    const { keys, scores } = index.searchSync([3, 4], { k: 2 });
    expect([...keys]).toEqual([1, 0]);
    expect(scores[0]).toBeCloseTo(1, 5);
    expect(scores[1]).toBe(0);
    expect(Array.from(index.get(1)!, (value) => Math.fround(value * 5))).toEqual([3, 4]);
  });

  it.each(METRICS)('finds all within a score: %s', async (metric) => {
    const index = new HnswlibIndex({ dim: DIM, metric, m: 12, efConstruction: 80 });
    index.addSync(vectors);
    const isEven = (key: number): boolean => key % 2 === 0;
    for (const count of [0, 1, 63, 64, 300, ROWS]) {
      const ranked = exactRows(vectors, queryAt(3), metric, ROWS);
      const [last, next] = [ranked[count - 1]?.score, ranked[count]?.score];
      const beyond = metric === 'l2' ? 1 : -1;
      const score =
        last === undefined
          ? next! - beyond
          : next === undefined
            ? last + beyond
            : (last + next) / 2;
      const expected = ranked.slice(0, count).map(({ row }) => row);
      const found = index.searchWithinSync(queryAt(3), { score, ef: 500 });
      expect(Array.from(found.keys).every((key) => expected.includes(key))).toBe(true);
      expect(found.keys.length).toBeGreaterThanOrEqual(0.95 * count);
      expect(found.scores).toHaveLength(found.keys.length);
      expect(await index.searchWithin(queryAt(3), { score, ef: 500 })).toEqual(found);
      const even = index.searchWithinSync(queryAt(3), { score, ef: 500, filter: isEven });
      expect(Array.from(even.keys).every((key) => isEven(key) && expected.includes(key))).toBe(
        true,
      );
    }
    const wrong = (options: object): unknown =>
      index.searchWithinSync(queryAt(3), options as never);
    expect(() => wrong({ score: NaN })).toThrow(/score must be a finite number, got NaN/);
    expect(() => wrong({ score: 1, k: 3 })).toThrow(/unknown option 'k'/);
    expect(() => wrong({ score: 1, exact: true })).toThrow(/no exact search/);
    index.close();
    expect(() => wrong({ score: 1 })).toThrow(/closed/);
  });

  it('finds nothing within a score where nothing is', () => {
    const index = new HnswlibIndex({ dim: 2, metric: 'l2' });
    expect(() => index.searchWithinSync([1], { score: 1 })).toThrow(/dim is 2/);
    expect(index.searchWithinSync([1, 2], { score: 1 }).keys).toHaveLength(0);
  });

  it('filters by keys, by bits and by a function', () => {
    const index = line();
    const search = (filter: NonNullable<Parameters<typeof index.searchSync>[1]>['filter']) => [
      ...index.searchSync([0, 1], { k: 3, filter }).keys,
    ];
    expect(search((key) => key % 4 === 3)).toEqual([3, 7]);
    expect(search(index.filter([9, 2]))).toEqual([2, 9]);
    expect(search(index.filter((key) => key > 5))).toEqual([6, 7, 8]);
    expect(search(Uint8Array.of(0b10010))).toEqual([1, 4]);
    expect(() => index.filter([3, 10])).toThrow(error('ERR_LICHEN_UNKNOWN_KEY', /key 10 is not/));
    expect(() => search(5 as never)).toThrow(error('ERR_LICHEN_ARGUMENT', /filter must be a func/));
  });

  it('survives a filter that throws, writes or closes', () => {
    const index = line();
    const thrown = new Error('no');
    expect(() =>
      index.searchSync([0, 1], {
        k: 3,
        filter: () => {
          throw thrown;
        },
      }),
    ).toThrow(thrown);
    const filter = (): boolean => {
      index.addSync([[5, 5]]);
      return true;
    };
    expect(() => index.searchSync([0, 1], { k: 3, filter })).toThrow(
      error('ERR_LICHEN_BUSY', /another add, save or search/),
    );
    expect(index.size).toBe(10);
    const nested = (key: number): boolean => index.searchSync([key, 1], { k: 1 }).keys[0] === key;
    expect([...index.searchSync([4, 1], { k: 1, filter: nested }).keys]).toEqual([4]);
    const closing = (): boolean => {
      index.close();
      return true;
    };
    expect(index.searchSync([0, 1], { k: 3, filter: closing }).keys).toHaveLength(3);
    expect(() => index.size).toThrow(error('ERR_LICHEN_CLOSED', /closed/));
  });

  it('removes, updates and takes removed keys again', () => {
    const index = new HnswlibIndex<string>({ dim: 1, metric: 'l2' });
    index.addSync([[0], [1], [2]], { keys: ['a', 'b', 'c'] });
    expect(index.remove('b')).toBe(true);
    expect(index.remove('b')).toBe(false);
    expect([index.size, index.has('b'), index.get('b')]).toEqual([2, false, undefined]);
    expect(index.keys()).toEqual(['a', 'c']);
    expect(index.searchSync([1.1], { k: 2 }).keys).toEqual(['c', 'a']);
    expect(() => index.searchSync([1], { k: 3 })).toThrow(
      error(
        'ERR_LICHEN_ARGUMENT',
        /k must be an integer from 1 to the size of the index \(2\), got 3/,
      ),
    );
    expect(() => index.update('b', [5])).toThrow(error('ERR_LICHEN_UNKNOWN_KEY', /key 'b' is not/));
    index.update('a', [10]);
    expect(index.get('a')).toEqual(Float32Array.of(10));
    index.addSync([[20], [30]], { keys: ['b', 'd'] });
    expect(index.keys()).toEqual(['a', 'b', 'c', 'd']);
    expect(index.searchSync([19], { k: 4 }).keys).toEqual(['b', 'a', 'd', 'c']);
    expect(index.filter(['d']).has(3)).toBe(true);
  });

  it.each<[LichenErrorCode, RegExp, (index: HnswlibIndex<Key>) => unknown]>([
    ['ERR_LICHEN_DIMENSION', /dim is 2, got 3/, (index) => index.addSync([[1, 2, 3]])],
    ['ERR_LICHEN_EMPTY', /at least one/, (index) => index.addSync([])],
    [
      'ERR_LICHEN_NOT_FINITE',
      /vectors has the value NaN at position 1 of row 1/,
      (index) => index.addSync(Float32Array.of(1, 2, 3, NaN)),
    ],
    [
      'ERR_LICHEN_NOT_FINITE',
      /query has the value Infinity/,
      (index) => index.searchSync([Infinity, 0], { k: 1 }),
    ],
    ['ERR_LICHEN_NOT_FINITE', /vector has the value NaN/, (index) => index.update(1, [NaN, 0])],
    [
      'ERR_LICHEN_ARGUMENT',
      /keys of this index are row numbers/,
      (index) => index.addSync([[1, 2]], { keys: [3] }),
    ],
    [
      'ERR_LICHEN_ARGUMENT',
      /got 2 keys for 1 vectors/,
      (index) => index.addSync([[1, 2]], { keys: [3, 4] }),
    ],
    [
      'ERR_LICHEN_ARGUMENT',
      /unknown option 'M'/,
      (index) => index.addSync([[1, 2]], { M: 1 } as never),
    ],
    ['ERR_LICHEN_ARGUMENT', /key must be/, (index) => index.remove({} as never)],
    ['ERR_LICHEN_ARGUMENT', /ef must be/, (index) => index.searchSync([1, 2], { ef: 0 })],
    ['ERR_LICHEN_ARGUMENT', /threads must be/, (index) => index.search([1, 2], { threads: 0 })],
    [
      'ERR_LICHEN_ARGUMENT',
      /signal must be/,
      (index) => index.add([[1, 2]], { signal: 5 as never }),
    ],
    [
      'ERR_LICHEN_UNSUPPORTED',
      /no exact search/,
      (index) => index.searchSync([1, 2], { exact: true }),
    ],
  ])('throws %s: %s', async (code, message, call) => {
    const index = line() as unknown as HnswlibIndex<Key>;
    await expect(Promise.resolve(index).then(call)).rejects.toThrow(error(code, message));
    expect(index.size).toBe(10);
  });

  it('refuses keys that are there, and labels that hnswlib-node would cut', () => {
    const index = new HnswlibIndex<Key>({ dim: 1, metric: 'l2' });
    index.addSync([[0]], { keys: [5] as never });
    const add =
      (...keys: Key[]) =>
      () =>
        index.addSync(
          keys.map(() => [1]),
          { keys: keys as never },
        );
    expect(add(6, 5)).toThrow(
      error('ERR_LICHEN_DUPLICATE_KEY', /key 5 at position 1 is in the index/),
    );
    expect(add(6, 6)).toThrow(
      error('ERR_LICHEN_DUPLICATE_KEY', /key 6 at position 1 stands twice/),
    );
    expect(add('a')).toThrow(
      error('ERR_LICHEN_ARGUMENT', /keys of this index are integers, got str/),
    );
    expect(add(-1)).toThrow(error('ERR_LICHEN_ARGUMENT', /from 0 to 4294967295/));
    expect(add(2 ** 32)).toThrow(error('ERR_LICHEN_ARGUMENT', /from 0 to 4294967295/));
    expect(index.size).toBe(1);
    const words = new HnswlibIndex<string>({ dim: 1, metric: 'l2' });
    expect(() => words.addSync([[1]], { keys: [''] })).toThrow(/1 to 65535 bytes, got 0/);
    expect(() => words.addSync([[1]], { keys: ['ä'.repeat(40000)] })).toThrow(/got 80000/);
  });

  it.each([
    [{ dim: 0, metric: 'dot' }, /dim must be an integer/],
    [{ dim: 4, metric: 'ip' }, /metric is one of/],
    [{ dim: 4, metric: 'dot', m: 1 }, /m must be an integer from 2 to 512/],
    [{ dim: 4, metric: 'dot', capacity: 0 }, /capacity must be an integer/],
    [{ dim: 4, metric: 'dot', storage: 'i8' }, /unknown option 'storage'/],
  ])('refuses the options %j', (options, message) => {
    expect(() => new HnswlibIndex(options as never)).toThrow(error('ERR_LICHEN_ARGUMENT', message));
  });

  it('reports the progress of an add, hides it until it is done, and undoes it when aborted', async () => {
    const index = new HnswlibIndex({ dim: DIM, metric: 'l2', m: 32, efConstruction: 400 });
    index.addSync(vectors.subarray(0, 50 * DIM));
    const before = index.searchSync(queryAt(0), { k: 50, ef: 200 });
    const controller = new AbortController();
    const reason = new Error('enough');
    setTimeout(() => {
      // The vectors on their way are not found yet.
      expect(index.searchSync(queryAt(0), { k: 50, ef: 200 })).toEqual(before);
      expect(() => index.remove(3)).toThrow(error('ERR_LICHEN_BUSY', /another add/));
      controller.abort(reason);
    }, 20);
    const data = Float32Array.from(
      { length: 40 * ROWS * DIM },
      (_, at) => drawn[at % drawn.length]! + at * 1e-7,
    );
    const seen: number[] = [];
    const onProgress = (done: number): void => void seen.push(done);
    const adding = index.add(data, { signal: controller.signal, onProgress });
    data.fill(NaN);
    await expect(adding).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_ABORTED', cause: reason }),
    );
    expect(seen[0]).toBe(0);
    expect(index.size).toBe(50);
    expect(index.searchSync(queryAt(0), { k: 50, ef: 20000 })).toEqual(before);
    await index.add(vectors.subarray(0, 20 * DIM), { onProgress });
    expect(seen.at(-1)).toBe(20);
    expect(index.size).toBe(70);
    expect(index.get(50)).toEqual(vectorAt(0));
  });

  it('gives an add up when its progress callback throws', async () => {
    const index = line();
    const thrown = new Error('stop');
    const onProgress = (done: number): void => {
      if (done > 0) throw thrown;
    };
    await expect(index.add([[50, 1]], { onProgress })).rejects.toBe(thrown);
    expect(index.size).toBe(10);
    expect([...index.searchSync([50, 1], { k: 1 }).keys]).toEqual([9]);
    await index.add([[60, 1]]);
    expect([...index.searchSync([50, 1], { k: 1 }).keys]).toEqual([10]);
  });
});

describe('without hnswlib-node', () => {
  afterEach(() => vi.restoreAllMocks());

  it('says which package is missing', async () => {
    await line().save(file('missing.hnsw'));
    const loader = Module as unknown as { _load: (request: string, ...rest: unknown[]) => unknown };
    const load = loader._load;
    vi.spyOn(loader, '_load').mockImplementation((request, ...rest) => {
      if (request !== 'hnswlib-node') return load.call(loader, request, ...rest);
      throw Object.assign(new Error("Cannot find module 'hnswlib-node'"), {
        code: 'MODULE_NOT_FOUND',
      });
    });
    const missing = error('ERR_LICHEN_MISSING_PACKAGE', /npm install hnswlib-node@3/);
    expect(() => new HnswlibIndex({ dim: 2, metric: 'l2' })).toThrow(missing);
    await expect(HnswlibIndex.open(file('missing.hnsw'))).rejects.toThrow(missing);
  });
});
