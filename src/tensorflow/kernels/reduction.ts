import type { TensorInfo } from '@tensorflow/tfjs-core';
import { native } from '../../native.js';
import {
  floats,
  integers,
  operation,
  type Kernel,
  type KernelFamily,
  type TensorStore,
} from '../kernel.js';
import { axisOf, sizeOf } from '../shapes.js';
import { transposed } from './arrangement.js';

/** A tensor whose axes to reduce lie side by side. */
interface Prepared {
  readonly tensor: TensorInfo;
  /** Whether the tensor was made for this and goes with it. */
  readonly isTemporary: boolean;
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
  /** The result's shape, with and without the axes that are reduced. */
  readonly kept: number[];
  readonly dropped: number[];
}

function prepare(
  store: TensorStore,
  x: TensorInfo,
  axis: number | readonly number[] | null | undefined,
): Prepared | undefined {
  const rank = x.shape.length;
  const all = x.shape.map((_, at) => at);
  const given = axis === null || axis === undefined ? all : [axis].flat();
  const axes = [...new Set(given.map((one) => axisOf(one, rank)))].sort((a, b) => a - b);
  const others = all.filter((at) => !axes.includes(at));
  const kept = x.shape.map((extent, at) => (axes.includes(at) ? 1 : extent));
  const dropped = others.map((at) => x.shape[at]!);
  const length = sizeOf(axes.map((at) => x.shape[at]!));
  const isOneBlock = axes.every((at, n) => n === 0 || at === axes[n - 1]! + 1);
  if (isOneBlock) {
    const first = axes[0] ?? rank;
    const outer = sizeOf(x.shape.slice(0, first));
    const inner = sizeOf(x.shape.slice(first + axes.length));
    return { tensor: x, isTemporary: false, outer, length, inner, kept, dropped };
  }
  const tensor = transposed(store, x, [...others, ...axes]);
  if (tensor === undefined) return undefined;
  return { tensor, isTemporary: true, outer: sizeOf(dropped), length, inner: 1, kept, dropped };
}

function reduce(
  store: TensorStore,
  x: TensorInfo,
  axis: number | readonly number[] | null | undefined,
  keepDims: boolean,
  compute: (store: TensorStore, prepared: Prepared, shape: number[]) => TensorInfo,
): TensorInfo | undefined {
  const prepared = prepare(store, x, axis);
  if (prepared === undefined) return undefined;
  const result = compute(store, prepared, keepDims ? prepared.kept : prepared.dropped);
  if (prepared.isTemporary) store.disposeIntermediateTensorInfo(prepared.tensor);
  return result;
}

function reductionKernel(name: string, axisName = 'axis'): Kernel {
  const code = () => operation('reduction', name);
  const isExtreme = name === 'maximum' || name === 'minimum';
  return (store, { x }, attributes) => {
    if (x!.dtype !== 'float32' && (x!.dtype !== 'int32' || name === 'mean')) return undefined;
    if (isExtreme && sizeOf(x!.shape) === 0) return undefined;
    const axis = attributes[axisName] as number | number[] | null;
    return reduce(store, x!, axis, attributes['keepDims'] === true, (_, prepared, shape) => {
      const { tensor, outer, length, inner } = prepared;
      if (x!.dtype === 'float32') {
        const out = store.allocate(outer * inner);
        native().tensorReduction(code(), floats(store, tensor), outer, length, inner, out);
        return store.makeTensorInfo(shape, 'float32', out);
      }
      const out = new Int32Array(outer * inner);
      native().tensorReduction(code(), integers(store, tensor), outer, length, inner, out);
      return store.makeTensorInfo(shape, 'int32', out);
    });
  };
}

function extremeKernel(greatest: boolean): Kernel {
  return (store, { x }, attributes) => {
    if (x!.dtype !== 'float32' || sizeOf(x!.shape) === 0) return undefined;
    const axis = attributes['axis'] as number;
    return reduce(store, x!, axis, false, (_, { tensor, outer, length, inner }, shape) => {
      const out = new Int32Array(outer * inner);
      native().tensorExtreme(greatest, floats(store, tensor), outer, length, inner, out);
      return store.makeTensorInfo(shape, 'int32', out);
    });
  };
}

const softmax: Kernel = (store, { logits }, attributes) => {
  const { shape, dtype } = logits!;
  const axis = axisOf(attributes['dim'] as number, shape.length);
  if (dtype !== 'float32' || axis !== shape.length - 1) return undefined;
  const columns = shape.at(-1)!;
  const rows = sizeOf(shape.slice(0, -1));
  const done = store.accelerator?.softmax(logits!, rows, columns);
  if (done !== undefined) return done;
  const out = store.allocate(rows * columns);
  native().tensorSoftmax(floats(store, logits!), columns === 0 ? 0 : rows, columns, out);
  return store.makeTensorInfo(shape, 'float32', out);
};

const topK: Kernel = (store, { x }, attributes) => {
  const { shape, dtype } = x!;
  const k = attributes['k'] as number;
  const columns = shape.at(-1) ?? 0;
  if (dtype !== 'float32' || shape.length === 0 || columns === 0 || k > columns) return undefined;
  const rows = sizeOf(shape.slice(0, -1));
  const values = store.allocate(rows * k);
  const places = new Int32Array(rows * k);
  if (store.accelerator?.topK(x!, rows, columns, k, values, places) !== true) {
    native().tensorTopK(floats(store, x!), rows, columns, k, values, places);
  }
  const outShape = [...shape.slice(0, -1), k];
  return [
    store.makeTensorInfo(outShape, 'float32', values),
    store.makeTensorInfo(outShape, 'int32', places),
  ];
};

/** Reductions, and what is made of whole rows. */
export const REDUCTION_KERNELS: KernelFamily = {
  Sum: reductionKernel('sum'),
  Mean: reductionKernel('mean'),
  Prod: reductionKernel('product'),
  Max: reductionKernel('maximum', 'reductionIndices'),
  Min: reductionKernel('minimum'),
  ArgMax: extremeKernel(true),
  ArgMin: extremeKernel(false),
  Softmax: softmax,
  TopK: topK,
};
