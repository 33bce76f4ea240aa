// What the blocks of docs/cluster.md take for granted.

import { madeIndex, madeVectors } from './made.mjs';

await (await madeIndex()).save('items.lichen');
export const vectors = madeVectors(3);
export const query = madeVectors(1, 64, 2);
