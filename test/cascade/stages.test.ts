import { describe, expect, it } from 'vitest';
import type { LayersModel } from '@tensorflow/tfjs';
import {
  Cascade,
  EmbeddingStore,
  FlatIndex,
  HnswIndex,
  indexRetrieval,
  layersStage,
  loadTensorFlow,
  Random,
  storeStage,
} from '../../src/index.js';
import { outcome } from '../batching/helpers.js';

const DIM = 16;
const ROWS = 500;
const random = new Random(1);
const items = Array.from({ length: ROWS }, () =>
  Float32Array.from({ length: DIM }, () => random.gaussian()),
);
const user = { vector: Float32Array.from({ length: DIM }, () => random.gaussian()) };
type User = typeof user;
const vector = ({ vector: given }: User): Float32Array => given;
/** The first so many values alone, as a coarse model would have them. */
const prefix = (from: Float32Array, length: number): Float32Array => from.slice(0, length);

const dot = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, value, at) => sum + value * b[at]!, 0);
const best = (scores: readonly number[], count: number): number[] =>
  scores
    .map((score, at) => ({ score, at }))
    .sort((a, b) => b.score - a.score)
    .slice(0, count)
    .map(({ at }) => at);

describe('stages over vectors', () => {
  it('come to the exact order among the candidates of a coarse index', async () => {
    const coarse = new FlatIndex({ dim: 4, metric: 'dot' });
    await coarse.add(items.map((item) => prefix(item, 4)));
    const store = new EmbeddingStore({ dim: DIM, metric: 'dot', storage: 'f32' });
    store.append(items);
    const cascade = new Cascade({
      retrieval: indexRetrieval({
        index: coarse,
        candidates: 100,
        vector: (asked: User) => prefix(asked.vector, 4),
      }),
      stages: [storeStage({ name: 'all dimensions', store, vector, candidates: 100 })],
      k: 10,
    });
    const { keys, scores, stages } = await cascade.rank(user);
    const near = best(
      items.map((item) => dot(prefix(item, 4), prefix(user.vector, 4))),
      100,
    );
    const exact = best(
      near.map((row) => dot(items[row]!, user.vector)),
      10,
    );
    expect([...keys]).toEqual(exact.map((at) => near[at]));
    expect(scores[0]).toBeCloseTo(dot(items[keys[0]!]!, user.vector), 4);
    expect(stages.map(({ name }) => name)).toEqual(['retrieval', 'all dimensions']);
    coarse.close();
    store.close();
  });

  it('know that a smaller squared distance is better, and rows of keys', async () => {
    const index = new HnswIndex<string>({ dim: DIM, metric: 'l2' });
    await index.add(items, { keys: items.map((_, row) => `item ${row}`) });
    const store = new EmbeddingStore({ dim: DIM, metric: 'l2', storage: 'f32' });
    store.append(items);
    const row = (key: string): number => Number(key.slice(5));
    const cascade = new Cascade({
      retrieval: indexRetrieval({ index, candidates: 50, vector, search: { ef: 200 } }),
      stages: [storeStage({ name: 'exact', store, vector, row, candidates: 50 })],
      k: 5,
    });
    const { keys } = await cascade.rank(user);
    const distances = items.map(
      (item) => -item.reduce((sum, v, d) => sum + (v - user.vector[d]!) ** 2, 0),
    );
    expect(keys).toEqual(best(distances, 5).map((at) => `item ${at}`));
    index.close();
    store.close();
  });

  it('search as each request wants, for no more than there are', async () => {
    const index = new FlatIndex({ dim: DIM, metric: 'dot' });
    await index.add(items.slice(0, 30));
    const exclude = best(
      items.slice(0, 30).map((item) => dot(item, user.vector)),
      3,
    );
    const cascade = new Cascade({
      retrieval: indexRetrieval({ index, candidates: 100, vector, search: () => ({ exclude }) }),
      stages: [],
      k: 50,
    });
    const { keys } = await cascade.rank(user);
    expect(keys).toHaveLength(27);
    for (const key of exclude) expect(keys).not.toContain(key);
    index.close();
    expect(await outcome(cascade.rank(user))).toBe('ERR_LICHEN_CLOSED');
  });

  it('say what they cannot be made of', () => {
    const store = new EmbeddingStore({ dim: DIM, metric: 'dot' });
    const index = new FlatIndex({ dim: DIM, metric: 'dot' });
    const makers = [
      () => indexRetrieval({ index: store as never, candidates: 1, vector }),
      () => indexRetrieval({ index, candidates: 1, vector: 5 as never }),
      () => storeStage({ name: 'a', store: index as never, candidates: 1, vector }),
      () => storeStage({ name: 'a', store, candidates: 1, vector: undefined as never }),
      () => layersStage({ name: 'a', model: {} as never, candidates: 1, inputs: () => [] }),
      () => layersStage({ name: 'a', model: null as never, candidates: 1, inputs: () => [] }),
    ];
    for (const make of makers) {
      expect(make).toThrowError(expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }));
    }
  });
});

describe('a stage of a TensorFlow.js model', () => {
  it('scores all candidates at once and leaves no tensor behind', async () => {
    const { tf } = await loadTensorFlow('auto');
    const { sequential, layers } = await import('@tensorflow/tfjs');
    const model: LayersModel = sequential({
      layers: [layers.dense({ units: 1, inputShape: [DIM], useBias: false })],
    });
    model.setWeights([tf.tensor2d(user.vector, [DIM, 1])]);
    const index = new FlatIndex({ dim: DIM, metric: 'dot' });
    await index.add(items);
    const stage = layersStage<User, number>({
      ...{ name: 'model', model, candidates: 40 },
      inputs: (_asked, { keys }) => {
        const rows = Float32Array.from([...keys].flatMap((key) => [...items[key]!]));
        return tf.tensor2d(rows, [keys.length, DIM]);
      },
    });
    const cascade = new Cascade({
      // The other way round.
      retrieval: indexRetrieval({ index, candidates: 40, vector: vectorOf }),
      stages: [stage],
      k: 40,
    });
    const before = tf.memory().numTensors;
    const { keys, stages } = await cascade.rank(user);
    expect(tf.memory().numTensors).toBe(before);
    expect(stages[1]).toMatchObject({ outcome: 'full', candidates: 40 });
    const found = best(
      items.map((item) => -dot(item, user.vector)),
      40,
    );
    const scored = best(
      found.map((row) => dot(items[row]!, user.vector)),
      40,
    );
    expect([...keys]).toEqual(scored.map((at) => found[at]));
    index.close();
    model.dispose();
  });
});

function vectorOf({ vector: given }: User): Float32Array {
  return given.map((value) => -value);
}
