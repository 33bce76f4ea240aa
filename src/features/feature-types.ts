import { badArgument } from '../cache/cache-limits.js';
import { shown } from '../errors.js';
import type { Matrix } from '../vectors/matrix.js';

/** A feature's type with the value that stands for a missing one. */
export type FeatureType = NumberFeature | BoolFeature | TextFeature | VectorFeature | ListFeature;

/** A number: IEEE single (`f32`) or double (`f64`), or an integer of 32 bits (`i32`). */
export interface NumberFeature<K extends 'f32' | 'f64' | 'i32' = 'f32' | 'f64' | 'i32'> {
  /** Tells the types apart. */
  readonly kind: K;
  /** What it is where nothing is stored. */
  readonly default: number;
}
/** Yes or no. */
export interface BoolFeature {
  /** Tells the types apart. */
  readonly kind: 'bool';
  /** What it is where nothing is stored. */
  readonly default: boolean;
}
/** A text. */
export interface TextFeature {
  /** Tells the types apart. */
  readonly kind: 'text';
  /** What it is where nothing is stored. */
  readonly default: string;
}
/** `dim` f32 values. */
export interface VectorFeature {
  /** Tells the types apart. */
  readonly kind: 'vector';
  /** Values a vector. */
  readonly dim: number;
  /** What it is where nothing is stored. */
  readonly default: Float32Array;
}
/** Up to `max` numbers (f64), as the last ids somebody met. */
export interface ListFeature {
  /** Tells the types apart. */
  readonly kind: 'list';
  /** Numbers at most. */
  readonly max: number;
  /** What it is where nothing is stored. */
  readonly default: Float64Array;
}

/** Features by name. */
export type Schema = Readonly<Record<string, FeatureType>>;

/** What a feature is in one row. */
export type ValueOf<F extends FeatureType> = F extends NumberFeature
  ? number
  : F extends BoolFeature
    ? boolean
    : F extends TextFeature
      ? string
      : F extends VectorFeature
        ? Float32Array
        : Float64Array;

/** Lists of up to `max` numbers: those of row r are `data.subarray(r * max, r * max + counts[r])`. */
export interface ListColumn {
  /** `rows * max` numbers. */
  readonly data: Float64Array;
  /** How many numbers each row has. */
  readonly counts: Uint32Array;
  /** Places a row. */
  readonly max: number;
}

/** What a feature is over all rows: a value a row, 0 or 1 for `bool`. */
export type ColumnOf<F extends FeatureType> =
  F extends NumberFeature<infer K>
    ? K extends 'f32'
      ? Float32Array
      : K extends 'f64'
        ? Float64Array
        : Int32Array
    : F extends BoolFeature
      ? Uint8Array
      : F extends TextFeature
        ? string[]
        : F extends VectorFeature
          ? Matrix
          : ListColumn;

/** A row of a schema. */
export type RowOf<S extends Schema> = { [N in keyof S]: ValueOf<S[N]> };
/** Columns of a schema. */
export type ColumnsOf<S extends Schema> = { [N in keyof S]: ColumnOf<S[N]> };

const MOST_DIM = 65_536;

function number<K extends 'f32' | 'f64' | 'i32'>(kind: K) {
  return (options: { default?: number } = {}): NumberFeature<K> => {
    const { default: value = 0 } = options;
    const type: NumberFeature<K> = { kind, default: value };
    return checked(type, value);
  };
}

/** Makes types of features; each takes the value that stands for a missing one. */
export const feature = {
  /** A number of 32 bits. */
  f32: number('f32'),
  /** A number of 64 bits. */
  f64: number('f64'),
  /** A whole number of 32 bits. */
  i32: number('i32'),
  /** True or false. */
  bool(options: { default?: boolean } = {}): BoolFeature {
    const { default: value = false } = options;
    return checked({ kind: 'bool', default: value } as const, value);
  },
  /** A text. */
  text(options: { default?: string } = {}): TextFeature {
    const { default: value = '' } = options;
    return checked({ kind: 'text', default: value } as const, value);
  },
  /** A vector of `dim` numbers of 32 bits. */
  vector(dim: number, options: { default?: ArrayLike<number> } = {}): VectorFeature {
    requireCount('dim', dim);
    const value = Float32Array.from(options.default ?? new Float32Array(dim));
    return checked({ kind: 'vector', dim, default: value } as const, value);
  },
  /** Up to `max` numbers of 64 bits. */
  list(max: number, options: { default?: ArrayLike<number> } = {}): ListFeature {
    requireCount('max', max);
    const value = Float64Array.from(options.default ?? []);
    return checked({ kind: 'list', max, default: value } as const, value);
  },
} as const;

/** Why a value cannot be of a type, or undefined if it can. */
export function mismatch(type: FeatureType, value: unknown): string | undefined {
  switch (type.kind) {
    case 'f32':
      return finite(value, Math.fround) ? undefined : `a number of f32, got ${shown(value)}`;
    case 'f64':
      return finite(value) ? undefined : `a finite number, got ${shown(value)}`;
    case 'i32':
      return typeof value === 'number' && (value | 0) === value
        ? undefined
        : `an integer of 32 bits, got ${shown(value)}`;
    case 'bool':
      return typeof value === 'boolean' ? undefined : `true or false, got ${shown(value)}`;
    case 'text':
      return typeof value === 'string' ? undefined : `a text, got ${shown(value)}`;
    case 'vector':
      return numbers(value, Math.fround) === type.dim
        ? undefined
        : `${type.dim} numbers of f32, got ${describe(value)}`;
    case 'list': {
      const count = numbers(value);
      return count >= 0 && count <= type.max
        ? undefined
        : `at most ${type.max} numbers, got ${describe(value)}`;
    }
  }
}

function finite(value: unknown, round = (x: number): number => x): boolean {
  return typeof value === 'number' && Number.isFinite(round(value));
}

/** How many numbers an array has, -1 if it is none or one of them is not finite. */
function numbers(value: unknown, round?: (x: number) => number): number {
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) return -1;
  const { length } = value as ArrayLike<unknown>;
  for (let at = 0; at < length; at++) {
    if (!finite((value as ArrayLike<unknown>)[at], round)) return -1;
  }
  return length ?? -1;
}

function describe(value: unknown): string {
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) return shown(value);
  const { length } = value as ArrayLike<unknown>;
  return numbers(value) < 0 ? `${length} values that are not all finite` : `${length} values`;
}

function checked<T extends FeatureType>(type: T, value: unknown): T {
  const reason = mismatch(type, value);
  if (reason === undefined) return Object.freeze(type);
  throw badArgument(`default must be ${reason}`);
}

function requireCount(name: string, value: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= MOST_DIM) return;
  throw badArgument(`${name} must be a whole number in 1..${MOST_DIM}, got ${shown(value)}`);
}
