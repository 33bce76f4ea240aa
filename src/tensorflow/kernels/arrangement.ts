import type { TensorInfo } from '@tensorflow/tfjs-core';
import { native } from '../../native.js';
import type { TensorArray } from '../../native-tensor.js';
import {
  allocateLike,
  arrayOf,
  relabelled,
  type Kernel,
  type KernelFamily,
  type TensorStore,
} from '../kernel.js';
import { axisOf, copyAxes, sameShape, sizeOf, stepsOf } from '../shapes.js';

/** A view of a tensor's array: where it begins, and its steps. */
interface View {
  readonly extents: readonly number[];
  readonly steps: readonly number[];
  readonly first: number;
}

/** A tensor of the shape with what a view of `x` shows; undefined if native calls cannot make it. */
function copied(
  store: TensorStore,
  x: TensorInfo,
  { extents, steps, first }: View,
  shape: readonly number[] = extents,
): TensorInfo | undefined {
  const values = arrayOf(store, x);
  const axes = copyAxes(extents, steps, stepsOf(extents));
  if (values === undefined || axes === undefined) return undefined;
  const out = allocateLike(store, values, sizeOf(shape));
  native().tensorCopy(axes, values, first, out, 0);
  return store.makeTensorInfo([...shape], x.dtype, out);
}

/** The tensor with its axes in another order. */
export function transposed(
  store: TensorStore,
  x: TensorInfo,
  order: readonly number[],
): TensorInfo | undefined {
  const steps = stepsOf(x.shape);
  const extents = order.map((axis) => x.shape[axis]!);
  return copied(store, x, { extents, steps: order.map((axis) => steps[axis]!), first: 0 });
}

const transpose: Kernel = (store, { x }, attributes) => {
  const order = attributes['perm'] as number[];
  // An order that leaves all long axes in place changes nothing but the shape.
  const long = order.filter((axis) => x!.shape[axis] !== 1);
  if (arrayOf(store, x!) !== undefined && long.every((axis, n) => n === 0 || axis > long[n - 1]!)) {
    const shape = order.map((axis) => x!.shape[axis]!);
    return relabelled(store, x!, shape);
  }
  return transposed(store, x!, order);
};

/** A part of a tensor, `size` values of each axis from `begin` on. */
function part(
  store: TensorStore,
  x: TensorInfo,
  begin: readonly number[],
  size: readonly number[],
  shape: readonly number[] = size,
): TensorInfo | undefined {
  const steps = stepsOf(x.shape);
  const first = begin.reduce((sum, at, axis) => sum + at * steps[axis]!, 0);
  return copied(store, x, { extents: size, steps, first }, shape);
}

const slice: Kernel = (store, { x }, attributes) => {
  const { slice_util: slices } = store.tf;
  const given = attributes as { begin: number | number[]; size?: number | number[] };
  // Its type asks for a tensor, of which it uses the shape.
  const [begin, size] = slices.parseSliceParams(x as never, given.begin, given.size);
  slices.assertParamsValid(x!, begin!, size!);
  return part(store, x!, begin!, size!);
};

const stridedSlice: Kernel = (store, { x }, attributes) => {
  const a = attributes as Record<string, number[]> & Record<`${string}Mask`, number>;
  const info = store.tf.slice_util.sliceInfo(
    x!.shape,
    a['begin']!,
    a['end']!,
    a['strides']!,
    a['beginMask']!,
    a['endMask']!,
    a['ellipsisMask']!,
    a['newAxisMask']!,
    a['shrinkAxisMask']!,
  );
  const shape = info.finalShape;
  if (arrayOf(store, x!) === undefined) return undefined;
  if (info.isIdentity) return relabelled(store, x!, shape);
  const steps = stepsOf(x!.shape);
  const first = info.begin.reduce((sum, at, axis) => sum + at * steps[axis]!, 0);
  const sizes = store.tf.slice_util.computeOutShape(info.begin, info.end, info.strides);
  const extents = sizes.map((size) => Math.max(0, size));
  if (sizeOf(extents) !== sizeOf(shape)) return undefined;
  const taken = steps.map((step, axis) => step * info.strides[axis]!);
  return copied(store, x!, { extents, steps: taken, first }, shape);
};

const reverse: Kernel = (store, { x }, attributes) => {
  const rank = x!.shape.length;
  const dims = [attributes['dims'] as number | number[]].flat().map((axis) => axisOf(axis, rank));
  const steps = stepsOf(x!.shape);
  if (sizeOf(x!.shape) === 0 || arrayOf(store, x!) === undefined) return undefined;
  const first = dims.reduce((sum, axis) => sum + (x!.shape[axis]! - 1) * steps[axis]!, 0);
  const turned = steps.map((step, axis) => (dims.includes(axis) ? -step : step));
  return copied(store, x!, { extents: x!.shape, steps: turned, first });
};

