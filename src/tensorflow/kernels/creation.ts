import type { DataType, TensorInfo } from '@tensorflow/tfjs-core';
import type { Kernel, KernelFamily, TensorStore } from '../kernel.js';
import { sizeOf } from '../shapes.js';

function filled(
  store: TensorStore,
  shape: readonly number[],
  value: number,
  dtype: DataType,
): TensorInfo | undefined {
  const size = sizeOf(shape);
  if (dtype === 'float32') {
    return store.makeTensorInfo([...shape], dtype, store.allocate(size).fill(value));
  }
  if (dtype !== 'int32' && dtype !== 'bool') return undefined;
  const out = dtype === 'int32' ? new Int32Array(size) : new Uint8Array(size);
  return store.makeTensorInfo([...shape], dtype, out.fill(value));
}

const fill: Kernel = (store, _, attributes) => {
  const { shape, value, dtype } = attributes as {
    shape: number[];
    value: unknown;
    dtype?: DataType;
  };
  if (typeof value !== 'number') return undefined;
  return filled(store, shape, value, dtype ?? 'float32');
};

function likeKernel(value: number): Kernel {
  return (store, { x }) => filled(store, x!.shape, value, x!.dtype);
}

const range: Kernel = (store, _, attributes) => {
  const { start, stop, step, dtype } = attributes as Record<'start' | 'stop' | 'step', number> & {
    dtype: DataType;
  };
  if (dtype !== 'float32' && dtype !== 'int32') return undefined;
  const isEmpty = start === stop || (start < stop && step < 0) || (stop < start && step > 1);
  const length = isEmpty ? 0 : Math.abs(Math.ceil((stop - start) / step));
  const by = stop < start && step === 1 ? -1 : step;
  const values = dtype === 'float32' ? store.allocate(length) : new Int32Array(length);
  // As the cpu backend does, each from the one before.
  for (let at = 0; at < length; at++) values[at] = at === 0 ? start : values[at - 1]! + by;
  return store.makeTensorInfo([length], dtype, values);
};

/** Tensors made of nothing but numbers. */
export const CREATION_KERNELS: KernelFamily = {
  Fill: fill,
  ZerosLike: likeKernel(0),
  OnesLike: likeKernel(1),
  Range: range,
};
