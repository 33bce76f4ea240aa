import type { TensorInfo } from '@tensorflow/tfjs-core';
import { native } from '../../native.js';
import {
  areAll,
  bools,
  floats,
  integers,
  operation,
  relabelled,
  type Kernel,
  type KernelFamily,
  type TensorStore,
} from '../kernel.js';
import { broadcast, sameShape } from '../shapes.js';
import { cast } from './cast.js';

/** Operations that there are on int32 as well. */
const ON_INTEGERS: ReadonlySet<string> = new Set([
  'add',
  'subtract',
  'multiply',
  'maximum',
  'minimum',
  'squaredDifference',
  'floorDivide',
  'modulo',
]);

/** A native operation on two tensors of one type, with broadcasting. */
export function binary(
  store: TensorStore,
  name: string,
  a: TensorInfo,
  b: TensorInfo,
): TensorInfo | undefined {
  const isFloat = areAll('float32', a, b);
  if (!isFloat && !(areAll('int32', a, b) && ON_INTEGERS.has(name))) return undefined;
  const together = broadcast(a.shape, b.shape);
  if (together === undefined) return undefined;
  const { shape, axes } = together;
  const size = shape.reduce((product, extent) => product * extent, 1);
  const code = operation('binary', name);
  if (isFloat) {
    const out = store.allocate(size);
    native().tensorBinary(code, axes, floats(store, a), floats(store, b), out);
    return store.makeTensorInfo(shape, 'float32', out);
  }
  const out = new Int32Array(size);
  native().tensorBinary(code, axes, integers(store, a), integers(store, b), out);
  return store.makeTensorInfo(shape, 'int32', out);
}

function binaryKernel(name: string, first = 'a', second = 'b'): Kernel {
  return (store, inputs) => binary(store, name, inputs[first]!, inputs[second]!);
}

function comparisonKernel(name: string): Kernel {
  return (store, { a, b }) => {
    const isFloat = areAll('float32', a!, b!);
    if (!isFloat && !areAll('int32', a!, b!)) return undefined;
    const together = broadcast(a!.shape, b!.shape);
    if (together === undefined) return undefined;
    const { shape, axes } = together;
    const out = new Uint8Array(shape.reduce((product, extent) => product * extent, 1));
    const values = isFloat ? floats : integers;
    native().tensorComparison(
      operation('comparison', name),
      axes,
      values(store, a!) as Float32Array,
      values(store, b!) as Float32Array,
      out,
    );
    return store.makeTensorInfo(shape, 'bool', out);
  };
}

function logical(store: TensorStore, name: string, a: TensorInfo, b: TensorInfo) {
  const together = broadcast(a.shape, b.shape);
  if (!areAll('bool', a, b) || together === undefined) return undefined;
  const { shape, axes } = together;
  const out = new Uint8Array(shape.reduce((product, extent) => product * extent, 1));
  const code = operation('logical', name);
  native().tensorLogical(code, axes, bools(store, a), bools(store, b), out);
  return store.makeTensorInfo(shape, 'bool', out);
}

function logicalKernel(name: string): Kernel {
  return (store, { a, b }) => logical(store, name, a!, b!);
}

const logicalNot: Kernel = (store, { x }) => {
  const one = store.makeTensorInfo([], 'bool', Uint8Array.of(1));
  const result = logical(store, 'exclusiveOr', x!, one);
  store.disposeIntermediateTensorInfo(one);
  return result;
};

/** Small whole powers are products. */
const pow: Kernel = (store, { a, b }) => {
  if (!areAll('float32', a!, b!)) return undefined;
  const exponent = b!.shape.length === 0 ? floats(store, b!)[0] : undefined;
  if (exponent !== 2 && exponent !== 3) return binary(store, 'power', a!, b!);
  const square = binary(store, 'multiply', a!, a!);
  if (exponent === 2 || square === undefined) return square;
  const cube = binary(store, 'multiply', square, a!);
  store.disposeIntermediateTensorInfo(square);
  return cube;
};

/** Of float32 too it gives int32. */
const floorDivide: Kernel = (store, { a, b }) => {
  const quotient = binary(store, 'floorDivide', a!, b!);
  if (quotient === undefined || quotient.dtype === 'int32') return quotient;
  const whole = cast(store, quotient, 'int32');
  store.disposeIntermediateTensorInfo(quotient);
  return whole;
};

const addN: Kernel = (store, inputs) => {
  const terms = Object.values(inputs) as TensorInfo[];
  const [first, ...others] = terms;
  const isOurs = areAll('float32', ...terms) || areAll('int32', ...terms);
  if (!isOurs || !others.every(({ shape }) => sameShape(shape, first!.shape))) return undefined;
  let sum: TensorInfo = relabelled(store, first!);
  for (const term of others) {
    const next = binary(store, 'add', sum, term)!;
    store.disposeIntermediateTensorInfo(sum);
    sum = next;
  }
  return sum;
};

/** Elementwise operations on two tensors. */
export const BINARY_KERNELS: KernelFamily = {
  Add: binaryKernel('add'),
  AddN: addN,
  Sub: binaryKernel('subtract'),
  Multiply: binaryKernel('multiply'),
  RealDiv: binaryKernel('divide'),
  FloorDiv: floorDivide,
  Mod: binaryKernel('modulo'),
  Maximum: binaryKernel('maximum'),
  Minimum: binaryKernel('minimum'),
  SquaredDifference: binaryKernel('squaredDifference'),
  Pow: pow,
  Prelu: binaryKernel('prelu', 'x', 'alpha'),
  EluGrad: binaryKernel('eluGrad', 'dy', 'y'),
  Equal: comparisonKernel('equal'),
  NotEqual: comparisonKernel('notEqual'),
  Greater: comparisonKernel('greater'),
  GreaterEqual: comparisonKernel('greaterEqual'),
  Less: comparisonKernel('less'),
  LessEqual: comparisonKernel('lessEqual'),
  LogicalAnd: logicalKernel('and'),
  LogicalOr: logicalKernel('or'),
  LogicalNot: logicalNot,
};