const tile: Kernel = (store, { x }, attributes) => {
  const reps = attributes['reps'] as number[];
  const steps = stepsOf(x!.shape);
  // Each axis is two, one for the repetitions, which have no step.
  const extents = x!.shape.flatMap((extent, axis) => [reps[axis]!, extent]);
  const taken = steps.flatMap((step) => [0, step]);
  const shape = x!.shape.map((extent, axis) => extent * reps[axis]!);
  const needed = extents.map((extent, axis) => ({ extent, step: taken[axis]! }));
  const long = needed.filter(({ extent }) => extent !== 1);
  return copied(
    store,
    x!,
    { extents: long.map(({ extent }) => extent), steps: long.map(({ step }) => step), first: 0 },
    shape,
  );
};

/** Copies tensors into places of one new tensor along an axis; each takes its own extent of it. */
function joined(
  store: TensorStore,
  tensors: readonly TensorInfo[],
  shapes: readonly (readonly number[])[],
  axis: number,
): TensorInfo | undefined {
  const { dtype } = tensors[0]!;
  const shape = [...shapes[0]!];
  shape[axis] = shapes.reduce((sum, { [axis]: extent }) => sum + extent!, 0);
  const values: TensorArray[] = [];
  for (const tensor of tensors) {
    const array = tensor.dtype === dtype ? arrayOf(store, tensor) : undefined;
    if (array === undefined) return undefined;
    values.push(array);
  }
  const out = allocateLike(store, values[0]!, sizeOf(shape));
  // All axes before and all from it on are one each.
  const outWidth = sizeOf(shape.slice(axis));
  const outer = sizeOf(shape.slice(0, axis));
  let first = 0;
  for (const [n, array] of values.entries()) {
    const width = sizeOf(shapes[n]!.slice(axis));
    const axes = copyAxes([outer, width], [width, 1], [outWidth, 1]);
    if (axes === undefined) return undefined;
    native().tensorCopy(axes, array, 0, out, first);
    first += width;
  }
  return store.makeTensorInfo(shape, dtype, out);
}

const concat: Kernel = (store, inputs, attributes) => {
  const tensors = Object.values(inputs) as TensorInfo[];
  const [first] = tensors;
  const shapes = tensors.map(({ shape }) => shape);
  const axis = axisOf(attributes['axis'] as number, first!.shape.length);
  store.tf.backend_util.assertParamsConsistent(shapes, axis);
  return joined(store, tensors, shapes, axis);
};

const pack: Kernel = (store, inputs, attributes) => {
  const tensors = Object.values(inputs) as TensorInfo[];
  const { shape } = tensors[0]!;
  if (!tensors.every((tensor) => sameShape(tensor.shape, shape))) return undefined;
  const axis = axisOf(attributes['axis'] as number, shape.length + 1);
  const one = [...shape.slice(0, axis), 1, ...shape.slice(axis)];
  return joined(
    store,
    tensors,
    tensors.map(() => one),
    axis,
  );
};

/** Parts of a tensor along an axis, one after the other. */
function parts(
  store: TensorStore,
  x: TensorInfo,
  axis: number,
  sizes: readonly number[],
  dropsAxis: boolean,
): TensorInfo[] | undefined {
  if (arrayOf(store, x) === undefined) return undefined;
  const begin = x.shape.map(() => 0);
  const made: TensorInfo[] = [];
  for (const size of sizes) {
    const extents = x.shape.map((extent, at) => (at === axis ? size : extent));
    const shape = dropsAxis ? extents.filter((_, at) => at !== axis) : extents;
    const next = part(store, x, begin, extents, shape);
    if (next === undefined) {
      for (const tensor of made) store.disposeIntermediateTensorInfo(tensor);
      return undefined;
    }
    made.push(next);
    begin[axis]! += size;
  }
  return made;
}

const unpack: Kernel = (store, { value }, attributes) => {
  const axis = axisOf(attributes['axis'] as number, value!.shape.length);
  const ones = new Array<number>(value!.shape[axis]!).fill(1);
  return parts(store, value!, axis, ones, true);
};

const split: Kernel = (store, { x }, attributes) => {
  const axis = axisOf(attributes['axis'] as number, x!.shape.length);
  const wanted = attributes['numOrSizeSplits'] as number | number[];
  const sizes = store.tf.backend_util.prepareSplitSize(x as never, wanted, axis);
  return parts(store, x!, axis, sizes, false);
};

const pad: Kernel = (store, { x }, attributes) => {
  const paddings = attributes['paddings'] as [number, number][];
  const values = arrayOf(store, x!);
  const shape = x!.shape.map((extent, axis) => extent + paddings[axis]![0] + paddings[axis]![1]);
  const outSteps = stepsOf(shape);
  const axes = copyAxes(x!.shape, stepsOf(x!.shape), outSteps);
  if (values === undefined || axes === undefined) return undefined;
  const out = allocateLike(store, values, sizeOf(shape));
  out.fill(attributes['constantValue'] as number);
  const first = paddings.reduce((sum, [before], axis) => sum + before * outSteps[axis]!, 0);
  native().tensorCopy(axes, values, 0, out, first);
  return store.makeTensorInfo(shape, x!.dtype, out);
};

/** Other arrangements of the same values. */
export const ARRANGEMENT_KERNELS: KernelFamily = {
  Transpose: transpose,
  Slice: slice,
  StridedSlice: stridedSlice,
  Reverse: reverse,
  Tile: tile,
  Concat: concat,
  Pack: pack,
  Unpack: unpack,
  SplitV: split,
  PadV2: pad,
};
