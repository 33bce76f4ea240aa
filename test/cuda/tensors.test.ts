import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { openCuda } from '../../src/cuda.js';
import type { CudaTensorHandle } from '../../src/native-cuda.js';
import { native } from '../../src/native.js';
import { Random } from '../../src/vectors/random.js';
import { describeSimulated, simulate } from './simulated.js';

function uniform(length: number, seed: number): Float32Array {
  const random = new Random(seed);
  return new Float32Array(length).map(() => random.uniform() * 2 - 1);
}

function onDevice(values: Float32Array): CudaTensorHandle {
  const tensor = native().cudaTensor(0, values.length);
  native().cudaTensorPut(tensor, values);
  return tensor;
}

function read(tensor: CudaTensorHandle, length: number): Float32Array {
  const values = new Float32Array(length);
  native().cudaTensorGet(tensor, values);
  return values;
}

interface Sizes {
  readonly batch: number;
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly sharesA: boolean;
  readonly sharesB: boolean;
}

const ONE: Sizes = {
  ...{ batch: 1, m: 1, k: 1, n: 1 },
  ...{ transposeA: false, transposeB: false, sharesA: false, sharesB: false },
};

/** Compares with sums in float64; `tolerance` of float32 sums of k products of at most 1. */
function expectProduct(sizes: Sizes): void {
  const { batch, m, k, n, transposeA, transposeB, sharesA, sharesB } = sizes;
  const a = uniform((sharesA ? 1 : batch) * m * k, 1);
  const b = uniform((sharesB ? 1 : batch) * k * n, 2);
  const out = native().cudaTensor(0, batch * m * n);
  native().cudaTensorProduct(onDevice(a), onDevice(b), out, batch, m, k, n, transposeA, transposeB);
  const actual = read(out, batch * m * n);
  let worst = 0;
  for (let i = 0; i < actual.length; i++) {
    const [matrix, row, column] = [Math.floor(i / (m * n)), Math.floor(i / n) % m, i % n];
    const [fromA, fromB] = [sharesA ? 0 : matrix * m * k, sharesB ? 0 : matrix * k * n];
    let sum = 0;
    for (let d = 0; d < k; d++) {
      const left = a[fromA + (transposeA ? d * m + row : row * k + d)]!;
      sum += left * b[fromB + (transposeB ? column * k + d : d * n + column)]!;
    }
    worst = Math.max(worst, Math.abs(actual[i]! - sum));
    if (Number.isNaN(actual[i])) worst = NaN;
  }
  expect(worst, JSON.stringify(sizes)).toBeLessThanOrEqual(1.2e-7 * (k + 1));
}

/** The largest by a sort of all. */
function expectLargest(values: Float32Array, rows: number, columns: number, k: number): void {
  const [largest, places] = [new Float32Array(rows * k), new Int32Array(rows * k)];
  native().cudaTensorTopK(onDevice(values), rows, columns, k, largest, places);
  for (let row = 0; row < rows; row++) {
    const from = values.subarray(row * columns, (row + 1) * columns);
    const order = Array.from(from.keys()).sort((x, y) => {
      const [u, v] = [from[x]!, from[y]!];
      if (Number.isNaN(u) || Number.isNaN(v)) return +Number.isNaN(u) - +Number.isNaN(v) || x - y;
      return u === v ? x - y : v > u ? 1 : -1;
    });
    const expected = order.slice(0, k);
    expect(Array.from(places.subarray(row * k, (row + 1) * k))).toEqual(expected);
    const found = Array.from(largest.subarray(row * k, (row + 1) * k));
    expect(found).toEqual(expected.map((place) => from[place]));
  }
}

