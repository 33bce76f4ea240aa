import { readFileSync, writeFileSync } from 'node:fs';
import type * as writer from 'hyparquet-writer' with { 'resolution-mode': 'import' };
import { brotliCompressSync, deflateRawSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { LichenError } from '../../src/errors.js';
import { readMatrix } from '../../src/vectors/files.js';
import { matrix, type Matrix } from '../../src/vectors/matrix.js';
import { readParquetKeys } from '../../src/vectors/parquet.js';
import { Random } from '../../src/vectors/random.js';
import { temporaryFolder } from './temporary-folder.js';

type Writer = typeof writer;
type WriteOptions = Parameters<Writer['parquetWriteBuffer']>[0];

const FLOATS = 'FLOAT' as const;

/** The elements of a schema for a column of lists, as Arrow writes them. */
function listOf(name: string, type: 'FLOAT' | 'DOUBLE' | 'INT32' | 'INT64', required = false) {
  const repetition = required ? 'REQUIRED' : 'OPTIONAL';
  return [
    { name, repetition_type: repetition, converted_type: 'LIST', num_children: 1 },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', repetition_type: repetition, type },
  ] as const;
}

function rowsOf(rows: number, dim: number, seed = 1): number[][] {
  const random = new Random(seed);
  return Array.from({ length: rows }, () =>
    Array.from({ length: dim }, () => Math.fround(random.uniform() * 2 - 1)),
  );
}

const asMatrix = (rows: readonly (readonly number[])[]): Matrix =>
  matrix(Float32Array.from(rows.flat()), rows[0]!.length);

describe('parquet', () => {
  const at = temporaryFolder();

  async function write(
    name: string,
    columns: Record<string, { data: unknown[]; schema: readonly object[] }>,
    options: object = {},
  ): Promise<string> {
    const { parquetWriteBuffer } = await import('hyparquet-writer');
    const bytes = parquetWriteBuffer({
      columnData: Object.entries(columns).map(([column, { data }]) => ({ name: column, data })),
      schema: [
        { name: 'root', num_children: Object.keys(columns).length },
        ...Object.values(columns).flatMap(({ schema }) => schema),
      ],
      ...options,
    } as WriteOptions);
    writeFileSync(
      at(name),
      name.endsWith('.gz') ? gzipSync(new Uint8Array(bytes)) : new Uint8Array(bytes),
    );
    return at(name);
  }

  const vectors = rowsOf(2500, 6);
  const lists = (data: unknown[] = vectors, type: Parameters<typeof listOf>[1] = FLOATS) => ({
    v: { data, schema: listOf('v', type) },
  });

  it.each([
    ['a.parquet', {}],
    ['A.PARQUET', {}],
    ['a.parquet.gz', {}],
    ['plain.parquet', { codec: 'UNCOMPRESSED' }],
    ['groups.parquet', { rowGroupSize: [7, 640] }],
    ['pages.parquet', { pageSize: 333 }],
    ['gzip.parquet', { codec: 'GZIP', compressors: { GZIP: (b: Uint8Array) => gzipSync(b) } }],
    [
      'brotli.parquet',
      { codec: 'BROTLI', compressors: { BROTLI: (b: Uint8Array) => brotliCompressSync(b) } },
    ],
  ])('reads %s written with %o', async (name, options) => {
    expect(await readMatrix(await write(name, lists(), options))).toEqual(asMatrix(vectors));
  });

  it.each(['DOUBLE', 'INT32', 'INT64'] as const)('reads lists of %s', async (type) => {
    const whole = vectors.slice(0, 20).map((row) => row.map((value) => Math.round(value * 100)));
    const data = type === 'INT64' ? whole.map((row) => row.map(BigInt)) : whole;
    expect(await readMatrix(await write('t.parquet', lists(data, type)))).toEqual(asMatrix(whole));
  });

  it('reads lists of which none can be missing', async () => {
    const schema = listOf('v', FLOATS, true);
    const path = await write('r.parquet', { v: { data: vectors, schema } });
    expect(await readMatrix(path)).toEqual(asMatrix(vectors));
  });

  const others = rowsOf(2500, 3, 2);
  const several = {
    ...lists(),
    w: { data: others, schema: listOf('w', 'DOUBLE') },
    id: {
      data: vectors.map((_, row) => BigInt(row * 10)),
      schema: [{ name: 'id', type: 'INT64', repetition_type: 'REQUIRED' }],
    },
    name: {
      data: vectors.map((_, row) => `n${row}`),
      schema: [
        { name: 'name', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
      ],
    },
  };

  it('reads the column that is named', async () => {
    const path = await write('several.parquet', several);
    expect(await readMatrix(path, { column: 'w' })).toEqual(asMatrix(others));
    expect(await readMatrix(path, { column: 'v' })).toEqual(asMatrix(vectors));
    await expect(readMatrix(path)).rejects.toMatchObject({
      code: 'ERR_LICHEN_ARGUMENT',
      message: `${path} has several columns of vectors: name one of v, w`,
    });
    await expect(readMatrix(path, { column: 'u' })).rejects.toThrow(
      /has no column "u", but v, w, id, name/,
    );
    await expect(readMatrix(path, { column: 'id' })).rejects.toThrow(
      /"id" holds no lists of numbers/,
    );
    await expect(readMatrix(at('a.npy'), { column: 'v' })).rejects.toThrow(
      /column belongs to \.parquet and \.hdf5 files/,
    );
  });

  it('reads keys', async () => {
    const path = await write('keys.parquet', several, { rowGroupSize: 1000 });
    expect(await readParquetKeys(path, 'id')).toEqual(
      Float64Array.from(vectors, (_, row) => row * 10),
    );
    expect(await readParquetKeys(path, 'name')).toEqual(vectors.map((_, row) => `n${row}`));
    await expect(readParquetKeys(path, 'v')).rejects.toThrow(/column "v", row 0 is no key/);
    await expect(readParquetKeys(path, 'u')).rejects.toMatchObject({ code: 'ERR_LICHEN_ARGUMENT' });
    const missing = { data: ['a', null], schema: several.name.schema };
    const gap = await write('gap.parquet', { name: missing });
    await expect(readParquetKeys(gap, 'name')).rejects.toThrow(/column "name", row 1 is no key/);
  });

  it.each([
    ['a list that is missing', [[1, 2], null], 'FORMAT', /column "v", row 1 has no vector/],
    [
      'a value that is missing',
      [
        [1, 2],
        [3, null],
      ],
      'FORMAT',
      /column "v", row 1, value 1 is missing/,
    ],
    ['lists of two lengths', [[1, 2], [3]], 'FORMAT', /row 1 has 1 values, expected 2/],
    ['lists without values', [[], []], 'EMPTY', /no values/],
    [
      'NaN',
      [
        [1, 2],
        [3, NaN],
      ],
      'NOT_FINITE',
      /row 1, column 1 is NaN/,
    ],
    ['no rows', [], 'EMPTY', /holds no vectors/],
  ])('says what is wrong with %s', async (_, data, code, message) => {
    const reading = readMatrix(await write('bad.parquet', lists(data)));
    await expect(reading).rejects.toMatchObject({ code: `ERR_LICHEN_${code}` });
    await expect(reading).rejects.toThrow(message);
  });

  it('says what columns there are if none is of vectors', async () => {
    const path = await write('none.parquet', { id: several.id, name: several.name });
    await expect(readMatrix(path)).rejects.toMatchObject({
      code: 'ERR_LICHEN_FORMAT',
      message: `${path}: none of its columns (id, name) holds lists of numbers`,
    });
  });

  it('names the package that knows other compressions', async () => {
    const compressors = { ZSTD: (bytes: Uint8Array) => deflateRawSync(bytes) };
    const path = await write('zstd.parquet', lists(), { codec: 'ZSTD', compressors });
    await expect(readMatrix(path)).rejects.toMatchObject({
      code: 'ERR_LICHEN_MISSING_PACKAGE',
      message: expect.stringContaining('npm install hyparquet-compressors@1') as string,
    });
  });

  it('gives up when aborted, and says what is not there', async () => {
    const path = await write('abort.parquet', lists());
    await expect(readMatrix(path, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_LICHEN_ABORTED',
    });
    await expect(readMatrix(at('nowhere.parquet'))).rejects.toMatchObject({
      code: 'ERR_LICHEN_NOT_FOUND',
    });
  });

  it('survives any damage: a LichenError or vectors', async () => {
    const whole = readFileSync(
      await write('whole.parquet', lists(rowsOf(40, 5)), { codec: 'UNCOMPRESSED' }),
    );
    const random = new Random(7);
    for (let run = 0; run < 300; run++) {
      const bytes = Uint8Array.from(whole);
      const cut = random.below(4) === 0 ? random.below(bytes.length) : bytes.length;
      for (let flips = random.below(4); flips >= 0; flips--) {
        // The end holds the metadata, where damage can do most.
        const back = random.below(2) === 0 ? random.below(bytes.length) : random.below(400);
        bytes[bytes.length - 1 - Math.min(back, bytes.length - 1)] = random.below(256);
      }
      writeFileSync(at('harmed.parquet'), bytes.subarray(0, cut));
      const result = await readMatrix(at('harmed.parquet')).catch((error: unknown) => error);
      const isFine =
        result instanceof LichenError || (result as Matrix).data instanceof Float32Array;
      expect(isFine, String(result)).toBe(true);
    }
  });
});
