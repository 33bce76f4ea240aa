import type { DataType, TensorInfo } from '@tensorflow/tfjs-core';
import { native } from '../../native.js';
import { arrayOf, relabelled, type KernelFamily, type TensorStore } from '../kernel.js';

/** The tensor in another type, as JavaScript converts numbers; undefined for types that no native kernel has. */
export function cast(store: TensorStore, x: TensorInfo, dtype: DataType): TensorInfo | undefined {
  const values = arrayOf(store, x);
  if (values === undefined) return undefined;
  if (dtype === x.dtype) return relabelled(store, x);
  if (dtype !== 'float32' && dtype !== 'int32' && dtype !== 'bool') return undefined;
  const { length } = values;
  const out =
    dtype === 'float32'
      ? store.allocate(length)
      : dtype === 'int32'
        ? new Int32Array(length)
        : new Uint8Array(length);
  native().tensorCast(values, out);
  return store.makeTensorInfo(x.shape, dtype, out);
}

/** Conversions. */
export const CAST_KERNELS: KernelFamily = {
  Cast: (store, { x }, attributes) => cast(store, x!, attributes['dtype'] as DataType),
};
