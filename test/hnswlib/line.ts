import { expect } from 'vitest';
import type { LichenErrorCode } from '../../src/errors.js';
import { HnswlibIndex } from '../../src/hnswlib/hnswlib-index.js';

/** What matches an error by its code and message. */
export const error = (code: LichenErrorCode, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;

/** An l2 index of the ten vectors [row, 1]. */
export function line(): HnswlibIndex {
  const index = new HnswlibIndex({ dim: 2, metric: 'l2' });
  index.addSync(Array.from({ length: 10 }, (_, at) => [at, 1]));
  return index;
}
