import { LichenArgumentError, LichenError, shown } from '../errors.js';
import { requirePackage, type ImportPackage } from '../vectors/packages.js';
import type { TensorFlow } from './tensorflow.js';

/** The backends that lichen can ask TensorFlow.js for, in the order in which `auto` tries them. */
export const BACKENDS = ['gpu', 'lichen-cuda', 'lichen', 'wasm', 'cpu'] as const;

/**
 * What computes: `gpu` is TensorFlow's own library with CUDA (the package tfjs-node-gpu), `lichen` lichen's kernels,
 * `lichen-cuda` the same with large products, softmax and top k on an NVIDIA device (lichen's module for it, see
 * `cudaStatus`), `wasm` WebAssembly on one thread, `cpu` plain JavaScript, which is slow.
 */
export type BackendName = (typeof BACKENDS)[number];

/** A backend of TensorFlow.js; `auto` takes the first of {@link BACKENDS} that can start. */
export type TowerBackend = 'auto' | BackendName;

/** @throws ERR_LICHEN_ARGUMENT unless it is `auto` or the name of a backend. */
export function parseBackend(value: unknown): TowerBackend {
  const known: readonly TowerBackend[] = ['auto', ...BACKENDS];
  const found = known.find((name) => name === value);
  if (found !== undefined) return found;
  throw new LichenArgumentError(
    'ERR_LICHEN_ARGUMENT',
    `backend must be one of ${known.join(', ')}, got ${shown(value)}`,
  );
}

/** The names by which TensorFlow.js itself knows those backends. */
export const TENSORFLOW_NAMES = {
  gpu: 'tensorflow',
  'lichen-cuda': 'lichen-cuda',
  lichen: 'lichen',
  wasm: 'wasm',
  cpu: 'cpu',
} as const satisfies Record<BackendName, string>;

/** What `getBackend()` of TensorFlow.js says. */
export type TensorFlowName = (typeof TENSORFLOW_NAMES)[BackendName];

/** The major version of all packages of TensorFlow.js that lichen knows. */
export const TFJS_VERSION = 4;

const GPU_PACKAGE = '@tensorflow/tfjs-node-gpu';
const CORE_PACKAGE = '@tensorflow/tfjs-core';
const WASM_PACKAGE = '@tensorflow/tfjs-backend-wasm';
const CPU_PACKAGE = '@tensorflow/tfjs-backend-cpu';

/** A TensorFlow.js of which one backend computes, and what is to be said of it. */
export interface StartedBackend {
  readonly tf: TensorFlow;
  readonly remark?: string;
}

/**
 * Loads the packages of a backend and makes it the current one.
 * @throws ERR_LICHEN_MISSING_PACKAGE, ERR_LICHEN_NO_DEVICE and its like (see `openCuda`), ERR_LICHEN_UNSUPPORTED when it
 * cannot start on this machine.
 */
export async function startBackend(
  backend: BackendName,
  load: ImportPackage,
): Promise<StartedBackend> {
  if (backend === 'gpu') return startGpu(load);
  const tf = await requirePackage<TensorFlow>(load, CORE_PACKAGE, TFJS_VERSION);
  // Importing a backend package registers its kernels with tfjs-core.
  if (backend === 'wasm') {
    await requirePackage(load, WASM_PACKAGE, TFJS_VERSION);
  } else {
    const cpu = await requirePackage<typeof import('@tensorflow/tfjs-backend-cpu')>(
      load,
      CPU_PACKAGE,
      TFJS_VERSION,
    );
    if (backend === 'lichen') await registerLichen(tf, cpu);
    if (backend === 'lichen-cuda') await registerLichenCuda(tf, cpu);
  }
  await makeCurrent(tf, backend);
  if (backend !== 'wasm') useQuietly(tf);
  return { tf };
}

/**
 * The tfjs-core that tfjs-node-gpu itself uses is the one given back, so that tensors, kernels and gradients are of one
 * copy of it wherever packages are installed.
 */
async function startGpu(load: ImportPackage): Promise<StartedBackend> {
  const tf = await requirePackage<TensorFlow>(load, GPU_PACKAGE, TFJS_VERSION);
  await makeCurrent(tf, 'gpu');
  const { isUsingGpuDevice } = tf.backend() as { isUsingGpuDevice?: boolean };
  return isUsingGpuDevice === false
    ? { tf, remark: `${GPU_PACKAGE} finds no CUDA device and computes on the processor` }
    : { tf };
}

async function registerLichen(
  tf: TensorFlow,
  cpu: typeof import('@tensorflow/tfjs-backend-cpu'),
): Promise<void> {
  if (tf.findBackendFactory('lichen') !== null) return;
  const { registerLichenBackend } = await import('./lichen-backend.js');
  registerLichenBackend(tf, cpu);
}

async function registerLichenCuda(
  tf: TensorFlow,
  cpu: typeof import('@tensorflow/tfjs-backend-cpu'),
): Promise<void> {
  if (tf.findBackendFactory('lichen-cuda') !== null) return;
  const { registerLichenCudaBackend } = await import('./lichen-cuda-backend.js');
  registerLichenCudaBackend(tf, cpu);
}

async function makeCurrent(tf: TensorFlow, backend: BackendName): Promise<void> {
  const name = TENSORFLOW_NAMES[backend];
  let cause: unknown;
  const started = await tf.setBackend(name).catch((error: unknown) => {
    cause = error;
    return false;
  });
  if (started && tf.getBackend() === name) return;
  throw new LichenError(
    'ERR_LICHEN_UNSUPPORTED',
    `the ${backend} backend of TensorFlow.js cannot start on this machine`,
    cause === undefined ? undefined : { cause },
  );
}

/** The cpu backend advertises another package on stderr with its first tensor, unless in production mode. */
function useQuietly(tf: TensorFlow): void {
  const environment = tf.env();
  const before = environment.getBool('PROD');
  environment.set('PROD', true);
  tf.tensor1d([0]).dispose();
  environment.set('PROD', before);
}
