import type { TensorInfo } from '@tensorflow/tfjs-core';
import { areAll, relabelled, type Kernel, type KernelFamily } from '../kernel.js';
import { sizeOf } from '../shapes.js';
import { binary } from './binary.js';
import { unary } from './unary.js';

/** What {@link FusedBatchNorm} adds to the variance unless told. */
const VARIANCE_EPSILON = 0.001;

/** offset + (x - mean) * scale / sqrt(variance + epsilon); the four begin again where they end before x does. */
const fusedBatchNorm: Kernel = (store, inputs, attributes) => {
  const { x, mean, variance, scale, offset } = inputs;
  const given = [x!, mean!, variance!, ...[scale, offset].filter((t) => t !== undefined)];
  const size = sizeOf(x!.shape);
  const fits = given.every(({ shape }) => sizeOf(shape) > 0 && size % sizeOf(shape) === 0);
  if (!areAll('float32', ...given) || !fits) return undefined;
  const temporary: TensorInfo[] = [];
  const keep = (tensor: TensorInfo | undefined): TensorInfo => {
    temporary.push(tensor!);
    return tensor!;
  };
  // A row for each time that it begins again.
  const row = (tensor: TensorInfo): TensorInfo =>
    keep(relabelled(store, tensor, [sizeOf(tensor.shape)]));
  const apply = (name: string, a: TensorInfo, b: TensorInfo): TensorInfo => {
    const length = sizeOf(b.shape);
    const rows = keep(relabelled(store, a, [sizeOf(a.shape) / length, length]));
    return keep(binary(store, name, rows, b));
  };
  const epsilon = (attributes['varianceEpsilon'] as number | null | undefined) ?? VARIANCE_EPSILON;
  const least = keep(store.makeTensorInfo([], 'float32', Float32Array.of(epsilon)));
  const inverse = keep(
    unary(store, 'inverseSquareRoot', keep(binary(store, 'add', row(variance!), least))),
  );
  let result = apply('subtract', x!, row(mean!));
  if (scale !== undefined && sizeOf(scale.shape) === sizeOf(variance!.shape)) {
    result = apply('multiply', result, keep(binary(store, 'multiply', inverse, row(scale))));
  } else {
    if (scale !== undefined) result = apply('multiply', result, row(scale));
    result = apply('multiply', result, inverse);
  }
  if (offset !== undefined) result = apply('add', result, row(offset));
  const out = relabelled(store, result, x!.shape);
  for (const tensor of temporary) store.disposeIntermediateTensorInfo(tensor);
  return out;
};

/** Normalization by given means and variances. */
export const NORMALIZATION_KERNELS: KernelFamily = { FusedBatchNorm: fusedBatchNorm };
