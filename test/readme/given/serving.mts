// What the blocks of docs/serving.md take for granted.

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { EmbeddingStore, HnswIndex, itemsOf, TwoTowerModel } from 'lichen';
import { madeInteractions, madeVectors } from './made.mjs';

export const interactions = madeInteractions();
export const model = await TwoTowerModel.train(interactions, { dim: 16, epochs: 2 });
mkdirSync('models');
await model.save('models/1');
export const index = new HnswIndex({
  dim: model.dim,
  metric: 'dot',
  attributes: { genre: 'category' },
});
await index.add(model.itemVectors, {
  attributes: { genre: Array.from({ length: model.items.size }, () => 'jazz') },
});
await index.save('items.lichen');
const lines = Array.from({ length: interactions.users.size }, (_, user) =>
  Array.from(
    itemsOf(interactions, user),
    (item) => `${interactions.users.idAt(user)},${interactions.items.idAt(item)}\n`,
  ).join(''),
);
writeFileSync('interactions.csv', `user,item\n${lines.join('')}`);

export interface User {
  readonly id: string;
  readonly vector: Float32Array;
}
export const user: User = { id: 'u1', vector: madeVectors(1) };
export const { signal } = new AbortController();
export const apiKey = createHash('sha256').update('a key').digest('hex');
export async function encodeAndSearch(
  batch: readonly User[],
  stop: AbortSignal,
): Promise<string[]> {
  stop.throwIfAborted();
  return Promise.resolve(batch.map(({ id }) => id));
}

const narrow = new HnswIndex({ dim: 32, metric: 'dot' });
await narrow.add(madeVectors(200, 32));
const store = new EmbeddingStore({ dim: 64, metric: 'dot' });
store.append(madeVectors(200));

/** Of the blocks that contain a text. */
export const only = {
  layersStage: {
    index: narrow,
    store: store,
    model: tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [2] })] }),
    features: (_: User, keys: ArrayLike<number>) => tf.ones([keys.length, 2]),
  },
};
