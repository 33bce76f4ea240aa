import type { DataId, DataType, TensorInfo } from '@tensorflow/tfjs-core';
import { native } from '../native.js';
import type { TensorArray, TensorOperations } from '../native-tensor.js';
import type { TensorFlow } from './tensorflow.js';

/** A product of matrices as native calls take it; an operand of one matrix serves the whole batch. */
export interface ProductSizes {
  readonly batch: number;
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  /** Of the result. */
  readonly shape: number[];
}

/** A device that does some operations on float32 tensors. What it does not take, or has no memory for, the kernel does. */
export interface Accelerator {
  /** Whether it would try to. */
  takesProduct(a: TensorInfo, b: TensorInfo, sizes: ProductSizes): boolean;
  /** undefined: the kernel is to do it. */
  product(a: TensorInfo, b: TensorInfo, sizes: ProductSizes): TensorInfo | undefined;
  /** Of each of `rows` rows of `columns` values. */
  softmax(x: TensorInfo, rows: number, columns: number): TensorInfo | undefined;
  /** Writes the k largest of each row, and their places; false: the kernel is to do it. */
  topK(
    x: TensorInfo,
    rows: number,
    columns: number,
    k: number,
    values: Float32Array,
    places: Int32Array,
  ): boolean;
  /** Whether nobody else has the values of a tensor. */
  hasAlone(dataId: DataId): boolean;
  /** The tensor is gone. */
  forget(dataId: DataId): void;
  /** The backend is gone. */
  clear(): void;
}

/** What native kernels need of the backend. */
export interface TensorStore {
  readonly tf: TensorFlow;
  readonly accelerator?: Accelerator | undefined;
  /** The array of a tensor, whatever its type. */
  valuesOf(tensor: TensorInfo): unknown;
  /** A new tensor with the array. */
  makeTensorInfo(shape: number[], dtype: DataType, values: TensorArray): TensorInfo;
  /** An array for a result, all of which is written. */
  allocate(length: number): Float32Array;
  incRef(dataId: DataId): void;
  /** The tensor was needed for a moment only. */
  disposeIntermediateTensorInfo(tensor: TensorInfo): void;
}

/** Named tensors of a call; several ones without names stand under their numbers. */
export type Inputs = Readonly<Record<string, TensorInfo | undefined>>;
/** Attributes of a call, as the kernel of that name has them. */
export type Attributes = Readonly<Record<string, unknown>>;
/** What a kernel gives. */
export type Outputs = TensorInfo | TensorInfo[];

/** A kernel; undefined says that it does not take such a call, which the cpu backend is to do. */
export type Kernel = (
  store: TensorStore,
  inputs: Inputs,
  attributes: Attributes,
) => Outputs | undefined;

/** Kernels by their names in TensorFlow.js. */
export type KernelFamily = Readonly<Record<string, Kernel>>;

type Family = keyof TensorOperations;
const places = new Map<string, number>();

/** The number of a native operation. */
export function operation(family: Family, name: string): number {
  if (places.size === 0) {
    for (const [key, names] of Object.entries(native().tensorOperations())) {
      (names as string[]).forEach((known, at) => places.set(`${key} ${known}`, at));
    }
  }
  return places.get(`${family} ${name}`)!;
}

/** Whether all are of the type. */
export function areAll(dtype: DataType, ...tensors: readonly TensorInfo[]): boolean {
  return tensors.every((tensor) => tensor.dtype === dtype);
}

/**
 * The values of a float32 tensor. The cpu backend's kernels give some tensors arrays of another type: casts of theirs
 * change nothing but the tensor's type.
 */
export function floats(store: TensorStore, tensor: TensorInfo): Float32Array {
  const values = store.valuesOf(tensor);
  return values instanceof Float32Array ? values : Float32Array.from(values as ArrayLike<number>);
}

/** The values of an int32 tensor. */
export function integers(store: TensorStore, tensor: TensorInfo): Int32Array {
  const values = store.valuesOf(tensor);
  return values instanceof Int32Array ? values : Int32Array.from(values as ArrayLike<number>);
}

/** The values of a bool tensor. */
export function bools(store: TensorStore, tensor: TensorInfo): Uint8Array {
  const values = store.valuesOf(tensor);
  return values instanceof Uint8Array ? values : Uint8Array.from(values as ArrayLike<number>);
}

/** The values of a tensor and an array for as many of a result; undefined for types that no native kernel has. */
export function arrayOf(store: TensorStore, tensor: TensorInfo): TensorArray | undefined {
  if (tensor.dtype === 'float32') return floats(store, tensor);
  if (tensor.dtype === 'int32') return integers(store, tensor);
  return tensor.dtype === 'bool' ? bools(store, tensor) : undefined;
}

/** An array for a result of the type of `like`. */
export function allocateLike<T extends TensorArray>(
  store: TensorStore,
  like: T,
  length: number,
): T {
  if (like instanceof Float32Array) return store.allocate(length) as T;
  return (like instanceof Int32Array ? new Int32Array(length) : new Uint8Array(length)) as T;
}

/** The same data under another name. */
export function relabelled(
  store: TensorStore,
  tensor: TensorInfo,
  shape: readonly number[] = tensor.shape,
): TensorInfo {
  store.incRef(tensor.dataId);
  return { dataId: tensor.dataId, shape: [...shape], dtype: tensor.dtype };
}
