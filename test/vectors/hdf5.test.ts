import fc from 'fast-check';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { readIntMatrix, readMatrix } from '../../src/vectors/files.js';
import { withHdf5, writeHdf5 } from '../../src/vectors/hdf5.js';
import { temporaryFolder } from './temporary-folder.js';

/** jsfive, a reader of its own. */
interface Jsfive {
  File: new (
    bytes: ArrayBuffer,
    name: string,
  ) => {
    readonly keys: string[];
    readonly attrs: Record<string, unknown>;
    get(name: string): {
      readonly shape: number[];
      readonly dtype: string;
      readonly value: number[];
    };
  };
}
let jsfive: Jsfive;
beforeAll(async () => {
  const name = 'jsfive';
  jsfive = (await import(name)) as Jsfive;
});

const at = temporaryFolder();

function bytesOf(path: string): ArrayBuffer {
  const bytes = readFileSync(path);
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}

describe('files of HDF5', () => {
  it('are written so that another library reads the same', async () => {
    const path = at('written.hdf5');
    const times = Float64Array.of(0.5, 1e-9, 3);
    const vectors = Float32Array.from({ length: 12 }, (_, place) => place / 8);
    const keys = Int32Array.of(4, -1, 2 ** 31 - 1, 0);
    await writeHdf5(path, {
      attributes: { distance: 'angular', count: 10, share: 0.25, flag: true },
      datasets: [
        { name: 'times', data: times, shape: [3] },
        { name: 'train', data: vectors, shape: [4, 3] },
        { name: 'neighbors', data: keys, shape: [2, 2] },
      ],
    });
    const file = new jsfive.File(bytesOf(path), 'written');
    expect(file.keys.sort()).toEqual(['neighbors', 'times', 'train']);
    expect(Array.from(file.get('times').value)).toEqual([...times]);
    expect(file.get('train').shape).toEqual([4, 3]);
    expect(Array.from(file.get('train').value)).toEqual([...vectors]);
    expect(Array.from(file.get('neighbors').value)).toEqual([...keys]);
    expect(file.attrs).toMatchObject({ distance: 'angular', share: 0.25 });
    expect([Number(file.attrs['count']), Number(file.attrs['flag'])]).toEqual([10, 1]);
    expect(existsSync(`${path}.part`)).toBe(false);
  });

  it('give back what was written, for any matrix', async () => {
    const path = at('any.h5');
    const size = fc.integer({ min: 1, max: 20 });
    await fc.assert(
      fc.asyncProperty(size, size, fc.integer(), async (rows, dim, seed) => {
        const data = Float32Array.from({ length: rows * dim }, (_, place) =>
          Math.fround(Math.sin(seed + place) * 10 ** ((place % 9) - 4)),
        );
        const whole = Int32Array.from(data, (value) => value * 1000);
        await writeHdf5(path, {
          attributes: {},
          datasets: [
            { name: 'train', data, shape: [rows, dim] },
            { name: 'test', data: Float64Array.from(data), shape: [rows, dim] },
            { name: 'neighbors', data: whole, shape: [rows, dim] },
          ],
        });
        const expected = { data, rows, dim };
        expect(await readMatrix(path)).toEqual(expected);
        expect(await readMatrix(path, { column: 'test' })).toEqual(expected);
        expect(await readIntMatrix(path)).toEqual({ data: whole, rows, dim });
      }),
      { numRuns: 25 },
    );
  });

  it('are read in parts, with progress, and given up when asked', async () => {
    const path = at('large.hdf5');
    const [rows, dim] = [3000, 1000];
    const data = Float32Array.from({ length: rows * dim }, (_, place) => place % 251);
    await writeHdf5(path, {
      attributes: {},
      datasets: [{ name: 'train', data, shape: [rows, dim] }],
    });
    const seen: number[] = [];
    const read = await readMatrix(path, { onProgress: (done) => seen.push(done) });
    expect(Buffer.compare(Buffer.from(read.data.buffer), Buffer.from(data.buffer))).toBe(0);
    expect(seen.length).toBeGreaterThan(1);
    expect(seen.at(-1)).toBe(rows);
    const controller = new AbortController();
    const reading = readMatrix(path, {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(reading).rejects.toMatchObject({ code: 'ERR_LICHEN_ABORTED' });
  });

  it('are refused with a code when they are damaged anywhere', async () => {
    const whole = at('whole.hdf5');
    const data = Float32Array.from({ length: 600 }, (_, place) => place);
    await writeHdf5(whole, {
      attributes: {},
      datasets: [{ name: 'train', data, shape: [60, 10] }],
    });
    const bytes = readFileSync(whole);
    const path = at('cut.hdf5');
    for (const length of [0, 4, 8, 100, 512, 900, bytes.length >> 1, bytes.length - 1]) {
      writeFileSync(path, bytes.subarray(0, length));
      await expect(readMatrix(path), `cut at ${length}`).rejects.toMatchObject({
        code: 'ERR_LICHEN_FORMAT',
      });
    }
    // One bit after another of the superblock and the headers: an error with a code, or what can be read.
    for (let bit = 0; bit < 8 * 800; bit += 37) {
      const harmed = Buffer.from(bytes);
      harmed[bit >> 3]! ^= 1 << (bit & 7);
      writeFileSync(path, harmed);
      const outcome = await readMatrix(path, { allowNonFinite: true }).then(
        () => 'ERR_LICHEN_',
        (error: { code?: unknown }) => String(error.code),
      );
      expect(outcome, `bit ${bit}`).toMatch(/^ERR_LICHEN_/);
    }
    expect((await readMatrix(whole)).rows).toBe(60);
  });

  it('are refused for what is no matrix of numbers', async () => {
    const path = at('odd.hdf5');
    await writeHdf5(path, {
      attributes: {},
      datasets: [
        { name: 'line', data: Float32Array.of(1, 2), shape: [2] },
        { name: 'cube', data: new Float32Array(8), shape: [2, 2, 2] },
        { name: 'real', data: Float32Array.of(1.5), shape: [1, 1] },
        { name: 'large', data: Float64Array.of(2 ** 40), shape: [1, 1] },
        { name: 'wild', data: Float32Array.of(1, NaN), shape: [2, 1] },
      ],
    });
    const vectors = (column: string) => readMatrix(path, { column });
    await expect(vectors('line')).rejects.toMatchObject({ code: 'ERR_LICHEN_FORMAT' });
    await expect(vectors('cube')).rejects.toMatchObject({ code: 'ERR_LICHEN_FORMAT' });
    await expect(vectors('wild')).rejects.toMatchObject({ code: 'ERR_LICHEN_NOT_FINITE' });
    await expect(vectors('none')).rejects.toMatchObject({
      code: 'ERR_LICHEN_ARGUMENT',
      message: expect.stringMatching(/no data set "none", but .*"line"/) as string,
    });
    const integers = readIntMatrix(path, { column: 'real' });
    await expect(integers).rejects.toMatchObject({ code: 'ERR_LICHEN_UNSUPPORTED' });
    await expect(readMatrix(at('absent.hdf5'))).rejects.toMatchObject({
      code: 'ERR_LICHEN_NOT_FOUND',
    });
    await expect(readMatrix(at('x.npy'), { column: 'train' })).rejects.toMatchObject({
      code: 'ERR_LICHEN_ARGUMENT',
    });
  });

  it('of 64-bit integers are read as long as the values have room', async () => {
    const name = 'h5wasm/node';
    const h5 = (await import(name)) as {
      ready: Promise<unknown>;
      File: new (
        path: string,
        mode: string,
      ) => {
        create_dataset(what: { name: string; data: BigInt64Array; shape: number[] }): void;
        flush(): void;
        close(): void;
      };
    };
    await h5.ready;
    const path = at('long.hdf5');
    const file = new h5.File(path, 'w');
    file.create_dataset({ name: 'neighbors', data: BigInt64Array.of(7n, 9n), shape: [1, 2] });
    file.create_dataset({ name: 'beyond', data: BigInt64Array.of(1n << 40n), shape: [1, 1] });
    file.flush();
    file.close();
    expect(await readIntMatrix(path)).toEqual({ data: Int32Array.of(7, 9), rows: 1, dim: 2 });
    await expect(readIntMatrix(path, { column: 'beyond' })).rejects.toMatchObject({
      code: 'ERR_LICHEN_FORMAT',
      message: expect.stringMatching(/beyond 32 bits/) as string,
    });
  });

  it('are left as they were when writing fails', async () => {
    const missing = writeHdf5(at('none/x.hdf5'), { attributes: {}, datasets: [] });
    await expect(missing).rejects.toMatchObject({ code: 'ERR_LICHEN_NOT_FOUND' });
    const path = at('kept.hdf5');
    const good = { attributes: { a: 1 }, datasets: [] };
    await writeHdf5(path, good);
    const before = readFileSync(path);
    const bad = { name: 'x', data: new Float32Array(3), shape: [2, 2] };
    await expect(writeHdf5(path, { attributes: {}, datasets: [bad] })).rejects.toMatchObject({
      code: 'ERR_LICHEN_IO',
    });
    expect(readFileSync(path)).toEqual(before);
    expect(existsSync(`${path}.part`)).toBe(false);
    expect(await withHdf5(path, (file) => Number(file.attribute('a')))).toBe(1);
  });

  it('leave files open that others opened with the same package', async () => {
    const path = at('of-another.h5');
    const data = Float32Array.from({ length: 40_000 }, (_, i) => i);
    await writeHdf5(path, {
      attributes: {},
      datasets: [{ name: 'train', data, shape: [400, 100] }],
    });
    const h5 = await import('h5wasm/node');
    const another = new h5.File(path, 'r');
    const lent = at('lent.h5');
    await writeHdf5(lent, { attributes: { a: 1 }, datasets: [] });
    expect(await withHdf5(lent, (file) => Number(file.attribute('a')))).toBe(1);
    const dataset = another.get('train') as InstanceType<typeof h5.Dataset>;
    expect(dataset.value).toEqual(data);
    another.close();
  });
});
