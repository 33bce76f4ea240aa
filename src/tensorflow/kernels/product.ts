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

function product(
  store: TensorStore,
  a: TensorInfo,
  b: TensorInfo,
  { transposeA, transposeB }: { transposeA?: boolean; transposeB?: boolean },
  { bias, activation, slope }: Epilogue,
): TensorInfo | undefined {
  const batch = batchShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (batch === undefined) return undefined;
  const [aRows, aColumns] = a.shape.slice(-2) as [number, number];
  const [bRows, bColumns] = b.shape.slice(-2) as [number, number];
  const [rows, depth] = transposeA === true ? [aColumns, aRows] : [aRows, aColumns];
  const [bDepth, columns] = transposeB === true ? [bColumns, bRows] : [bRows, bColumns];
  // What does not fit gets the cpu backend's own message.
  if (depth !== bDepth) return undefined;
  const shape = [...batch, rows, columns];
  const out = store.allocate(sizeOf(shape));
  native().tensorProduct(
    floats(store, a),
    floats(store, b),
    out,
    sizeOf(batch),
    rows,
    depth,
    columns,
    transposeA === true,
    transposeB === true,
    bias,
    operation('activation', activation),
    slope,
  );
  return store.makeTensorInfo(shape, 'float32', out);
}

const batchMatMul: Kernel = (store, { a, b }, attributes) => {
  if (!areAll('float32', a!, b!)) return undefined;
  return product(store, a!, b!, attributes, PLAIN);
};

const fusedMatMul: Kernel = (store, inputs, attributes) => {
  const { a, b, bias, preluActivationWeights } = inputs;
  const all = [a!, b!, ...[bias, preluActivationWeights].filter((t) => t !== undefined)];
  if (!areAll('float32', ...all)) return undefined;
  const name = (attributes['activation'] as string | null | undefined) ?? 'linear';
  const isPrelu = name === 'prelu';
  const activation = ACTIVATIONS[name];
  if (activation === undefined && !isPrelu) return undefined;
  const columns = b!.shape.at(attributes['transposeB'] === true ? -2 : -1);
  const isRow =
    bias !== undefined && sizeOf(bias.shape) === columns && bias.shape.at(-1) === columns;
  const isFused = (bias === undefined || isRow) && !isPrelu;
  const slope = (attributes['leakyreluAlpha'] as number | undefined) ?? 0;
  if (isFused) {
    const row = bias === undefined ? null : floats(store, bias);
    return product(store, a!, b!, attributes, { bias: row, activation: activation!, slope });
  }
  return inSteps(store, inputs, attributes, activation, slope);
};

/** A bias that is no row, and an activation by weights, come one after the other. */
function inSteps(
  store: TensorStore,
  { a, b, bias, preluActivationWeights }: Inputs,
  attributes: Attributes,
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
  let result = product(store, a!, b!, attributes, PLAIN);
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
