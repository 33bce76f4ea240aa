// What the blocks of docs/features.md take for granted.

import { writeFileSync } from 'node:fs';

const vector = JSON.stringify(Array.from({ length: 64 }, (_, at) => at));
const rows = Array.from(
  { length: 10 },
  (_, track) =>
    `${track},${new Date(Date.now() - 3_600_000).toISOString()},${1950 + track},jazz,"${vector}"`,
);
writeFileSync('tracks.csv', `track,event_time,year,genre,vector\n${rows.join('\n')}\n`);

export const times = [Date.now() - 60_000, Date.now()];
export const tracks = [7, 8];
export const pastEvents = [
  { key: 7, time: Date.now() - 120_000, id: 'e1', fields: { listener: 3, seconds: 180 } },
];
