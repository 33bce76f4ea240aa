// What the blocks of docs/searching.md take for granted.

import { HnswIndex, TwoTowerModel } from 'lichen';
import { madeInteractions, madeVectors } from './made.mjs';

const ROWS = 300;

export const vectors = madeVectors(ROWS);
export const keys = Array.from({ length: ROWS }, (_, row) => row);
export const genres = Array.from({ length: ROWS }, (_, row) => ['jazz', 'rock'][row % 2]!);
export const years = Array.from({ length: ROWS }, (_, row) => 1950 + (row % 50));
export const artists = Array.from({ length: ROWS }, (_, row) => `artist ${row % 30}`);
export const seen = [1, 2, 3];
export const stock = new Set(Array.from({ length: 200 }, (_, row) => row));
export const query = madeVectors(1, 64, 2);
export const queries = [madeVectors(1, 64, 3), madeVectors(1, 64, 4)];
export const changed = madeVectors(2, 64, 5);

export const index = new HnswIndex({
  dim: 64,
  metric: 'dot',
  attributes: { genre: 'category', year: 'number', artist: 'category' },
});
await index.add(vectors, { keys, attributes: { genre: genres, year: years, artist: artists } });

export const model = await TwoTowerModel.train(madeInteractions(), { dim: 16, epochs: 2 });
