// What the blocks of docs/moving.md take for granted.

import hnswlib from 'hnswlib-node';
import { madeVectors, writeVectors } from './made.mjs';

const ROWS = 300;

const theirs = new hnswlib.HierarchicalNSW('ip', 64);
theirs.initIndex({ maxElements: ROWS });
for (let row = 0; row < ROWS; row++) theirs.addPoint([...madeVectors(1, 64, row)], row);
theirs.writeIndexSync('items.hnsw');
await writeVectors('items.npy', ROWS);

export const someQueries = madeVectors(100, 64, 1000);
export const query = madeVectors(1, 64, 2000);
export const names = Array.from({ length: ROWS }, (_, row) => `item ${row}`);
