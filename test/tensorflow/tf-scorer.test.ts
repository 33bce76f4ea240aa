import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { BACKENDS } from '../../src/tensorflow/backends.js';
import { loadTensorFlow } from '../../src/tensorflow/tensorflow.js';
import {
  TfScorer,
  type TfScorerOptions,
  type TfSearchOptions,
} from '../../src/tensorflow/tf-scorer.js';
import { TopLists } from '../../src/tensorflow/top-lists.js';
import { matrix } from '../../src/vectors/matrix.js';
import { METRICS } from '../../src/vectors/metric.js';
import { clustered, exactRows } from '../index/data.js';

const tiles = { tileItems: 37, tileQueries: 5 };

describe.each(BACKENDS)('TfScorer on %s', (backend) => {
  beforeEach(async (context) => {
    const missing = await loadTensorFlow(backend).then(
      () => undefined,
      (error: Error) => error.message,
    );
    context.skip(missing !== undefined, missing);
  });

  it.each(METRICS)('agrees with a float64 scan and with FlatIndex: %s', async (metric) => {
    const dim = 9;
    const vectors = clustered(1, 200, dim);
    const queries = clustered(2, 12, dim);
    using scorer = new TfScorer(matrix(vectors, dim), { metric, backend, ...tiles });
    const k = 7;
    const found = await scorer.search(queries, { k });
    expect(found).toMatchObject({ rows: 12, k });
    expect([...found.counts]).toEqual(new Array(12).fill(k));
    using flat = new FlatIndex({ dim, metric });
    flat.addSync(vectors);
    const truth = await flat.searchBatch(queries, { k });
    expect(found.keys).toEqual(truth.keys);
    for (let at = 0; at < 12 * k; at++) {
      expect(found.scores[at]).toBeCloseTo(truth.scores[at]!, 4);
    }
    for (let q = 0; q < 12; q++) {
      const query = queries.subarray(q * dim, (q + 1) * dim);
      const expected = exactRows(vectors, query, metric, k);
      expect([...found.keys.subarray(q * k, (q + 1) * k)]).toEqual(expected.map(({ row }) => row));
      expected.forEach(({ score }, at) => expect(found.scores[q * k + at]).toBeCloseTo(score, 4));
    }
  });

  it.each(METRICS)('orders equal scores by row, across tiles: %s', async (metric) => {
    const row = clustered(4, 1, 6);
    const vectors = Float32Array.from({ length: 20 * 6 }, (_, at) => row[at % 6]!);
    using scorer = new TfScorer(matrix(vectors, 6), { metric, backend, tileItems: 7 });
    const { keys, scores } = await scorer.search(row, { k: 12 });
    expect([...keys]).toEqual(Array.from({ length: 12 }, (_, at) => at));
    expect(new Set(scores).size).toBe(1);
    if (metric === 'l2') expect(scores[0]).toBe(0);
  });

  it('tells small squared distances far from the origin apart', async () => {
    const vectors = Float32Array.of(4096, 4096.5, 4096, 4097, 4096, 4096);
    using scorer = new TfScorer(matrix(vectors, 2), { metric: 'l2', backend });
    const { keys, scores } = await scorer.search([[4096, 4096]], { k: 3 });
    expect([...keys]).toEqual([2, 0, 1]);
    expect([...scores]).toEqual([0, 0.25, 1]);
  });

  it('scores a zero vector 0 under cosine', async () => {
    using scorer = new TfScorer(matrix(Float32Array.of(0, 0, 1, 1), 2), {
      metric: 'cosine',
      backend,
    });
    const { scores, keys } = await scorer.search([[2, 2], [0, 0]], { k: 2 }); // prettier-ignore
    expect([...keys]).toEqual([1, 0, 0, 1]);
    expect([...scores]).toEqual([expect.closeTo(1, 6), 0, 0, 0]);
  });

  it('leaves out excluded rows, query by query', async () => {
    const vectors = Float32Array.from({ length: 10 }, (_, at) => at);
    using scorer = new TfScorer(matrix(vectors, 1), { metric: 'dot', backend, tileItems: 4 });
    const exclude = [[9, 9, 7, 1000], [], [0, 1, 2, 3, 4, 5, 6, 7, 9]];
    const { keys, scores, counts } = await scorer.search([[1], [1], [1]], { k: 3, exclude });
    expect([...keys]).toEqual([8, 6, 5, 9, 8, 7, 8, -1, -1]);
    expect([...scores]).toEqual([8, 6, 5, 9, 8, 7, 8, NaN, NaN]);
    expect([...counts]).toEqual([3, 3, 1]);
  });

  it('finds what FlatIndex finds beside thousands of excluded rows', async () => {
    const vectors = clustered(5, 3000, 4);
    using scorer = new TfScorer(matrix(vectors, 4), { metric: 'l2', backend, tileItems: 1024 });
    using flat = new FlatIndex({ dim: 4, metric: 'l2' });
    flat.addSync(vectors);
    const queries = clustered(6, 2, 4);
    const exclude = [Array.from({ length: 2500 }, (_, at) => at), [1, 2, 3]];
    const found = await scorer.search(queries, { k: 20, exclude });
    expect(found.keys).toEqual((await flat.searchBatch(queries, { k: 20, exclude })).keys);
  });

  it('keeps its tensors between searches and disposes of all of them', async () => {
    const { tf } = await loadTensorFlow(backend);
    const before = tf.memory().numTensors;
    const scorer = new TfScorer(matrix(clustered(1, 100, 3), 3), {
      metric: 'l2',
      backend,
      ...tiles,
    });
    const queries = clustered(2, 7, 3);
    await scorer.search(queries, { exclude: new Array<number[]>(7).fill([1]) });
    const kept = tf.memory().numTensors - before;
    expect(kept).toBe(2 * 3); // values and squares of each tile
    await Promise.all([scorer.search(queries), scorer.search(queries)]);
    expect(tf.memory().numTensors - before).toBe(kept);
    scorer.dispose();
    expect(tf.memory().numTensors).toBe(before);
    scorer.dispose();
    await expect(scorer.search(queries)).rejects.toMatchObject({ code: 'ERR_LICHEN_CLOSED' });
  });

  it('gives up when disposed of while TensorFlow.js is loaded', async () => {
    const { tf } = await loadTensorFlow(backend);
    const before = tf.memory().numTensors;
    const scorer = new TfScorer(matrix(clustered(1, 10, 3), 3), { metric: 'dot', backend });
    const searching = scorer.search(clustered(2, 1, 3));
    scorer.dispose();
    await expect(searching).rejects.toMatchObject({ code: 'ERR_LICHEN_CLOSED' });
    expect(tf.memory().numTensors).toBe(before);
  });

  it('gives up when aborted or disposed of', async () => {
    const { tf } = await loadTensorFlow(backend);
    const before = tf.memory().numTensors;
    const scorer = new TfScorer(matrix(clustered(1, 100, 3), 3), {
      metric: 'dot',
      backend,
      tileItems: 1,
    });
    const queries = clustered(2, 7, 3);
    await scorer.search(queries, { k: 1 });
    const kept = tf.memory().numTensors;
    const controller = new AbortController();
    setImmediate(() => controller.abort());
    await expect(scorer.search(queries, { signal: controller.signal })).rejects.toMatchObject({
      code: 'ERR_LICHEN_ABORTED',
    });
    expect(tf.memory().numTensors).toBe(kept);
    setImmediate(() => scorer.dispose());
    await expect(scorer.search(queries)).rejects.toMatchObject({ code: 'ERR_LICHEN_CLOSED' });
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('TfScorer', () => {
  const vectors = matrix(Float32Array.of(1, 2, 3, 4), 2);
  const scorer = new TfScorer(vectors, { metric: 'dot', backend: 'cpu' });

  it('keeps what it was given', async () => {
    const data = Float32Array.of(1, 2, 3, 4);
    using own = new TfScorer(matrix(data, 2), { metric: 'dot', backend: 'cpu' });
    data.fill(9);
    const queries = Float32Array.of(1, 1);
    const found = own.search(queries, { k: 2 });
    queries.fill(0);
    expect([...(await found).scores]).toEqual([7, 3]);
  });

  it.each([
    [{ metric: 'ip' }, 'ERR_LICHEN_ARGUMENT', /metric/],
    [{ metric: 'dot', tileItems: 0 }, 'ERR_LICHEN_ARGUMENT', /tileItems must be an integer/],
    [{ metric: 'dot', tileQueries: 1.5 }, 'ERR_LICHEN_ARGUMENT', /tileQueries must be/],
    [{ metric: 'dot', tile: 1 }, 'ERR_LICHEN_ARGUMENT', /unknown option 'tile'/],
    [{ metric: 'dot', backend: 'webgl' }, 'ERR_LICHEN_ARGUMENT', /backend must be one of auto/],
  ])('refuses the options %j', (options, code, message) => {
    const make = (): TfScorer => new TfScorer(vectors, options as TfScorerOptions);
    expect(make).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error,
    );
  });

  it('refuses vectors that are none', () => {
    const of = (data: Float32Array) => () =>
      new TfScorer({ data, rows: 1, dim: 2 }, { metric: 'dot' });
    expect(of(new Float32Array(0))).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_EMPTY' }) as Error,
    );
    expect(of(Float32Array.of(1, NaN))).toThrow(/row 0, column 1 is NaN/);
    expect(of(Float32Array.of(1))).toThrow(/whole rows of 2 values/);
  });

  it.each([
    ['queries', [[1]], {}, 'ERR_LICHEN_DIMENSION'],
    ['queries', [[1, NaN]], {}, 'ERR_LICHEN_NOT_FINITE'],
    ['queries', [], {}, 'ERR_LICHEN_EMPTY'],
    ['k', [[1, 1]], { k: 3 }, 'ERR_LICHEN_ARGUMENT'],
    ['k', [[1, 1]], { k: 0 }, 'ERR_LICHEN_ARGUMENT'],
    ['keys', [[1, 1]], { k: 1, exclude: [1] }, 'ERR_LICHEN_ARGUMENT'],
    ['exclude', [[1, 1]], { k: 1, exclude: [['a']] }, 'ERR_LICHEN_ARGUMENT'],
    ['exclude', [[1, 1]], { k: 1, exclude: [] }, 'ERR_LICHEN_ARGUMENT'],
    ['ef', [[1, 1]], { ef: 1 }, 'ERR_LICHEN_ARGUMENT'],
  ])('refuses %s in a search of %j with %j', async (name, queries, given, code) => {
    const options = given as TfSearchOptions;
    await expect(scorer.search(queries, options)).rejects.toMatchObject({ code });
    await expect(scorer.search(queries, options)).rejects.toThrow(new RegExp(name));
  });
});

describe('TopLists', () => {
  it('keeps the highest of what it is given in whatever pieces', () => {
    const score = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(Infinity, -Infinity));
    fc.assert(
      fc.property(
        fc.array(fc.array(score, { maxLength: 9 }), { maxLength: 5 }),
        fc.integer({ min: 1, max: 12 }),
        fc.uniqueArray(fc.nat({ max: 45 })),
        (pieces, width, hidden) => {
          const lists = new TopLists(2, width);
          const all: { row: number; score: number }[] = [];
          const nearest = (of: typeof all): typeof all =>
            of.sort((a, b) => (a.score === b.score ? a.row - b.row : a.score > b.score ? -1 : 1));
          for (const piece of pieces) {
            const tile = piece.map((value, at) => ({ row: all.length + at, score: value }));
            all.push(...tile);
            nearest(tile);
            const rows = Int32Array.from(tile, ({ row }) => row);
            lists.merge(
              1,
              rows,
              Float32Array.from(tile, (each) => each.score),
              new Set(hidden),
            );
          }
          const best = nearest(all.filter(({ row }) => !hidden.includes(row))).slice(0, width);
          expect([...lists.counts]).toEqual([0, best.length]);
          expect([...lists.rows.subarray(width, width + best.length)]).toEqual(
            best.map(({ row }) => row),
          );
        },
      ),
    );
  });
});
