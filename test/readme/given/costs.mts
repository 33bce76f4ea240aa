// What the blocks of docs/costs.md take for granted.

import { mkdirSync } from 'node:fs';
import { readInteractions, TwoTowerModel } from 'lichen';
import { madeMatrix, writeLists, writeVectors } from './made.mjs';

await writeVectors('items.npy', 300);
await writeVectors('users.npy', 60);
mkdirSync('gowalla');
writeLists('gowalla/train.txt.gz');
writeLists('gowalla/test.txt.gz', { each: 3, shift: 7 });
const known = await readInteractions('gowalla/train.txt.gz');
const model = await TwoTowerModel.train(known, { dim: 32, prefixes: [16], epochs: 2 });
await model.save('gowalla-model');

export const vectors = madeMatrix(2100);
