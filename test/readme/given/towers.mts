// What the blocks of docs/towers.md take for granted.

import { mkdirSync, writeFileSync } from 'node:fs';
import { madeInteractions, madeMatrix, writeLists } from './made.mjs';

const TRACKS = 60;

mkdirSync('gowalla');
writeLists('gowalla/train.txt.gz');
writeLists('gowalla/test.txt.gz', { each: 3, shift: 7 });
const small = { users: 40, items: 80 };
writeLists('train.txt.gz', { ...small, each: 8 });
writeLists('test.txt.gz', { ...small, each: 3, shift: 9 });
writeLists('sequences.txt.gz', { users: 60, items: TRACKS, each: 6 });
writeLists('users.txt', { users: 60, items: TRACKS, each: 10 });
const tags = Array.from({ length: TRACKS }, (_, item) => `2 ${item % 2} ${2 + (item % 5)}\n`);
writeFileSync('item-tag.dat', tags.join(''));

const names = { user: 'u', item: 'track' };
export const known = madeInteractions(names, { items: TRACKS });
export const more = madeInteractions(names, { items: TRACKS, shift: 3 });
export const genres = Array.from({ length: TRACKS }, (_, row) => ['jazz', 'rock'][row % 2]!);
export const years = Array.from({ length: TRACKS }, (_, row) => 1950 + row);
export const titles = Array.from({ length: TRACKS }, (_, row) => `Blue Song ${row}`);
export const itemFeatures = Array.from({ length: TRACKS }, (_, row) =>
  Array.from({ length: 8 }, (_, at) => ((row >> at) & 1) - 0.5),
);
export const vectors = madeMatrix(200);
export const queries = madeMatrix(5, 64, 2);
