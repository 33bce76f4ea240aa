import type { TensorInfo } from '@tensorflow/tfjs-core';
import { native } from '../../native.js';
import { floats, operation, type Kernel, type KernelFamily, type TensorStore } from '../kernel.js';
import { binary } from './binary.js';

/** A native operation on each value of a float32 tensor; `p` and `q` are its parameters. */
export function unary(
  store: TensorStore,
  name: string,
  x: TensorInfo,
  p = 0,
  q = 0,
): TensorInfo | undefined {
  if (x.dtype !== 'float32') return undefined;
  const values = floats(store, x);
  const out = store.allocate(values.length);
  native().tensorUnary(operation('unary', name), values, out, p, q);
  return store.makeTensorInfo(x.shape, 'float32', out);
}

/** Parameters are attributes of these names. */
function unaryKernel(name: string, ...parameters: readonly string[]): Kernel {
  return (store, { x }, attributes) => {
    const [p, q] = parameters.map((parameter) => attributes[parameter] as number);
    return unary(store, name, x!, p, q);
  };
}

/** Of int32 as an operation of two. */
const negate: Kernel = (store, { x }) => {
  if (x!.dtype !== 'int32') return unary(store, 'negate', x!);
  const zero = store.makeTensorInfo([], 'int32', Int32Array.of(0));
  const result = binary(store, 'subtract', zero, x!);
  store.disposeIntermediateTensorInfo(zero);
  return result;
};

const square: Kernel = (store, { x }) =>
  x!.dtype === 'int32' ? binary(store, 'multiply', x!, x!) : unary(store, 'square', x!);

/** Elementwise operations on one tensor. */
export const UNARY_KERNELS: KernelFamily = {
  Neg: negate,
  Abs: unaryKernel('absolute'),
  Sign: unaryKernel('sign'),
  Square: square,
  Sqrt: unaryKernel('squareRoot'),
  Rsqrt: unaryKernel('inverseSquareRoot'),
  Reciprocal: unaryKernel('reciprocal'),
  Exp: unaryKernel('exp'),
  Expm1: unaryKernel('expm1'),
  Log: unaryKernel('log'),
  Log1p: unaryKernel('log1p'),
  Sigmoid: unaryKernel('sigmoid'),
  Tanh: unaryKernel('tanh'),
  Erf: unaryKernel('erf'),
  Softplus: unaryKernel('softplus'),
  Relu: unaryKernel('relu'),
  Relu6: unaryKernel('relu6'),
  LeakyRelu: unaryKernel('leakyRelu', 'alpha'),
  Elu: unaryKernel('elu'),
  Selu: unaryKernel('selu'),
  Step: unaryKernel('step', 'alpha'),
  ClipByValue: unaryKernel('clip', 'clipValueMin', 'clipValueMax'),
  Floor: unaryKernel('floor'),
  Ceil: unaryKernel('ceil'),
  Round: unaryKernel('round'),
};
