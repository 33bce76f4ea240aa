import { native } from '../../native.js';
import {
  allocateLike,
  arrayOf,
  bools,
  floats,
  integers,
  type Kernel,
  type KernelFamily,
} from '../kernel.js';
import { axisOf, sameShape, sizeOf } from '../shapes.js';

const gather: Kernel = (store, { x, indices }, attributes) => {
  const axis = axisOf(attributes['axis'] as number, x!.shape.length);
  const batchDims = (attributes['batchDims'] as number | undefined) ?? 0;
  const values = arrayOf(store, x!);
  if (values === undefined || indices!.dtype !== 'int32') return undefined;
  const rows = integers(store, indices!);
  const end = x!.shape[axis]!;
  const outside = rows.find((row) => row < 0 || row >= end);
  if (outside !== undefined) {
    // As the cpu backend has it.
    throw new Error(`GatherV2: the index value ${outside} is not in [0, ${end - 1}]`);
  }
  const { batchSize, outerSize, dimSize, sliceSize, outputShape } =
    store.tf.backend_util.segment_util.collectGatherOpShapeInfo(x!, indices!, axis, batchDims);
  const out = allocateLike(store, values, sizeOf(outputShape));
  native().tensorGather(values, rows, batchSize, outerSize, dimSize, sliceSize, out);
  return store.makeTensorInfo(outputShape, x!.dtype, out);
};

const unsortedSegmentSum: Kernel = (store, { x, segmentIds }, attributes) => {
  if (x!.dtype !== 'float32' || segmentIds!.dtype !== 'int32') return undefined;
  // What is summed is whole rows: one id for each.
  if (segmentIds!.shape.length !== 1) return undefined;
  const segments = attributes['numSegments'] as number;
  const rest = x!.shape.slice(1);
  const width = sizeOf(rest);
  const out = store.allocate(segments * width);
  const ids = integers(store, segmentIds!);
  native().tensorSegmentSum(floats(store, x!), ids, width, segments, out);
  return store.makeTensorInfo([segments, ...rest], 'float32', out);
};

const oneHot: Kernel = (store, { indices }, attributes) => {
  const { depth, onValue, offValue, dtype } = attributes as Record<string, number> & {
    dtype?: unknown;
  };
  if (
    indices!.dtype !== 'int32' ||
    (dtype !== undefined && dtype !== 'float32' && dtype !== 'int32')
  )
    return undefined;
  const places = integers(store, indices!);
  const length = places.length * depth!;
  const out = dtype === 'int32' ? new Int32Array(length) : store.allocate(length);
  out.fill(offValue!);
  places.forEach((place, row) => {
    if (place >= 0 && place < depth!) out[row * depth! + place] = onValue!;
  });
  const type = dtype === 'int32' ? 'int32' : 'float32';
  return store.makeTensorInfo([...indices!.shape, depth!], type, out);
};

const select: Kernel = (store, { condition, t, e }) => {
  const shape = t!.shape;
  const isOurs =
    condition!.dtype === 'bool' &&
    t!.dtype === 'float32' &&
    e!.dtype === 'float32' &&
    sameShape(condition!.shape, shape) &&
    sameShape(e!.shape, shape);
  if (!isOurs) return undefined;
  const out = store.allocate(sizeOf(shape));
  native().tensorSelect(bools(store, condition!), floats(store, t!), floats(store, e!), out);
  return store.makeTensorInfo(shape, 'float32', out);
};

/** Rows and values chosen by number or by condition. */
export const ROW_KERNELS: KernelFamily = {
  GatherV2: gather,
  UnsortedSegmentSum: unsortedSegmentSum,
  OneHot: oneHot,
  Select: select,
};