describeSimulated('tensors on a device', () => {
  beforeAll(openCuda);

  it('are as they were put', () => {
    const values = uniform(1000, 3);
    expect(read(onDevice(values), 1000)).toEqual(values);
    expect(read(onDevice(new Float32Array(0)), 0)).toEqual(new Float32Array(0));
  });

  it('have products of any sizes, transposed and of batches', () => {
    const extent = fc.integer({ min: 1, max: 70 });
    const arbitrary = fc.record({
      ...{ m: extent, k: fc.integer({ min: 1, max: 40 }), n: extent },
      batch: fc.integer({ min: 1, max: 3 }),
      ...{ transposeA: fc.boolean(), transposeB: fc.boolean() },
      ...{ sharesA: fc.boolean(), sharesB: fc.boolean() },
    });
    fc.assert(fc.property(arbitrary, expectProduct), { numRuns: 40, seed: 7 });
  });

  it.each([
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ] as const)('have products in large tiles, transposed %s, %s', (transposeA, transposeB) => {
    // More tiles than the simulated device has multiprocessors, with edges that do and do not come by four.
    expectProduct({ ...ONE, m: 132, k: 20, n: 129, transposeA, transposeB });
    expectProduct({ ...ONE, batch: 2, m: 131, k: 17, n: 60, transposeA, transposeB });
  });

  it('have products as exact as float32 sums of a long depth are', () => {
    expectProduct({ ...ONE, m: 5, k: 1000, n: 6 });
  });

  it('have products of nothing', () => {
    const [none, empty] = [native().cudaTensor(0, 0), native().cudaTensor(0, 0)];
    const out = onDevice(uniform(12, 1));
    native().cudaTensorProduct(none, none, out, 1, 3, 0, 4, false, false);
    expect(read(out, 12)).toEqual(new Float32Array(12));
    native().cudaTensorProduct(none, onDevice(uniform(12, 2)), empty, 1, 0, 3, 4, false, false);
    native().cudaTensorProduct(none, none, empty, 0, 3, 2, 4, false, false);
  });

  it('have NaN and infinity only where these go', () => {
    const a = Float32Array.of(1, NaN, Infinity, 0);
    const b = Float32Array.of(1, 2, 3, 4);
    const out = native().cudaTensor(0, 4);
    native().cudaTensorProduct(onDevice(a), onDevice(b), out, 1, 2, 2, 2, false, false);
    expect(read(out, 4)).toEqual(Float32Array.of(NaN, NaN, Infinity, Infinity));
  });

  it.each([
    [1, 1],
    [3, 7],
    [11, 33],
    [2, 600],
    [1, 1025],
  ])('have the softmax of %i rows of %i', (rows, columns) => {
    const values = uniform(rows * columns, 5).map((value) => value * 30);
    const tensor = onDevice(values);
    native().cudaTensorSoftmax(tensor, rows, columns, tensor);
    const actual = read(tensor, values.length);
    for (let row = 0; row < rows; row++) {
      const of = Array.from(values.subarray(row * columns, (row + 1) * columns));
      const greatest = Math.max(...of);
      const sum = of.reduce((total, value) => total + Math.exp(value - greatest), 0);
      of.forEach((value, at) => {
        const expected = Math.exp(value - greatest) / sum;
        expect(actual[row * columns + at]).toBeCloseTo(expected, 6);
      });
    }
  });

  it('have the softmax of what is infinite as the processor has it', () => {
    const rows = [
      [1, -Infinity, 2],
      [1, Infinity, 2],
      [NaN, 1, 2],
      [-Infinity, -Infinity, -Infinity],
    ];
    const values = Float32Array.from(rows.flat());
    const expected = new Float32Array(12);
    native().tensorSoftmax(values, 4, 3, expected);
    const tensor = onDevice(values);
    native().cudaTensorSoftmax(tensor, 4, 3, tensor);
    const actual = read(tensor, 12);
    expect(actual.map(Number.isNaN as never)).toEqual(expected.map(Number.isNaN as never));
    expect(actual[1]).toBe(0);
  });

  it('have the largest of each row, of equals the first, NaN last', () => {
    const value = fc.oneof(
      fc.float({ noNaN: false }),
      fc.constantFrom(0, -0, 1, NaN, Infinity, -Infinity),
    );
    const arbitrary = fc
      .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 40 }))
      .chain(([rows, columns]) =>
        fc.record({
          rows: fc.constant(rows),
          k: fc.integer({ min: 1, max: columns }),
          values: fc.array(value, { minLength: rows * columns, maxLength: rows * columns }),
        }),
      );
    const check = fc.property(arbitrary, ({ rows, k, values }) =>
      expectLargest(Float32Array.from(values), rows, values.length / rows, k),
    );
    fc.assert(check, { numRuns: 25, seed: 7 });
  });

  it('have the largest of rows longer than shared memory', () => {
    const rising = Float32Array.from({ length: 5000 }, (_, at) => at);
    expectLargest(rising, 1, 5000, 1024);
    expectLargest(uniform(2 * 3000, 9), 2, 3000, 10);
    expectLargest(new Float32Array(2500), 1, 2500, 3);
  });

  it('refuse what does not fit, and are not touched', () => {
    const addon = native();
    const [six, four] = [onDevice(uniform(6, 1)), onDevice(uniform(4, 2))];
    const product = (sizes: [number, number, number, number], out = four) =>
      addon.cudaTensorProduct(six, six, out, ...sizes, false, false);
    const wrong: [() => void, string][] = [
      [() => product([1, 2, 4, 2]), 'ERR_LICHEN_DIMENSION'],
      [() => product([1, 3, 2, 3]), 'ERR_LICHEN_DIMENSION'],
      [() => product([2 ** 40, 2, 3, 2]), 'ERR_LICHEN_ARGUMENT'],
      [() => product([1, -1, 3, 2]), 'ERR_LICHEN_ARGUMENT'],
      [() => product([1, 2, 3, 3], six), 'ERR_LICHEN_DIMENSION'],
      [
        () => addon.cudaTensorProduct(four, four, four, 1, 2, 2, 2, false, false),
        'ERR_LICHEN_ARGUMENT',
      ],
      [() => addon.cudaTensorPut(six, uniform(5, 1)), 'ERR_LICHEN_DIMENSION'],
      [() => addon.cudaTensorGet(six, uniform(7, 1)), 'ERR_LICHEN_DIMENSION'],
      [() => addon.cudaTensorPut({} as never, uniform(6, 1)), 'ERR_LICHEN_ARGUMENT'],
      [() => addon.cudaTensorPut(undefined as never, uniform(6, 1)), 'ERR_LICHEN_ARGUMENT'],
      [() => addon.cudaTensorPut(six, [1, 2] as never), 'ERR_LICHEN_ARGUMENT'],
      [() => addon.cudaTensorSoftmax(six, 2, 3, four), 'ERR_LICHEN_DIMENSION'],
      [
        () => addon.cudaTensorTopK(six, 1, 6, 7, new Float32Array(7), new Int32Array(7)),
        'ERR_LICHEN_ARGUMENT',
      ],
      [
        () => addon.cudaTensorTopK(six, 1, 6, 2, new Float32Array(2), new Int32Array(1)),
        'ERR_LICHEN_DIMENSION',
      ],
      [() => addon.cudaTensor(1, 4), 'ERR_LICHEN_NO_DEVICE'],
      [() => addon.cudaTensor(0, 2 ** 50), 'ERR_LICHEN_DEVICE_MEMORY'],
    ];
    for (const [call, code] of wrong) {
      expect(call, String(call)).toThrow(expect.objectContaining({ code }) as Error);
    }
    expect(read(six, 6)).toEqual(uniform(6, 1));
    const many = onDevice(uniform(2000, 1));
    expect(() =>
      addon.cudaTensorTopK(many, 1, 2000, 1025, new Float32Array(1025), new Int32Array(1025)),
    ).toThrow(expect.objectContaining({ code: 'ERR_LICHEN_UNSUPPORTED' }) as Error);
  });

  it('give their memory back when closed, and are closed then', () => {
    const [before] = native().cudaDevices();
    const tensor = native().cudaTensor(0, 1000);
    expect(native().cudaDevices()[0]!.freeBytes).toBe(before!.freeBytes - 4000);
    native().cudaTensorClose(tensor);
    native().cudaTensorClose(tensor);
    expect(native().cudaDevices()[0]!.freeBytes).toBe(before!.freeBytes);
    expect(() => native().cudaTensorPut(tensor, new Float32Array(1000))).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_CLOSED' }) as Error,
    );
  });

  it('give their memory back when collected', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const { freeBytes } = native().cudaDevices()[0]!;
    for (let n = 0; n < 10; n++) native().cudaTensor(0, 1000);
    // Finalizers run in turns of their own.
    for (let turn = 0; turn < 20 && native().cudaDevices()[0]!.freeBytes < freeBytes; turn++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(native().cudaDevices()[0]!.freeBytes).toBeGreaterThanOrEqual(freeBytes);
  });

  it('take no array that is detached', () => {
    const tensor = onDevice(uniform(4, 1));
    const array = new Float32Array(4);
    structuredClone(array.buffer, { transfer: [array.buffer] });
    expect(() => native().cudaTensorPut(tensor, array)).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_DIMENSION' }) as Error,
    );
  });

  it('tell when memory is out and when the device is lost', () => {
    simulate(100);
    expect(() => native().cudaTensor(0, 1000)).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_DEVICE_MEMORY' }) as Error,
    );
    simulate();
    const tensor = onDevice(uniform(4, 1));
    simulate(2 ** 30, 0);
    expect(() => read(tensor, 4)).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_DEVICE_LOST' }) as Error,
    );
  });
});
