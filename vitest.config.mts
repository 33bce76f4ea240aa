import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Rooms whose tests leave nothing behind in the process, and so share one a worker: starting it takes longer than most. */
const SHARING = [
  ...['cache', 'catalogue', 'evaluation', 'features', 'golden', 'index', 'interactions'],
  ...['ranking', 'servers', 'towers', 'vectors'],
].map((room) => `test/${room}/**/*.test.ts`);

export default defineConfig({
  test: {
    // The addon is used from worker threads elsewhere; forks keep one test file's crash out of the others.
    pool: 'forks',
    // One more than there are processors: many tests wait for other processes and for disks.
    maxWorkers: availableParallelism() + 1,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      { extends: true, test: { name: 'alone', include: ['test/**/*.test.ts'], exclude: SHARING } },
      { extends: true, test: { name: 'sharing', include: SHARING, isolate: false } },
    ],
  },
});
