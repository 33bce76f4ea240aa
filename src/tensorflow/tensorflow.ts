import { LichenError } from '../errors.js';

/** TensorFlow.js as lichen uses it; the packages are optional peers and loaded on first use. */
export type TensorFlow = typeof import('@tensorflow/tfjs-core');

/** A backend of TensorFlow.js; `auto` takes wasm and falls back to cpu where wasm cannot start. */
export type TowerBackend = 'auto' | 'wasm' | 'cpu';

/** What may compute, once it has started. */
export const STARTED_BACKENDS = ['gpu', 'lichen', 'wasm', 'cpu'] as const;

export type StartedBackend = (typeof STARTED_BACKENDS)[number];

/** TensorFlow.js together with the backend that computes. */
export interface LoadedTensorFlow {
  readonly tf: TensorFlow;
  readonly backend: StartedBackend;
}

/**
 * Loads TensorFlow.js and makes `backend` its current backend; it stays so afterwards.
 * @throws ERR_LICHEN_MISSING_PACKAGE naming the package that is not installed, ERR_LICHEN_UNSUPPORTED when the
 * backend cannot start on this machine.
 */
export async function loadTensorFlow(backend: TowerBackend): Promise<LoadedTensorFlow> {
  const tf = await optional('@tensorflow/tfjs-core', () => import('@tensorflow/tfjs-core'));
  if (backend !== 'auto') {
    await start(tf, backend);
    return { tf, backend };
  }
  try {
    await start(tf, 'wasm');
    return { tf, backend: 'wasm' };
  } catch (wasmError) {
    try {
      await start(tf, 'cpu');
      return { tf, backend: 'cpu' };
    } catch {
      // wasm is what one should install, so its error is the one to report.
      throw wasmError;
    }
  }
}

async function start(tf: TensorFlow, backend: 'wasm' | 'cpu'): Promise<void> {
  // Importing a backend package registers its kernels with tfjs-core.
  if (backend === 'wasm') {
    await optional('@tensorflow/tfjs-backend-wasm', () => import('@tensorflow/tfjs-backend-wasm'));
  } else {
    await optional('@tensorflow/tfjs-backend-cpu', () => import('@tensorflow/tfjs-backend-cpu'));
  }
  const started = await tf.setBackend(backend).catch(() => false);
  if (!started) {
    throw new LichenError(
      'ERR_LICHEN_UNSUPPORTED',
      `the ${backend} backend of TensorFlow.js cannot start on this machine`,
    );
  }
  if (backend === 'cpu') useQuietly(tf);
}

/** The cpu backend advertises another package on stderr with its first tensor, unless in production mode. */
function useQuietly(tf: TensorFlow): void {
  const environment = tf.env();
  const before = environment.getBool('PROD');
  environment.set('PROD', true);
  tf.tensor1d([0]).dispose();
  environment.set('PROD', before);
}

async function optional<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new LichenError(
      'ERR_LICHEN_MISSING_PACKAGE',
      `training needs the package ${name}: npm install @tensorflow/tfjs-core@4 @tensorflow/tfjs-backend-wasm@4`,
      { cause },
    );
  }
}
