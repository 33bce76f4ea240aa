// What the blocks of README.md take for granted.

import { mkdirSync } from 'node:fs';
import { madeIndex, madeVectors, writeLists, writeVectors } from './made.mjs';

await (await madeIndex(200)).save('items.lichen');
await writeVectors('users.npy', 50);
writeLists('train.txt.gz', { users: 40, items: 80, each: 8 });
mkdirSync('gowalla');
writeLists('gowalla/train.txt.gz');
writeLists('gowalla/test.txt.gz', { each: 3, shift: 7 });

const keys = Array.from({ length: 100 }, (_, row) => `item ${row}`);

/** Of the blocks that contain a text. */
export const only = {
  'dim: 384': {
    vectors: madeVectors(100, 384),
    keys: keys,
    stock: new Set(keys.slice(0, 60)),
    seen: keys.slice(0, 5),
    query: madeVectors(1, 384),
  },
  'await index.remove([30])': {
    vectors: madeVectors(3),
    changed: madeVectors(2, 64, 2),
    query: madeVectors(1, 64, 3),
  },
  'LiveIndex.open': {
    index: await madeIndex(),
    changed: madeVectors(2, 64, 2),
    query: madeVectors(1, 64, 3),
  },
  'kind-of-blue': { vectors: madeVectors(2), query: madeVectors(1, 64, 3) },
};
