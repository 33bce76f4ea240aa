// What the blocks of docs/benchmarks.md take for granted.

import { madeMatrix } from './made.mjs';

export const vectors = madeMatrix(300);
export const queries = madeMatrix(5, 64, 2);
