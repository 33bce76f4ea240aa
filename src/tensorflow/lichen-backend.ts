import type { DataId, KernelConfig, TensorInfo } from '@tensorflow/tfjs-core';
import { countFallback } from './fallbacks.js';
import type { Accelerator, Kernel, TensorStore } from './kernel.js';
import { ARRANGEMENT_KERNELS } from './kernels/arrangement.js';
import { BINARY_KERNELS } from './kernels/binary.js';
import { CAST_KERNELS } from './kernels/cast.js';
import { CREATION_KERNELS } from './kernels/creation.js';
import { NORMALIZATION_KERNELS } from './kernels/normalization.js';
import { PRODUCT_KERNELS } from './kernels/product.js';
import { REDUCTION_KERNELS } from './kernels/reduction.js';
import { ROW_KERNELS } from './kernels/rows.js';
import { UNARY_KERNELS } from './kernels/unary.js';
import { RecycledArrays } from './recycled-arrays.js';
import type { TensorFlow } from './tensorflow.js';

export { lichenFallbacks, resetLichenFallbacks } from './fallbacks.js';

/** The cpu backend as lichen uses it. */
export type TensorFlowCpu = typeof import('@tensorflow/tfjs-backend-cpu');

/** The backend's name for `tf.setBackend`. */
export const LICHEN_BACKEND = 'lichen';

/** Kernels that give the same data another shape or name: the cpu backend's cost nothing. */
const RELABELLING: ReadonlySet<string> = new Set(['Identity', 'Reshape', 'ExpandDims']);

const KERNELS: Readonly<Record<string, Kernel>> = {
  ...PRODUCT_KERNELS,
  ...BINARY_KERNELS,
  ...UNARY_KERNELS,
  ...CAST_KERNELS,
  ...REDUCTION_KERNELS,
  ...ARRANGEMENT_KERNELS,
  ...ROW_KERNELS,
  ...CREATION_KERNELS,
  ...NORMALIZATION_KERNELS,
};

/**
 * Makes the backend `lichen` known to TensorFlow.js: the cpu backend, with kernels in native code where it matters. Its
 * tensors are plain typed arrays, which native code works on in place. Takes effect once; `tf.setBackend('lichen')`
 * makes it the current one. A kernel that lichen has not, or not for the types at hand, runs as on the cpu backend and
 * is counted (see `lichenFallbacks`).
 *
 * @param cpu the package `@tensorflow/tfjs-backend-cpu`, whose backend is extended.
 */
export function registerLichenBackend(tf: TensorFlow, cpu: TensorFlowCpu): void {
  registerNativeBackend(tf, cpu, LICHEN_BACKEND);
}

/** The same under another name, whose operations a device may do. */
export function registerNativeBackend(
  tf: TensorFlow,
  cpu: TensorFlowCpu,
  name: string,
  accelerate?: (store: DeferringStore) => Accelerator,
): void {
  if (tf.findBackendFactory(name) !== null) return;
  for (const config of tf.getKernelsForBackend('cpu')) {
    tf.registerKernel({
      ...config,
      backendName: name,
      kernelFunc: kernelFunction(config, KERNELS[config.kernelName]),
    });
  }
  const Backend = backendClass(tf, cpu, accelerate);
  // Below the priorities of all others: who wants it says so.
  tf.registerBackend(name, () => new Backend(), 0);
}

function kernelFunction(
  { kernelName, kernelFunc }: KernelConfig,
  kernel: Kernel | undefined,
): KernelConfig['kernelFunc'] {
  if (RELABELLING.has(kernelName)) return kernelFunc;
  return (call) => {
    const store = call.backend as LichenStore;
    const result = kernel?.(store, call.inputs, call.attrs ?? {});
    if (result !== undefined) return result;
    countFallback(kernelName);
    // Kernels in JavaScript may give a result the array of an argument.
    for (const tensor of Object.values(call.inputs)) store.share(tensor);
    return kernelFunc(call);
  };
}

/** The backend, as a device sees it. */
export interface DeferringStore extends TensorStore {
  /** A new float32 tensor, whose values `read` gives once somebody wants them. */
  makeDeferred(shape: number[], read: () => Float32Array): TensorInfo;
}

/** The backend, as kernels and their wrappers see it. */
interface LichenStore extends DeferringStore {
  /** Others may hold the tensor's array from now on. */
  share(tensor: TensorInfo | undefined): void;
}

const NO_VALUES = new Float32Array(0);

function backendClass(
  tf: TensorFlow,
  { MathBackendCPU }: TensorFlowCpu,
  accelerate?: (store: DeferringStore) => Accelerator,
) {
  return class LichenBackend extends MathBackendCPU implements LichenStore {
    readonly tf = tf;
    readonly accelerator: Accelerator | undefined = accelerate?.(this);
    private readonly recycled = new RecycledArrays();

    constructor() {
      super();
      // Or its first tensor advertises another package on stderr.
      Reflect.set(this, 'firstUse', false);
    }

    valuesOf({ dataId }: TensorInfo): unknown {
      return this.data.get(dataId).values;
    }

    allocate(length: number): Float32Array {
      return this.recycled.take(length);
    }

    makeDeferred(shape: number[], read: () => Float32Array): TensorInfo {
      const tensor = this.makeTensorInfo(shape, 'float32', NO_VALUES);
      const data = this.data.get(tensor.dataId);
      const become = (value: unknown): void => {
        Object.defineProperty(data, 'values', { value, writable: true, enumerable: true });
      };
      // Whoever looks at the values, also the cpu backend's own kernels, finds them.
      Object.defineProperty(data, 'values', {
        configurable: true,
        enumerable: true,
        get: () => {
          become(read());
          return data.values;
        },
        set: become,
      });
      return tensor;
    }

    share(tensor: TensorInfo | undefined): void {
      if (tensor !== undefined && this.data.has(tensor.dataId)) {
        this.recycled.release(this.data.get(tensor.dataId).values);
      }
    }

    override readSync(dataId: DataId) {
      return this.recycled.handOut(super.readSync(dataId));
    }

    override disposeData(dataId: DataId, force = false): boolean {
      const isHere = this.data.has(dataId) && this.accelerator?.hasAlone(dataId) !== true;
      const values = isHere ? this.data.get(dataId).values : undefined;
      const isGone = super.disposeData(dataId, force);
      if (isGone) {
        this.recycled.giveBack(values);
        this.accelerator?.forget(dataId);
      }
      return isGone;
    }

    override dispose(): void {
      this.recycled.clear();
      this.accelerator?.clear();
      super.dispose();
    }
  };
}
