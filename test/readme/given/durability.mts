// What the blocks of docs/durability.md take for granted.

import { madeIndex, madeVectors } from './made.mjs';

export const vectors = madeVectors(3);
export const changed = madeVectors(2, 64, 2);
export const query = madeVectors(1, 64, 3);
export const index = await madeIndex();
