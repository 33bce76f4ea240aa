import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readIntMatrix, readMatrix, writeIntMatrix, writeMatrix } from '../../src/vectors/files.js';
import { matrix } from '../../src/vectors/matrix.js';
import { temporaryFolder } from './temporary-folder.js';

const FORMATS = ['fvecs', 'bvecs', 'fbin', 'u8bin', 'i8bin', 'npy', 'ivecs', 'ibin'] as const;
const CODES = ['FORMAT', 'UNSUPPORTED', 'EMPTY', 'NOT_FINITE', 'ARGUMENT'].join('|');

/** A sound file of a format: 5 × 3 small whole numbers. */
async function sound(path: string, format: (typeof FORMATS)[number]): Promise<Buffer> {
  const values = Float32Array.from({ length: 15 }, (_, i) => i);
  const head = (...words: number[]): Buffer => Buffer.from(Int32Array.from(words).buffer);
  const rows = [0, 1, 2, 3, 4].map((row) => Buffer.from([3 * row, 3 * row + 1, 3 * row + 2]));
  if (format === 'bvecs') return Buffer.concat(rows.flatMap((row) => [head(3), row]));
  if (format === 'u8bin' || format === 'i8bin') return Buffer.concat([head(5, 3), ...rows]);
  if (format === 'ivecs' || format === 'ibin') {
    await writeIntMatrix(path, { data: Int32Array.from(values), rows: 5, dim: 3 });
  } else {
    await writeMatrix(path, matrix(values, 3));
  }
  return readFileSync(path);
}

const change = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), at: fc.nat(400), value: fc.nat(255) }),
  // Sizes that are large, negative or nothing.
  fc.record({
    kind: fc.constant('word' as const),
    at: fc.nat(400),
    value: fc.constantFrom(0, -1, 2 ** 31 - 1, -(2 ** 31), 2 ** 24, 1),
  }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat(400), value: fc.constant(0) }),
);

describe.each(FORMATS.flatMap((format) => [format, `${format}.gz`]))(
  'a damaged %s',
  (extension) => {
    const at = temporaryFolder();
    const format = extension.replace('.gz', '') as (typeof FORMATS)[number];
    const isIntegers = format === 'ivecs' || format === 'ibin';

    it('is read or refused with an error of its own, and allocates nothing on its word', async () => {
      const good = await sound(at(`good.${format}`), format);
      const path = at(`bad.${extension}`);
      await fc.assert(
        fc.asyncProperty(
          fc.array(change, { minLength: 1, maxLength: 4 }),
          fc.boolean(),
          async (changes, packsFirst) => {
            // Of a gzipped file either the contents are damaged or the file itself.
            const isPacked = extension.endsWith('.gz');
            let bytes = Buffer.from(isPacked && packsFirst ? gzipSync(good) : good);
            for (const { kind, at: place, value } of changes) {
              if (bytes.length < 4) break;
              if (kind === 'set') bytes[place % bytes.length] = value;
              else if (kind === 'cut') bytes = bytes.subarray(0, place % bytes.length);
              else bytes.writeInt32LE(value, (place * 4) % (bytes.length - 3));
            }
            writeFileSync(path, isPacked && !packsFirst ? gzipSync(bytes) : bytes);
            const outcome = await (isIntegers ? readIntMatrix(path) : readMatrix(path)).then(
              ({ data, rows, dim }) => {
                expect(data.length).toBe(rows * dim);
                expect(rows).toBeLessThan(100);
                return 'read';
              },
              (error: { code?: string }) => String(error.code),
            );
            expect(outcome).toMatch(new RegExp(`^(read|ERR_LICHEN_(${CODES}))$`));
          },
        ),
        { numRuns: 150 },
      );
    });
  },
);
