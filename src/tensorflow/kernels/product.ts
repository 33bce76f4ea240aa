import type { TensorInfo } from '@tensorflow/tfjs-core';
import { native } from '../../native.js';
import {
  areAll,
  floats,
  operation,
  type Attributes,
  type Inputs,
  type Kernel,
  type KernelFamily,
  type ProductSizes,
  type TensorStore,
} from '../kernel.js';
import { sameShape, sizeOf } from '../shapes.js';
import { binary } from './binary.js';
import { unary } from './unary.js';

/** Activations of a fused product that a product applies itself, by their names in TensorFlow.js. */
const ACTIVATIONS: Readonly<Record<string, string>> = {
  linear: 'none',
  relu: 'relu',
  relu6: 'relu6',
  sigmoid: 'sigmoid',
  elu: 'elu',
  leakyrelu: 'leakyRelu',
};

interface Epilogue {
  readonly bias: Float32Array | null;
  readonly activation: string;
  readonly slope: number;
}

const PLAIN: Epilogue = { bias: null, activation: 'none', slope: 0 };

/** The shape of a product's batch: operands have the same one, or one of them has a single matrix. */
function batchShape(a: readonly number[], b: readonly number[]): number[] | undefined {
  if (sameShape(a, b)) return [...a];
  if (sizeOf(b) === 1 && b.length <= a.length) return [...a];
  return sizeOf(a) === 1 && a.length <= b.length ? [...b] : undefined;
}

/** undefined for operands that do not fit, which get the cpu backend's own message. */
function sizesOf(a: TensorInfo, b: TensorInfo, attributes: Attributes): ProductSizes | undefined {
  const batch = batchShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (batch === undefined) return undefined;
  const transposeA = attributes['transposeA'] === true;
  const transposeB = attributes['transposeB'] === true;
  const [aRows, aColumns] = a.shape.slice(-2) as [number, number];
  const [bRows, bColumns] = b.shape.slice(-2) as [number, number];
  const [rows, depth] = transposeA ? [aColumns, aRows] : [aRows, aColumns];
  const [bDepth, columns] = transposeB ? [bColumns, bRows] : [bRows, bColumns];
  if (depth !== bDepth) return undefined;
  const shape = [...batch, rows, columns];
  return { batch: sizeOf(batch), rows, depth, columns, transposeA, transposeB, shape };
}

function product(
  store: TensorStore,
  a: TensorInfo,
  b: TensorInfo,
  sizes: ProductSizes,
  { bias, activation, slope }: Epilogue,
): TensorInfo {
  const out = store.allocate(sizeOf(sizes.shape));
  native().tensorProduct(
    floats(store, a),
    floats(store, b),
    out,
    sizes.batch,
    sizes.rows,
    sizes.depth,
    sizes.columns,
    sizes.transposeA,
    sizes.transposeB,
    bias,
    operation('activation', activation),
    slope,
  );
  return store.makeTensorInfo(sizes.shape, 'float32', out);
}

function plainProduct(
  store: TensorStore,
  a: TensorInfo,
  b: TensorInfo,
  sizes: ProductSizes,
): TensorInfo {
  return store.accelerator?.product(a, b, sizes) ?? product(store, a, b, sizes, PLAIN);
}

const batchMatMul: Kernel = (store, { a, b }, attributes) => {
  if (!areAll('float32', a!, b!)) return undefined;
  const sizes = sizesOf(a!, b!, attributes);
  return sizes && plainProduct(store, a!, b!, sizes);
};

const fusedMatMul: Kernel = (store, inputs, attributes) => {
  const { a, b, bias, preluActivationWeights } = inputs;
  const all = [a!, b!, ...[bias, preluActivationWeights].filter((t) => t !== undefined)];
  if (!areAll('float32', ...all)) return undefined;
  const name = (attributes['activation'] as string | null | undefined) ?? 'linear';
  const isPrelu = name === 'prelu';
  const activation = ACTIVATIONS[name];
  if (activation === undefined && !isPrelu) return undefined;
  const sizes = sizesOf(a!, b!, attributes);
  if (sizes === undefined) return undefined;
  const { columns } = sizes;
  const isRow =
    bias !== undefined && sizeOf(bias.shape) === columns && bias.shape.at(-1) === columns;
  const isFused = (bias === undefined || isRow) && !isPrelu;
  const slope = (attributes['leakyreluAlpha'] as number | undefined) ?? 0;
  if (isFused && store.accelerator?.takesProduct(a!, b!, sizes) !== true) {
    const row = bias === undefined ? null : floats(store, bias);
    return product(store, a!, b!, sizes, { bias: row, activation: activation!, slope });
  }
  return inSteps(store, inputs, sizes, activation, slope);
};

/** A bias that is no row, an activation by weights, and what follows a product of a device, come one after the other. */
function inSteps(
  store: TensorStore,
  { a, b, bias, preluActivationWeights }: Inputs,
  sizes: ProductSizes,
  activation: string | undefined,
  slope: number,
): TensorInfo | undefined {
  const steps: ((x: TensorInfo) => TensorInfo | undefined)[] = [];
  if (bias !== undefined) steps.push((x) => binary(store, 'add', x, bias));
  if (activation === undefined) {
    steps.push((x) => binary(store, 'prelu', x, preluActivationWeights!));
  } else if (activation !== 'none') {
    steps.push((x) => unary(store, activation, x, slope));
  }
  let result: TensorInfo | undefined = plainProduct(store, a!, b!, sizes);
  for (const step of steps) {
    if (result === undefined) return undefined;
    const next = step(result);
    store.disposeIntermediateTensorInfo(result);
    result = next;
  }
  return result;
}

/** Products of matrices. */
export const PRODUCT_KERNELS: KernelFamily = {
  BatchMatMul: batchMatMul,
  _FusedMatMul: fusedMatMul,
};
