// What the blocks of docs/gpu.md take for granted.

import { madeInteractions, madeVectors } from './made.mjs';

export const vectors = madeVectors(120, 128);
export const queries = madeVectors(3, 128, 2);
export const known = madeInteractions();
