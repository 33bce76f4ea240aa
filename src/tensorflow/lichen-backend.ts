import { LichenError } from '../errors.js';
import type { TensorFlow } from './tensorflow.js';

/** Registers lichen's own backend of TensorFlow.js under the name `lichen`. */
export function registerLichenBackend(
  tf: TensorFlow,
  cpuModule: typeof import('@tensorflow/tfjs-backend-cpu'),
): void {
  throw new LichenError(
    'ERR_LICHEN_UNSUPPORTED',
    `this build has no backend of its own for tfjs-core ${tf.version_core} and tfjs-backend-cpu ${cpuModule.version_cpu}`,
  );
}

/** Names of the operations that lichen's backend has left to the plain one, with how often. */
export function lichenFallbacks(): ReadonlyMap<string, number> {
  return new Map();
}
