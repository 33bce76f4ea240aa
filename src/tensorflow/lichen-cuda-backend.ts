import type { DataId, TensorInfo } from '@tensorflow/tfjs-core';
import { cudaDevices } from '../cuda.js';
import { LichenError } from '../errors.js';
import { native } from '../native.js';
import { DeviceMemory } from './device-memory.js';
import { countDeviceFallback, countOne } from './fallbacks.js';
import { floats, type Accelerator, type ProductSizes } from './kernel.js';
import {
  registerNativeBackend,
  type DeferringStore,
  type TensorFlowCpu,
} from './lichen-backend.js';
import { sizeOf } from './shapes.js';
import type { TensorFlow } from './tensorflow.js';

/** The backend's name for `tf.setBackend`. */
export const LICHEN_CUDA_BACKEND = 'lichen-cuda';

/** What is worth the device, and how much of it is taken. */
export interface LichenCudaOptions {
  /**
   * An operation of fewer multiplications and additions is the processor's. Default 2^25, which takes it about a quarter
   * of a millisecond: several times what a call of the device takes.
   */
  readonly leastOperations?: number;
  /**
   * As is one with fewer of them for each value that it moves to the device or, being a result, from it. Default 64: about
   * what the processor does while a value is on its way.
   */
  readonly operationsPerValue?: number;
  /** Bytes of the device's memory for copies of tensors. Default: half of what is free at first. */
  readonly cacheBytes?: number;
}

/** What a value costs the processor, in multiplications and additions of a product. */
const SOFTMAX_OPERATIONS = 96;
const TOP_K_OPERATIONS = 256;

/**
 * Makes the backend `lichen-cuda` known to TensorFlow.js: the backend `lichen`, with products of matrices, softmax and top
 * k on an NVIDIA device where that pays. Operands stay on the device until they are disposed or others need the room, and
 * results until they are read. What the device has no memory for, the processor does, and it is counted (see
 * `lichenCudaFallbacks`). Takes effect once.
 *
 * @param cpu the package `@tensorflow/tfjs-backend-cpu`, whose backend is extended.
 * @throws ERR_LICHEN_NO_DEVICE, ERR_LICHEN_OLD_DRIVER, ERR_LICHEN_WRONG_DEVICE where there is no device for it.
 */
export function registerLichenCudaBackend(
  tf: TensorFlow,
  cpu: TensorFlowCpu,
  options: LichenCudaOptions = {},
): void {
  const [device] = cudaDevices();
  // Or the first operation would tell that there is no code for the device.
  native().cudaTensorClose(native().cudaTensor(0, 1));
  const { leastOperations = 2 ** 25, operationsPerValue = 64 } = options;
  const { cacheBytes = device!.freeBytes / 2 } = options;
  const all = { leastOperations, operationsPerValue, cacheBytes };
  registerNativeBackend(tf, cpu, LICHEN_CUDA_BACKEND, (store) => new CudaAccelerator(store, all));
}

/** An NVIDIA device beside the kernels of the processor. */
export class CudaAccelerator implements Accelerator {
  /** How often the device did a kernel. */
  readonly done = new Map<string, number>();
  private readonly memory: DeviceMemory;

  constructor(
    private readonly store: DeferringStore,
    private readonly options: Required<LichenCudaOptions>,
  ) {
    const bringHome = (dataId: DataId): void => {
      store.valuesOf({ dataId, shape: [], dtype: 'float32' });
    };
    this.memory = new DeviceMemory(options.cacheBytes, bringHome);
  }

  takesProduct(a: TensorInfo, b: TensorInfo, sizes: ProductSizes): boolean {
    const results = sizeOf(sizes.shape);
    return this.pays(2 * results * sizes.depth, results, a, b);
  }

