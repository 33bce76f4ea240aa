import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // The addon is used from worker threads elsewhere; forks keep one test file's crash out of the others.
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
