import * as tf from '@tensorflow/tfjs';
import * as cpu from '@tensorflow/tfjs-backend-cpu';
import fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openCuda } from '../../src/cuda.js';
import { native } from '../../src/native.js';
import { lichenCudaFallbacks, resetLichenFallbacks } from '../../src/tensorflow/fallbacks.js';
import { registerNativeBackend } from '../../src/tensorflow/lichen-backend.js';
import {
  CudaAccelerator,
  LICHEN_CUDA_BACKEND,
  registerLichenCudaBackend,
} from '../../src/tensorflow/lichen-cuda-backend.js';
import { loadTensorFlow } from '../../src/tensorflow/tensorflow.js';
import {
  expectSame,
  prepareBackends,
  random,
  resultsOn,
  type Result,
} from '../tensorflow/backends.js';
import { describeSimulated, simulate, STATUS } from './simulated.js';

/** All that a device can do goes to it. */
const EVERYTHING = { leastOperations: 0, operationsPerValue: 0 };
/** With room for a few tensors only. */
const NARROW = 'lichen-cuda-narrow';
const NARROW_BYTES = 12_000;

function accelerator(): CudaAccelerator {
  return (tf.backend() as unknown as { accelerator: CudaAccelerator }).accelerator;
}

/** Expects what the cpu backend gives, by kernels of which the device did some. */
async function expectOnDevice(
  compute: () => Result,
  kernels: readonly string[],
  backend = LICHEN_CUDA_BACKEND,
): Promise<void> {
  const expected = await resultsOn('cpu', compute);
  await tf.setBackend(backend);
  const { done } = accelerator();
  done.clear();
  expectSame(await resultsOn(backend, compute), expected, 1e-5);
  expect([...done.keys()].sort()).toEqual([...kernels].sort());
}

/** Bytes of the device's memory that somebody has. */
function usedBytes(): number {
  const [{ memoryBytes, freeBytes } = { memoryBytes: 0, freeBytes: 0 }] = native().cudaDevices();
  return memoryBytes - freeBytes;
}