  product(a: TensorInfo, b: TensorInfo, sizes: ProductSizes): TensorInfo | undefined {
    if (!this.takesProduct(a, b, sizes)) return undefined;
    const { batch, rows, depth, columns, transposeA, transposeB } = sizes;
    return this.attempt('BatchMatMul', () => {
      const inUse = new Set([a.dataId, b.dataId]);
      const left = this.copyOf(a, inUse);
      const right = this.copyOf(b, inUse);
      return this.memory.filled(sizeOf(sizes.shape), inUse, (out) => {
        native().cudaTensorProduct(
          ...([left, right, out, batch, rows, depth, columns, transposeA, transposeB] as const),
        );
        return this.deferred(sizes.shape, out);
      });
    });
  }

  softmax(x: TensorInfo, rows: number, columns: number): TensorInfo | undefined {
    const length = rows * columns;
    if (!this.pays(SOFTMAX_OPERATIONS * length, length, x)) return undefined;
    return this.attempt('Softmax', () => {
      const inUse = new Set([x.dataId]);
      const from = this.copyOf(x, inUse);
      return this.memory.filled(length, inUse, (out) => {
        native().cudaTensorSoftmax(from, rows, columns, out);
        return this.deferred(x.shape, out);
      });
    });
  }

  topK(
    x: TensorInfo,
    rows: number,
    columns: number,
    k: number,
    values: Float32Array,
    places: Int32Array,
  ): boolean {
    if (!this.pays(TOP_K_OPERATIONS * rows * columns, 2 * rows * k, x)) return false;
    const done = this.attempt('TopK', () => {
      const from = this.copyOf(x, new Set([x.dataId]));
      native().cudaTensorTopK(from, rows, columns, k, values, places);
      return true;
    });
    return done ?? false;
  }

  hasAlone(dataId: DataId): boolean {
    return this.memory.hasAlone(dataId);
  }

  forget(dataId: DataId): void {
    this.memory.forget(dataId);
  }

  clear(): void {
    this.memory.clear();
  }

  private pays(operations: number, results: number, ...operands: TensorInfo[]): boolean {
    let moved = results;
    for (const { dataId, shape } of operands) {
      if (!this.memory.has(dataId)) moved += sizeOf(shape);
    }
    const { leastOperations, operationsPerValue } = this.options;
    return operations >= leastOperations && operations >= operationsPerValue * moved;
  }

  private copyOf(tensor: TensorInfo, inUse: ReadonlySet<DataId>) {
    return this.memory.copyOf(tensor.dataId, () => floats(this.store, tensor), inUse);
  }

  /** A tensor whose values stay on the device until they are read. */
  private deferred(shape: number[], out: Parameters<DeviceMemory['keepAlone']>[1]): TensorInfo {
    const length = sizeOf(shape);
    const tensor = this.store.makeDeferred(shape, () => {
      const values = this.store.allocate(length);
      told('a result was read', () => this.memory.read(tensor.dataId, values));
      return values;
    });
    this.memory.keepAlone(tensor.dataId, out, length);
    return tensor;
  }

  /** undefined, and counted, where the device has no memory or no code for it. */
  private attempt<T>(kernelName: string, work: () => T): T | undefined {
    try {
      const result = told(`${kernelName} ran`, work);
      countOne(this.done, kernelName);
      return result;
    } catch (error) {
      const code = error instanceof LichenError ? error.code : undefined;
      if (code !== 'ERR_LICHEN_DEVICE_MEMORY' && code !== 'ERR_LICHEN_UNSUPPORTED') throw error;
      this.memory.shrink();
      countDeviceFallback(kernelName);
      return undefined;
    }
  }
}

/** Says of a device that is lost what that means for whoever uses the backend. */
function told<T>(when: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof LichenError) || error.code !== 'ERR_LICHEN_DEVICE_LOST') throw error;
    throw new LichenError(
      error.code,
      `the GPU of the backend ${LICHEN_CUDA_BACKEND} failed while ${when} (${error.message}); tensors on it are lost, and a ` +
        'new process may find it well',
      { cause: error },
    );
  }
}
