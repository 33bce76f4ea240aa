import { LichenArgumentError, LichenError } from '../errors.js';
import { requirePackage, type ImportPackage } from '../vectors/packages.js';

/** What lichen uses of the package onnxruntime-node, an optional peer. */
export interface OnnxRuntime {
  readonly InferenceSession: {
    create(path: string, options?: object): Promise<OnnxSession>;
  };
  readonly Tensor: new (type: string, data: OnnxData, dims: readonly number[]) => OnnxTensor;
}

/** A model that is loaded. */
export interface OnnxSession {
  readonly inputMetadata?: readonly OnnxValue[];
  readonly outputMetadata?: readonly OnnxValue[];
  run(
    feeds: Readonly<Record<string, OnnxTensor>>,
    fetches: readonly string[],
  ): Promise<Readonly<Record<string, OnnxTensor>>>;
  release(): Promise<void>;
}

/** What is known of an input or output; a name in a shape is any size. */
export interface OnnxValue {
  readonly name: string;
  readonly isTensor: boolean;
  readonly type?: string;
  readonly shape?: readonly (number | string)[];
}

/** A tensor of the runtime. */
export interface OnnxTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
}

/** Values of the types that lichen hands over: f32, int32, int64. */
export type OnnxData = Float32Array | Int32Array | BigInt64Array;

/** Values as a tensor: row-major, of as many as the shape says. */
export interface OnnxInput {
  /** The values. */
  readonly data: OnnxData;
  /** Its first number is how many rows there are. */
  readonly shape: readonly number[];
}

/** What a model wants to be given. */
export interface OnnxInputSchema {
  /** What the model calls it. */
  readonly name: string;
  /** Of its values. */
  readonly dtype: 'float32' | 'int32' | 'int64';
  /** A name is any size; the first is the number of rows. */
  readonly shape: readonly (number | string)[];
}

/** @throws ERR_LICHEN_MISSING_PACKAGE, ERR_LICHEN_UNSUPPORTED if it cannot be loaded. */
export async function loadOnnxRuntime(load: ImportPackage): Promise<OnnxRuntime> {
  return requirePackage<OnnxRuntime>(load, 'onnxruntime-node', 1);
}

/** The inputs of a model. @throws ERR_LICHEN_UNSUPPORTED for a type that lichen does not hand over. */
export function schemaOf(path: string, session: OnnxSession): OnnxInputSchema[] {
  if (session.inputMetadata === undefined) {
    throw new LichenError(
      'ERR_LICHEN_UNSUPPORTED',
      'onnxruntime-node must be of version 1.21 or later',
    );
  }
  return session.inputMetadata.map(({ name, type, shape }) => {
    if (
      (type === 'float32' || type === 'int32' || type === 'int64') &&
      shape !== undefined &&
      shape.length > 0
    ) {
      return { name, dtype: type, shape };
    }
    throw new LichenError(
      'ERR_LICHEN_UNSUPPORTED',
      `${path}: input ${JSON.stringify(name)} is of type ${type ?? 'unknown'} and shape [${(shape ?? []).join(', ')}], ` +
        'expected rows of float32, int32 or int64',
    );
  });
}

/**
 * Checks what a model is to be given against what it wants.
 * @returns the number of rows.
 * @throws ERR_LICHEN_ARGUMENT for a name or type that does not suit, ERR_LICHEN_DIMENSION for a shape.
 */
export function requireInputs(
  schema: readonly OnnxInputSchema[],
  inputs: Readonly<Record<string, OnnxInput>>,
): number {
  const names = schema.map(({ name }) => name);
  const stranger = Object.keys(inputs).find((name) => !names.includes(name));
  if (stranger !== undefined) {
    throw bad(`the model has no input ${JSON.stringify(stranger)}, expected ${names.join(', ')}`);
  }
  const rows = new Set(schema.map((input) => requireInput(input, inputs[input.name])));
  if (rows.size === 1) return [...rows][0]!;
  throw wrongShape(`inputs must have as many rows each, got ${[...rows].join(' and ')}`);
}

function requireInput(
  { name, dtype, shape }: OnnxInputSchema,
  input: OnnxInput | undefined,
): number {
  const label = `input ${JSON.stringify(name)}`;
  const data: unknown = input?.data;
  if (input === undefined || dtypeOf(data) === undefined || !isList(input.shape)) {
    throw bad(`${label} must be { data, shape } with data of ${dtype}`);
  }
  const given = dtypeOf(data)!;
  if (given !== dtype && !(given === 'int32' && dtype === 'int64')) {
    throw bad(`${label} must be of ${dtype}, got ${given}`);
  }
  const sizes: readonly number[] = input.shape;
  const fits =
    sizes.length === shape.length &&
    sizes.every(
      (size, axis) =>
        Number.isSafeInteger(size) &&
        size >= 0 &&
        (axis === 0 || typeof shape[axis] === 'string' || shape[axis] === size),
    );
  if (!fits)
    throw wrongShape(`${label} must be of shape [${shape.join(', ')}], got [${sizes.join(', ')}]`);
  const values = sizes.reduce((product, size) => product * size, 1);
  if (input.data.length === values) return sizes[0]!;
  throw wrongShape(
    `${label} of shape [${sizes.join(', ')}] must have ${values} values, got ${input.data.length}`,
  );
}

/** Rows `from … to - 1` of an input as a tensor of the type that the model wants. */
export function tensorOf(
  { Tensor }: OnnxRuntime,
  { dtype }: OnnxInputSchema,
  { data, shape }: OnnxInput,
  from: number,
  to: number,
): OnnxTensor {
  const [, ...rest] = shape;
  const width = rest.reduce((product, size) => product * size, 1);
  const part = data.slice(from * width, to * width);
  const isWidened = dtype === 'int64' && part instanceof Int32Array;
  return new Tensor(dtype, isWidened ? BigInt64Array.from(part, BigInt) : part, [
    to - from,
    ...rest,
  ]);
}

function isList(value: unknown): boolean {
  return Array.isArray(value);
}

function dtypeOf(data: unknown): OnnxInputSchema['dtype'] | undefined {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Int32Array) return 'int32';
  return data instanceof BigInt64Array ? 'int64' : undefined;
}

function wrongShape(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_DIMENSION', message);
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
