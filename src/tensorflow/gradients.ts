import { TFJS_VERSION } from './backends.js';
import { importPackage, requirePackage, type ImportPackage } from '../vectors/packages.js';
import type { TensorFlow } from './tensorflow.js';

/**
 * Makes sure that TensorFlow.js can derive gradients: tfjs-core alone has none in Node, and the package tfjs registers
 * them.
 * @throws ERR_LICHEN_MISSING_PACKAGE saying what to install.
 */
export async function requireGradients(
  tf: TensorFlow,
  load: ImportPackage = importPackage,
): Promise<void> {
  if (tf.getGradient(tf.BatchMatMul) !== undefined) return;
  await requirePackage(load, '@tensorflow/tfjs', TFJS_VERSION);
}
