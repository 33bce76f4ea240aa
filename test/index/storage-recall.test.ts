import { describe, expect, it } from 'vitest';
import { recallAtKByScore } from '../../src/evaluation/neighbours.js';
import { exactTruthAmong } from '../../src/evaluation/truth.js';
import { FlatIndex, type FlatOptions } from '../../src/index/flat.js';
import type { Key } from '../../src/index/types.js';
import { readMatrix } from '../../src/vectors/files.js';
import { matrix, type Matrix } from '../../src/vectors/matrix.js';
import type { Metric } from '../../src/vectors/metric.js';
import { Random } from '../../src/vectors/random.js';
import { sharedData } from '../vectors/shared-data.js';

/** recall@10 against the vectors given, by exact scores. */
async function recallOf(
  vectors: Matrix,
  queries: Matrix,
  metric: Metric,
  options: Pick<FlatOptions, 'storage' | 'rerank'>,
): Promise<number> {
  using index = new FlatIndex<Key>({ dim: vectors.dim, metric, ...options });
  await index.add(vectors);
  const truth = await exactTruthAmong(vectors, index, queries, 10);
  if (truth.by !== 'score') throw new Error('expected scores');
  const found = await index.searchBatch(queries, { k: 10 });
  const values = truth.scoresOf?.(found) ?? found.scores;
  const judged = { values, rows: queries.rows, width: 10 };
  return recallAtKByScore(judged, truth.neighbours, { k: 10, metric });
}

describe('vectors whose norms span six orders of magnitude', () => {
  const random = new Random(7);
  const DIM = 64;
  const draw = (rows: number, scale: () => number): Matrix => {
    const data = new Float32Array(rows * DIM);
    for (let row = 0; row < rows; row++) {
      const norm = scale();
      for (let d = 0; d < DIM; d++) {
        data[row * DIM + d] = (norm * (0.4 + random.gaussian())) / Math.sqrt(DIM);
      }
    }
    return matrix(data, DIM);
  };
  // Many of them long, so that more than a handful can be the nearest.
  const vectors = draw(4000, () => 10 ** (3 - 6 * random.uniform() ** 3));
  const queries = draw(200, () => 10 ** (6 * random.uniform() - 3));

  it.each([
    [{ storage: 'i8' }, 0.9],
    [{ storage: 'i8', rerank: 'f32' }, 0.99],
    [{ storage: 'i4', rerank: 'f32' }, 0.95],
    [{ storage: 'i4', rerank: 'i8' }, 0.9],
    [{ storage: 'bf16' }, 0.9],
    [{ storage: 'f16' }, 0.98],
  ] as const)('are found by dot product: %j', async (options, least) => {
    expect(await recallOf(vectors, queries, 'dot', options)).toBeGreaterThan(least);
  });
});

const items = sharedData('gowalla-ials64', 'items.f16.npy');
const users = sharedData('gowalla-ials64', 'users.f16.npy');

describe('factors of a recommender', () => {
  it.skipIf(items.missing || users.missing).each([
    [{ storage: 'i8' }, 0.95],
    [{ storage: 'i4', rerank: 'f32' }, 0.95],
    [{ storage: 'i4', rerank: 'i8' }, 0.95],
  ] as const)(`are found by dot product: %j${items.note}`, async (options, least) => {
    const vectors = await readMatrix(items.path);
    const all = await readMatrix(users.path);
    const queries = matrix(all.data.subarray(0, 1000 * all.dim), all.dim);
    expect(await recallOf(vectors, queries, 'dot', options)).toBeGreaterThan(least);
  });
});
