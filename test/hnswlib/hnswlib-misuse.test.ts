import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LichenError } from '../../src/errors.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { line } from './line.js';

const file = temporaryFolder();

describe('an hnswlib index, whatever it is given', () => {
  const anything = fc.oneof(
    fc.anything({ withBigInt: true, withTypedArray: true, withSparseArray: true }),
    fc.constantFrom<unknown>(
      ...[null, undefined, NaN, -0, 2 ** 32, 1e300, Symbol('s'), () => 1, ['a', 'b'], [[1, 2]]],
      ...[new Float32Array(2), [1, 2], Uint8Array.of(255), { length: 2 ** 40 }],
      new Proxy([], { get: () => NaN }),
    ),
  );
  const options = fc.oneof(
    anything,
    ...['k', 'ef', 'exact', 'threads', 'keys', 'signal', 'onProgress', 'filter', 'dim'].map(
      (name) => fc.record({ k: fc.constant(3), [name]: anything }),
    ),
  );
  const methods = [
    ...(['add', 'addSync', 'searchSync', 'search', 'searchBatch'] as const),
    ...(['filter', 'has', 'get', 'remove', 'update', 'save'] as const),
  ];

  it('refuses lists as options, whose methods have the names of options', () => {
    using index = line();
    for (const list of [[], new Float32Array(0)]) {
      expect(() => index.searchSync([9, 1], list as never)).toThrow('options must be an object');
    }
  });

  it('throws LichenErrors only and goes on working', async () => {
    const path = file('fuzzed.hnsw');
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...methods),
        anything,
        options,
        async (name, first, second) => {
          using index = line();
          const call = index[name].bind(index) as (...args: unknown[]) => unknown;
          try {
            await call(name === 'save' ? path : first, second);
          } catch (failure) {
            if (!(failure instanceof LichenError)) throw failure;
            expect(failure.code).not.toBe('ERR_LICHEN_INTERNAL');
          }
          expect(index.size).toBeGreaterThanOrEqual(9);
          expect(index.searchSync([9, 1], { k: 1 }).keys).toHaveLength(1);
        },
      ),
      { numRuns: 800 },
    );
  });
});