describeSimulated('the backend lichen-cuda', () => {
  beforeAll(() => {
    openCuda();
    prepareBackends();
    registerLichenCudaBackend(tf, cpu, EVERYTHING);
    const narrow = { ...EVERYTHING, cacheBytes: NARROW_BYTES };
    registerNativeBackend(tf, cpu, NARROW, (store) => new CudaAccelerator(store, narrow));
  });

  beforeEach(async () => {
    await tf.setBackend(LICHEN_CUDA_BACKEND);
    accelerator().done.clear();
    resetLichenFallbacks();
  });

  it('starts when lichen is asked for it, and by itself before lichen', async () => {
    for (const wanted of ['lichen-cuda', 'auto'] as const) {
      const { backend, tf: loaded } = await loadTensorFlow(wanted, {
        load: (name) => (name.includes('gpu') ? Promise.reject(new Error('absent')) : import(name)),
      });
      expect([backend, loaded.getBackend()]).toEqual(['lichen-cuda', 'lichen-cuda']);
    }
  });

  it('has every kernel of the cpu backend', () => {
    const names = (backend: string) =>
      tf.getKernelsForBackend(backend).map(({ kernelName }) => kernelName);
    expect(names('lichen-cuda').sort()).toEqual(names('cpu').sort());
  });

  it('multiplies matrices of any sizes, transposed and of batches, as cpu does', async () => {
    const extent = fc.integer({ min: 1, max: 20 });
    const sizes = fc.record({ m: extent, k: extent, n: extent });
    const flags = fc.record({ left: fc.boolean(), right: fc.boolean(), one: fc.boolean() });
    const batches = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 });
    await fc.assert(
      fc.asyncProperty(sizes, flags, batches, async ({ m, k, n }, { left, right, one }, batch) => {
        const other = one ? batch.map(() => 1) : batch;
        const compute = () =>
          tf.matMul(
            random([...batch, ...(left ? [k, m] : [m, k])], 1),
            random([...other, ...(right ? [n, k] : [k, n])], 2),
            left,
            right,
          );
        await expectOnDevice(compute, ['BatchMatMul']);
      }),
      { numRuns: 25, seed: 3 },
    );
  });

  const fused = (activation: string, bias?: tf.Tensor, preluActivationWeights?: tf.Tensor) =>
    tf.fused.matMul({
      ...{ a: random([9, 20], 1), b: random([20, 13], 2), leakyreluAlpha: 0.1 },
      activation: activation as 'relu',
      ...(bias && { bias }),
      ...(preluActivationWeights && { preluActivationWeights }),
    });
  const table: Readonly<Record<string, [() => Result, readonly string[]]>> = {
    'a product with bias': [() => fused('linear', random([13], 3)), ['BatchMatMul']],
    'a product with relu': [() => fused('relu', random([1, 13], 3)), ['BatchMatMul']],
    'a product with sigmoid': [() => fused('sigmoid'), ['BatchMatMul']],
    'a product with leakyrelu': [() => fused('leakyrelu', random([1], 3)), ['BatchMatMul']],
    'a product with prelu': [
      () => fused('prelu', random([13], 3), random([13], 4)),
      ['BatchMatMul'],
    ],
    'a product of nothing': [
      () => [
        tf.matMul(tf.zeros([3, 0]), tf.zeros([0, 4])),
        tf.matMul(tf.zeros([0, 3]), tf.zeros([3, 4])),
      ],
      ['BatchMatMul'],
    ],
    softmax: [
      () => [tf.softmax(random([5, 600], 1)), tf.softmax(random([2, 3, 7], 1))],
      ['Softmax'],
    ],
    'the largest': [() => Object.values(tf.topk(tf.round(random([3, 4, 90], 1)), 7)), ['TopK']],
    'one after the other': [
      () => {
        const scores = tf.matMul(random([6, 8], 1), random([8, 50], 2));
        const { values, indices } = tf.topk(tf.softmax(scores), 3);
        return [values, indices, scores.reshape([50, 6]).clone()];
      },
      ['BatchMatMul', 'Softmax', 'TopK'],
    ],
    'what other kernels read': [
      () => {
        const product = tf.matMul(random([6, 8], 1), random([8, 6], 2));
        return [tf.cumsum(product), tf.atan(product.reshape([36])), tf.add(product, 1)];
      },
      ['BatchMatMul'],
    ],
  };
  it.each(Object.entries(table))('does %s', async (_, [compute, kernels]) => {
    await expectOnDevice(compute, kernels);
  });

  it('leaves other types, axes and too many of the largest to the processor', async () => {
    const compute = () => [
      tf.matMul(tf.ones([2, 3], 'int32'), tf.ones([3, 2], 'int32')),
      ...Object.values(tf.topk(random([1, 1200], 1), 1100)),
    ];
    await expectOnDevice(compute, []);
    expect([...lichenCudaFallbacks()]).toEqual([['TopK', 1]]);
  });

  it('gives gradients as cpu does', async () => {
    const compute = () => {
      const loss = (w: tf.Tensor): tf.Scalar =>
        tf
          .softmax(tf.matMul(random([12, 9], 1), w))
          .square()
          .sum()
          .asScalar();
      return tf.grad(loss)(random([9, 5], 2));
    };
    await expectOnDevice(compute, ['BatchMatMul', 'Softmax']);
  });

  it('copies an operand once, and reads a result when it is asked for', () => {
    const [a, b] = [random([20, 30], 1), random([30, 10], 2)];
    const product = tf.matMul(a, b);
    const before = usedBytes();
    const again = tf.matMul(a, b);
    // Only the result is new.
    expect(usedBytes() - before).toBe(4 * 20 * 10);
    const device = accelerator();
    expect(device.hasAlone(product.dataId)).toBe(true);
    const values = product.dataSync<'float32'>();
    expect(device.hasAlone(product.dataId)).toBe(false);
    expect(again.dataSync()).toEqual(values);
    expect(product.dataSync()).toEqual(values);
    tf.dispose([a, b, product, again]);
  });

  it('never takes the copy of a tensor that is gone for one in its memory', () => {
    const compute = (seed: number): Float32Array => {
      // Arrays of this size are used again.
      const x = tf.add(random([40, 50], seed), 1);
      const result = tf.matMul(x, tf.add(random([50, 30], seed + 1), 1)).dataSync<'float32'>();
      return result.slice();
    };
    const all = [1, 2, 3, 4].map((seed) => tf.tidy(() => compute(seed) as never) as Float32Array);
    const expected = [1, 2, 3, 4].map((seed) => {
      accelerator().clear();
      return tf.tidy(() => compute(seed) as never) as Float32Array;
    });
    expect(all).toEqual(expected);
    expect(new Set(all.map(String)).size).toBe(4);
  });

  it('sees a variable change', () => {
    const x = random([4, 6], 1);
    const weights = tf.variable(random([6, 3], 2));
    const before = tf.matMul(x, weights);
    weights.assign(tf.mul(weights, 2));
    const after = tf.matMul(x, weights);
    expect(after.dataSync()).toEqual(before.dataSync().map((value) => 2 * value));
    tf.dispose([x, weights, before, after]);
  });

  it('moves results to another backend and back', async () => {
    const product = tf.matMul(random([4, 6], 1), random([6, 3], 2));
    await tf.setBackend('cpu');
    const sum = tf.add(product, 1);
    await tf.setBackend(LICHEN_CUDA_BACKEND);
    const squares = tf.matMul(sum, sum, false, true);
    await tf.setBackend('cpu');
    const expected = tf.matMul(sum, sum, false, true).dataSync();
    squares.dataSync().forEach((value, at) => expect(value).toBeCloseTo(expected[at]!, 4));
  });

  it('leaves neither tensors nor memory behind', () => {
    const work = () =>
      tf.tidy(() => {
        const product = tf.matMul(random([30, 20], 1), random([20, 40], 2));
        tf.softmax(product);
        fused('relu', random([13], 3));
        return tf.topk(product, 3).values.dataSync().length as never;
      });
    work();
    const [tensors, buffers, bytes] = [
      tf.memory().numTensors,
      tf.engine().backend.numDataIds(),
      usedBytes(),
    ];
    for (let n = 0; n < 3; n++) work();
    expect(tf.memory().numTensors).toBe(tensors);
    expect(tf.engine().backend.numDataIds()).toBe(buffers);
    expect(usedBytes()).toBe(bytes);
  });

  it('is right within little memory, where what nobody has read has to go home', async () => {
    const before = usedBytes();
    const compute = () => {
      const inputs = [1, 2, 3, 4].map((seed) => random([20, 20], seed));
      const products = inputs.flatMap((a) => inputs.map((b) => tf.matMul(a, b)));
      return [...products.map((product) => tf.matMul(product, inputs[0]!)), ...products];
    };
    await expectOnDevice(compute, ['BatchMatMul'], NARROW);
    expect(usedBytes() - before).toBeLessThanOrEqual(NARROW_BYTES);
    expect(lichenCudaFallbacks().size).toBe(0);
    // More than all of it.
    await expectOnDevice(() => tf.matMul(random([60, 60], 1), random([60, 60], 2)), [], NARROW);
    expect([...lichenCudaFallbacks()]).toEqual([['BatchMatMul', 1]]);
  });

  describe('on a device that fails', () => {
    const compute = () => tf.matMul(random([10, 20], 1), random([20, 30], 2));

    it('has the processor do what the device has no memory for, and counts it', async () => {
      const expected = await resultsOn('cpu', compute);
      await tf.setBackend(LICHEN_CUDA_BACKEND);
      accelerator().clear();
      for (let calls = 0; calls < 12; calls++) {
        const result = tf.tidy(() => {
          const product = compute();
          // While it is made, not while it is read.
          simulate(2 ** 30, calls, STATUS.memory);
          const other = compute();
          simulate();
          product.dataSync();
          return other;
        });
        expectSame(
          [{ shape: [10, 30], dtype: 'float32', data: [...result.dataSync()] }],
          expected,
          1e-5,
        );
        result.dispose();
      }
      expect(lichenCudaFallbacks().get('BatchMatMul')).toBeGreaterThan(3);
    });

    it('says that it is lost', () => {
      const product = compute();
      const lost = expect.objectContaining({
        code: 'ERR_LICHEN_DEVICE_LOST',
        message: expect.stringMatching(/backend lichen-cuda failed while .*new process/) as string,
      }) as Error;
      simulate(2 ** 30, 0);
      expect(() => product.dataSync()).toThrow(lost);
      expect(() => tf.tidy(compute)).toThrow(lost);
      simulate();
      expect(product.dataSync()).toHaveLength(300);
      product.dispose();
    });
  });

  it('is worth it for large operations only, unless told', async () => {
    const made: CudaAccelerator[] = [];
    const options = { leastOperations: 2 ** 25, operationsPerValue: 64, cacheBytes: 2 ** 20 };
    registerNativeBackend(tf, cpu, 'lichen-cuda-defaults', (store) => {
      made.push(new CudaAccelerator(store, options));
      return made[0]!;
    });
    await tf.setBackend('lichen-cuda-defaults');
    const of = (shape: number[]) => ({ dataId: {}, shape, dtype: 'float32' }) as tf.TensorInfo;
    const takes = (rows: number, depth: number, columns: number) =>
      made[0]!.takesProduct(of([rows, depth]), of([depth, columns]), {
        ...{ batch: 1, rows, depth, columns, transposeA: false, transposeB: false },
        shape: [rows, columns],
      });
    expect(takes(256, 256, 256)).toBe(true);
    expect(takes(1024, 64, 1024)).toBe(true);
    expect(takes(128, 128, 128)).toBe(false);
    // Most of its time would be on the way.
    expect(takes(1, 10_000, 10_000)).toBe(false);
  });
});
