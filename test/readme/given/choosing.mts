// What the blocks of docs/choosing.md take for granted.

import { madeVectors, writeVectors } from './made.mjs';

await writeVectors('items.npy', 1200);
await writeVectors('users.npy', 30);
await writeVectors('mnist-train.npy.gz', 300, 784);
await writeVectors('mnist-test.npy.gz', 20, 784);

export const vectors = madeVectors(1200);
export const sampleQueries = madeVectors(100, 64, 2);
export const query = madeVectors(1, 64, 3);
