import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readIntMatrix, readMatrix, writeIntMatrix, writeMatrix } from '../../src/vectors/files.js';
import { matrix } from '../../src/vectors/matrix.js';
import { sharedData } from './shared-data.js';
import { temporaryFolder } from './temporary-folder.js';

const int32 = (...values: number[]): Buffer => Buffer.from(Int32Array.from(values).buffer);
const float32 = (...values: number[]): Buffer => Buffer.from(Float32Array.from(values).buffer);

describe('files', () => {
  const at = temporaryFolder();
  const file = (name: string, ...parts: Uint8Array[]): string => {
    const bytes = Buffer.concat(parts);
    writeFileSync(at(name), name.endsWith('.gz') ? gzipSync(bytes) : bytes);
    return at(name);
  };
  // Larger than a block, with a dim that divides none.
  const large = matrix(
    Float32Array.from({ length: 4001 * 77 }, (_, i) => ((i * 2654435761) % 4096) / 64 - 32),
    77,
  );

  it.each(['a.npy', 'a.fvecs', 'a.fbin', 'a.npy.gz', 'a.fvecs.gz', 'A.FBIN.GZ'])(
    'writes and reads %s',
    async (name) => {
      await writeMatrix(at(name), large);
      expect(await readMatrix(at(name))).toEqual(large);
    },
  );

  it('writes halfs', async () => {
    await writeMatrix(at('h.npy'), large, { dtype: 'f16' });
    expect(readFileSync(at('h.npy')).length).toBe(128 + large.data.length * 2);
    expect(await readMatrix(at('h.npy'))).toEqual(large); // multiples of 1/64 below 32 are halfs
    await expect(writeMatrix(at('h.fbin'), large, { dtype: 'f16' })).rejects.toMatchObject({
      code: 'ERR_LICHEN_UNSUPPORTED',
    });
  });

  it.each(['i.npy', 'i.ivecs', 'i.ibin', 'i.npy.gz'])(
    'writes and reads integers in %s',
    async (name) => {
      const data = Int32Array.of(1, -2, 3, 2 ** 31 - 1, -(2 ** 31), 0);
      await writeIntMatrix(at(name), { data, rows: 2, dim: 3 });
      expect(await readIntMatrix(at(name))).toEqual({ data, rows: 2, dim: 3 });
    },
  );

  it('writes wide integers where they fit', async () => {
    const wide = { data: Float64Array.of(2 ** 40, -1), rows: 1, dim: 2 };
    await writeIntMatrix(at('w.npy'), wide);
    expect([...(await readMatrix(at('w.npy'))).data]).toEqual([2 ** 40, -1]);
    await expect(writeIntMatrix(at('w.ibin'), wide)).rejects.toThrow(/beyond 32 bits/);
    await expect(writeIntMatrix(at('w.npy'), { data: [1.5], rows: 1, dim: 1 })).rejects.toThrow(
      /value 0 must be an integer, got 1.5/,
    );
  });

  it('reads the other kinds', async () => {
    const expected = matrix(Float32Array.of(1, 2, 3, 4), 2);
    expect(
      await readMatrix(
        file('b.bvecs', int32(2), Uint8Array.of(1, 2), int32(2), Uint8Array.of(3, 4)),
      ),
    ).toEqual(expected);
    expect(await readMatrix(file('b.ivecs', int32(2, 1, 2, 2, 3, 4)))).toEqual(expected);
    expect(await readMatrix(file('b.u8bin', int32(2, 2), Uint8Array.of(1, 2, 3, 4)))).toEqual(
      expected,
    );
    expect(await readMatrix(file('b.i8bin.gz', int32(2, 2), Uint8Array.of(1, 2, 3, 4)))).toEqual(
      expected,
    );
    expect(await readMatrix(file('b.ibin', int32(2, 2, 1, 2, 3, 4)))).toEqual(expected);
  });

  it.each([
    [
      'r.fvecs',
      [int32(2), float32(1, 2), int32(3), float32(1, 2, 3)],
      'FORMAT',
      /ragged: row 1 has dim 3, .* have 2/,
    ],
    [
      'r.fvecs',
      [int32(2), float32(1, 2), int32(1), float32(1)],
      'FORMAT',
      /ragged: row 1 has dim 1/,
    ],
    [
      'r.fvecs',
      [int32(2), float32(1, 2), int32(2), float32(1)],
      'FORMAT',
      /truncated: row 1 of dim 2 has only 8 bytes/,
    ],
    [
      'r.fvecs',
      [int32(2), float32(1, 2), Buffer.alloc(3)],
      'FORMAT',
      /row 1 must begin with its dim.*3 last bytes/,
    ],
    ['r.fvecs', [int32(2 ** 31 - 1), float32(1, 2)], 'FORMAT', /truncated: row 0/],
    ['r.fvecs.gz', [int32(-1), float32(1, 2)], 'FORMAT', /got dim -1/],
    ['r.fvecs', [], 'EMPTY', /holds no vectors/],
    ['r.fbin', [int32(2)], 'FORMAT', /header of 8 bytes, got 4/],
    [
      'r.fbin',
      [int32(-1, -1), float32(1)],
      'FORMAT',
      /truncated: the header says 4294967295 x 4294967295/,
    ],
    ['r.fbin', [int32(1, 2), float32(1, 2, 3)], 'FORMAT', /4 bytes too many/],
    ['r.fbin', [int32(0, 2)], 'EMPTY', /0 x 2/],
    ['r.fbin', [int32(2, 1), float32(1, NaN)], 'NOT_FINITE', /r\.fbin: row 1, column 0 is NaN/],
    ['r.csv', [int32(1)], 'UNSUPPORTED', /must end in \.npy, \.fvecs.* with \.gz/],
    ['r.hdf5', [int32(1)], 'FORMAT', /r\.hdf5 is no whole HDF5 file: it does not begin as one/],
    ['r.hdf5.gz', [int32(1)], 'UNSUPPORTED', /compressed inside, unpack it first/],
    ['r.arrow.gz', [int32(1)], 'UNSUPPORTED', /\.arrow is not supported yet/],
    ['r.parquet.gz', [int32(1)], 'FORMAT', /is no whole parquet file/],
  ])('refuses %s (%#)', async (name, parts, code, message) => {
    await expect(readMatrix(file(name, ...parts))).rejects.toMatchObject({
      code: `ERR_LICHEN_${code}`,
      message: expect.stringMatching(message) as string,
    });
  });

  it('lets non-finite values through when told to', async () => {
    const path = file('n.fbin', int32(2, 1), float32(1, NaN));
    expect([...(await readMatrix(path, { allowNonFinite: true })).data]).toEqual([1, NaN]);
  });

  it('tells damaged gzip files, missing files and folders', async () => {
    const whole = gzipSync(Buffer.concat([int32(500, 100), Buffer.alloc(200000, 1)]));
    for (const bytes of [whole.subarray(0, -9), Buffer.from('no gzip at all'), Buffer.alloc(0)]) {
      writeFileSync(at('z.fbin.gz'), bytes);
      await expect(readMatrix(at('z.fbin.gz'))).rejects.toMatchObject({
        code: 'ERR_LICHEN_FORMAT',
      });
    }
    for (const path of [at('missing.npy'), at('missing.npy.gz')]) {
      await expect(readMatrix(path)).rejects.toMatchObject({
        code: 'ERR_LICHEN_NOT_FOUND',
        message: `cannot read ${path}: no such file or folder`,
      });
    }
    const folder = at('folder.npy');
    await writeMatrix(at('x.npy'), large);
    expect(() => readdirSync(folder)).toThrow();
  });

  it('leaves nothing half written when aborted', async () => {
    const signal = AbortSignal.abort();
    await expect(writeMatrix(at('aborted.npy'), large, { signal })).rejects.toMatchObject({
      code: 'ERR_LICHEN_ABORTED',
    });
    const later = new AbortController();
    const writing = writeMatrix(at('aborted.npy.gz'), large, { signal: later.signal });
    later.abort();
    await expect(writing).rejects.toMatchObject({ code: 'ERR_LICHEN_ABORTED' });
    await expect(readMatrix(at('a.npy'), { signal })).rejects.toMatchObject({
      code: 'ERR_LICHEN_ABORTED',
    });
    expect(readdirSync(dirname(at('x'))).filter((name) => /aborted|tmp/.test(name))).toEqual([]);
  });

  it('reports progress in bytes', async () => {
    for (const name of ['a.npy', 'a.npy.gz']) {
      let last: number[] = [];
      await readMatrix(at(name), { onProgress: (done, total) => (last = [done, total]) });
      const size = readFileSync(at(name)).length;
      expect(last).toEqual([size, size]);
    }
  });

  const sift = sharedData('sift-5k', 'base.u8.npy');
  it.skipIf(sift.missing)(`reads the SIFT vectors${sift.note}`, async () => {
    const { rows, dim } = await readMatrix(sift.path);
    expect([rows, dim]).toEqual([5000, 128]);
  });

  const halfs = sharedData('gowalla-ials64', 'items.f16.npy');
  it.skipIf(halfs.missing)(`reads the Gowalla item factors${halfs.note}`, async () => {
    const { rows, dim } = await readMatrix(halfs.path);
    expect([rows, dim]).toEqual([40981, 64]);
  });

  it('writes gzip that others can read', () => {
    const plain = readFileSync(at('a.fbin.gz'.replace('a.fbin.gz', 'A.FBIN.GZ')));
    expect(gunzipSync(plain).readUInt32LE(0)).toBe(4001);
  });
});
