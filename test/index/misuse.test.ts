import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LichenError } from '../../src/errors.js';
import { EmbeddingStore } from '../../src/index/embedding-store.js';
import { Filter } from '../../src/index/filter.js';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { openIndex } from '../../src/index/open.js';
import { clustered } from './data.js';

/** Values that somebody might pass, and some that nobody would. */
const anything = fc.oneof(
  fc.anything({ withBigInt: true, withDate: true, withTypedArray: true, withSparseArray: true }),
  fc.constantFrom<unknown>(
    null,
    undefined,
    NaN,
    -0,
    2 ** 53,
    1e300,
    Symbol('s'),
    () => 1,
    new Float32Array(4),
    new Float32Array(3),
    new Float32Array(new SharedArrayBuffer(16)),
    new BigInt64Array(4),
    new DataView(new ArrayBuffer(16)),
    new Array(4),
    [1, 2, 3, 4],
    ['a', 'b'],
    [[1, 2, 3, 4]],
    { data: new Float32Array(4), rows: 99, dim: 4 },
    { length: 2 ** 40 },
    Filter.ofRows([1, 3], 5),
    Uint8Array.of(255),
    new Proxy([], { get: () => NaN }),
  ),
);

const options = fc.oneof(
  anything,
  // One option is odd and the rest is right.
  fc.record({ signal: anything }),
  fc.record({ onProgress: anything }),
  fc.record({ k: fc.constant(3), exact: fc.boolean(), ef: anything }),
  fc.record({ k: fc.constant(3), filter: anything }),
  fc.record({ k: fc.constant(3), oversample: anything }),
  fc.record({ score: fc.double(), filter: anything }),
  fc.dictionary(
    fc.constantFrom(
      ...['k', 'ef', 'exact', 'threads', 'keys', 'signal', 'onProgress', 'm', 'dim', 'score'],
      ...['storage', 'rerank', 'subspaces', 'pca', 'seed', 'bounds', 'filter', 'oversample'],
    ),
    anything,
  ),
);

/** Runs a call, which may succeed or throw a LichenError; anything else fails the test. */
async function survives(call: () => unknown): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof LichenError)) throw error;
    expect(error.code).toMatch(/^ERR_LICHEN_[A-Z_]+$/);
    expect(error.code).not.toBe('ERR_LICHEN_INTERNAL');
  }
}

describe('an index, whatever it is given', () => {
  it('throws LichenErrors only and goes on working', async () => {
    const vectors = clustered(3, 50, 4);
    const methods = [
      'add',
      'addSync',
      'searchSync',
      'search',
      'searchBatch',
      'searchWithin',
      'searchWithinSync',
      'filter',
      'has',
      'get',
    ] as const;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...methods),
        anything,
        options,
        fc.boolean(),
        async (method, first, second, flat) => {
          const index = flat
            ? new FlatIndex({ dim: 4, metric: 'l2', storage: 'i4', rerank: 'f32' })
            : new HnswIndex({ dim: 4, metric: 'l2' });
          index.addSync(vectors);
          const call = index[method].bind(index) as (...args: unknown[]) => unknown;
          await survives(() => call(first, second));
          expect(index.size).toBeGreaterThanOrEqual(50);
          expect(index.searchSync(vectors.subarray(40, 44), { k: 1 }).scores[0]).toBe(0);
        },
      ),
      { numRuns: 1500 },
    );
  });

  it('as a store does', async () => {
    const vectors = clustered(3, 50, 4);
    const calls: ((store: EmbeddingStore, first: never, second: never) => unknown)[] = [
      (store, first) => store.train(first),
      (store, first) => store.append(first),
      (store, first, second) => store.overwrite(first, second),
      (store, first) => store.overwrite(1, first),
      (store, first) => store.decode(first),
      (store, first, second) => store.scan(first, second),
      (store, first) => store.scan([1, 2, 3, 4], first),
      (store, first, second) => store.score([1, 2, 3, 4], first, second),
      (store, first) => store.score(first, [1, 2]),
      (store, first, second) => store.errorsOf(first, second),
      (store, first, second) => store.convert(first, second),
      (store, first) => store.convert('pq', first),
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...calls),
        fc.oneof(anything, options),
        fc.oneof(anything, options),
        async (call, first, second) => {
          const store = new EmbeddingStore({ dim: 4, metric: 'l2', storage: 'f16' });
          store.append(vectors);
          await survives(() => call(store, first as never, second as never));
          expect(store.size).toBeGreaterThanOrEqual(50);
          expect(store.scan(store.decode(40)!, { k: 50 }).scores[0]).toBe(0);
        },
      ),
      { numRuns: 1500 },
    );
  });

  it('is not made of bad options, nor opened from or saved to bad paths', async () => {
    await fc.assert(
      fc.asyncProperty(options, anything, async (given, path) => {
        await survives(() => new HnswIndex(given as never));
        await survives(() => new FlatIndex(given as never));
        await survives(() => new FlatIndex({ dim: 4, metric: 'dot', ...(given as object) }));
        await survives(() => new EmbeddingStore({ dim: 4, metric: 'dot', ...(given as object) }));
        await survives(() => Filter.ofRows(given as never, path as never));
        await survives(() => new Filter(path as never));
        // A text might name a file.
        const bad = typeof path === 'string' ? '' : path;
        await survives(() => openIndex(bad as never));
        await survives(() => new FlatIndex({ dim: 1, metric: 'dot' }).save(bad as never));
      }),
      { numRuns: 300 },
    );
  });

  it('refuses results that no memory holds', async () => {
    const index = new FlatIndex({ dim: 1, metric: 'l2' });
    index.addSync(new Float32Array(300_000));
    await expect(
      index.searchBatch(new Float32Array(300_000), { k: 300_000 }),
    ).rejects.toMatchObject({ code: 'ERR_LICHEN_MEMORY' });
  });

  it('reads arrays that change under its eyes without harm', async () => {
    const index = new FlatIndex<string>({ dim: 1, metric: 'l2' });
    const vectors = new Float32Array(2);
    const keys = ['a', 'b'];
    let reads = 0;
    Object.defineProperty(keys, 1, {
      get() {
        // The second time is the addon's.
        if (++reads > 1) structuredClone(vectors, { transfer: [vectors.buffer] });
        return 'b';
      },
    });
    await expect(index.add(vectors, { keys })).rejects.toMatchObject({
      code: 'ERR_LICHEN_ARGUMENT',
    });
    expect(index.size).toBe(0);
    const throwing = ['a'];
    Object.defineProperty(throwing, 0, {
      get() {
        throw new Error('the getter is broken');
      },
    });
    expect(() => index.addSync([[1]], { keys: throwing })).toThrow('the getter is broken');
    expect(index.size).toBe(0);
  });
});
