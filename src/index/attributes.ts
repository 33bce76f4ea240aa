import { LichenArgumentError, shown } from '../errors.js';
import type { NativeAttributes, NativeColumn, NativeSchema } from '../native.js';

/**
 * What an attribute holds: a number (also infinite), one string of few or many (`category`), or a set of strings
 * (`tags`).
 */
export type AttributeKind = 'number' | 'category' | 'tags';

/** Names and kinds of the attributes of an index; `and`, `or` and `not` cannot be names. */
export interface AttributeSchema {
  /** The kind of the attribute of that name. */
  readonly [name: string]: AttributeKind;
}

/**
 * Values of one attribute, one a vector. null, undefined, NaN and the empty set of tags say that the vector has none.
 * Strings have at most 65,535 bytes of UTF-8.
 */
export type AttributeValuesInput =
  | ArrayLike<number | null | undefined>
  | ArrayLike<string | null | undefined>
  | ArrayLike<readonly string[] | null | undefined>;

/** Values of attributes by name; vectors have none of an attribute that is left out. */
export interface AttributesInput {
  /** Values of the attribute of that name, one a vector. */
  readonly [name: string]: AttributeValuesInput;
}

/**
 * Values of attributes by name, one a vector: numbers (NaN for none), strings (null for none) or sets of tags.
 */
export interface AttributesOf {
  /** Values of the attribute of that name, one a vector. */
  readonly [name: string]: Float64Array | readonly (string | null)[] | readonly string[][];
}

/** A schema that was checked. */
export interface ResolvedSchema {
  readonly columns: readonly AttributeColumn[];
  readonly byName: ReadonlyMap<string, AttributeColumn>;
  readonly native: NativeSchema;
}

/** An attribute and its place in the schema. */
export interface AttributeColumn {
  readonly name: string;
  readonly kind: AttributeKind;
  readonly at: number;
}

const KINDS: readonly string[] = ['number', 'category', 'tags'] satisfies AttributeKind[];
const RESERVED: readonly string[] = ['and', 'or', 'not'];
const MAX_ATTRIBUTES = 64;
const MAX_NAME_BYTES = 255;
const MAX_STRING_BYTES = 65535;
/** What the offsets of tags can count. */
const MAX_TAGS = 2 ** 32 - 1;

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}

/** How a message names a member of an argument: `where.genre`, or `where["release year"]`. */
export function memberPath(path: string, name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? `${path}.${name}` : `${path}[${shown(name)}]`;
}

/** A schema of attributes; ERR_LICHEN_ARGUMENT for a name or kind that cannot be. */
export function resolveSchema(schema: unknown): ResolvedSchema {
  if (schema === null || typeof schema !== 'object' || Array.isArray(schema)) {
    throw bad(`attributes must be an object of names and kinds, got ${shown(schema)}`);
  }
  const columns: AttributeColumn[] = [];
  for (const name of Object.keys(schema)) {
    const path = memberPath('attributes', name);
    if (RESERVED.includes(name)) throw bad(`${path}: conditions use this name for themselves`);
    if (name === '' || byteLength(name) > MAX_NAME_BYTES) {
      throw bad(`${path}: a name must have 1 to ${MAX_NAME_BYTES} bytes`);
    }
    const kind = (schema as Record<string, unknown>)[name];
    if (typeof kind !== 'string' || !KINDS.includes(kind)) {
      throw bad(`${path} must be 'number', 'category' or 'tags', got ${shown(kind)}`);
    }
    columns.push({ name, kind: kind as AttributeKind, at: columns.length });
  }
  if (columns.length > MAX_ATTRIBUTES) {
    throw bad(`attributes must be at most ${MAX_ATTRIBUTES}, got ${columns.length}`);
  }
  return schemaOf(columns);
}

/** The schema that the addon tells of an index. */
export function schemaOfNative(native: NativeSchema): ResolvedSchema {
  const columns: AttributeColumn[] = [];
  for (let at = 0; at + 1 < native.length; at += 2) {
    columns.push({
      name: native[at]!,
      kind: native[at + 1] as AttributeKind,
      at: columns.length,
    });
  }
  return schemaOf(columns);
}

function schemaOf(columns: readonly AttributeColumn[]): ResolvedSchema {
  return {
    columns,
    byName: new Map(columns.map((column) => [column.name, column])),
    native: columns.flatMap(({ name, kind }) => [name, kind]),
  };
}

/** Names and kinds of a schema. */
export function schemaFrom({ columns }: ResolvedSchema): AttributeSchema {
  return Object.fromEntries(columns.map(({ name, kind }) => [name, kind]));
}

/** The attribute of a name; ERR_LICHEN_ARGUMENT, which tells the names there are, if there is none. */
export function requireColumn(schema: ResolvedSchema, path: string, name: string): AttributeColumn {
  const column = schema.byName.get(name);
  if (column !== undefined) return column;
  const names = schema.columns.map((known) => shown(known.name)).join(', ');
  throw bad(
    `${path}: there is no attribute ${shown(name)}, ${names === '' ? 'the index has none' : `expected ${names}`}`,
  );
}

/**
 * Values of attributes as the addon takes them; `count` is the number of vectors. Everything is read once and checked
 * before anything changes.
 * @throws ERR_LICHEN_ARGUMENT for an unknown attribute, a value of another kind, or another number of values.
 */
export function toAttributes(
  schema: ResolvedSchema,
  attributes: AttributesInput | undefined,
  count: number,
): NativeAttributes {
  if (attributes === undefined) return null;
  if (attributes === null || typeof attributes !== 'object' || Array.isArray(attributes)) {
    throw bad(`attributes must be an object of names and values, got ${shown(attributes)}`);
  }
  const native: NativeColumn[] = schema.columns.map(() => null);
  for (const name of Object.keys(attributes)) {
    const path = memberPath('attributes', name);
    const { kind, at } = requireColumn(schema, path, name);
    native[at] = toColumn(path, kind, attributes[name], count);
  }
  return native;
}

function toColumn(path: string, kind: AttributeKind, values: unknown, count: number): NativeColumn {
  const isView = ArrayBuffer.isView(values) && !(values instanceof DataView);
  if (!Array.isArray(values) && !(isView && kind === 'number')) {
    throw bad(`${path} must be an array with a value a vector, got ${shown(values)}`);
  }
  const given = values as ArrayLike<unknown>;
  const { length } = given;
  if (length !== count) throw bad(`${path}: got ${length} values for ${count} vectors`);
  switch (kind) {
    case 'number':
      return toNumbers(path, given, count);
    case 'category':
      return toCodes(path, given, count);
    case 'tags':
      return toTags(path, given, count);
  }
}

function toNumbers(path: string, given: ArrayLike<unknown>, count: number): Float64Array {
  if (given instanceof Float64Array) return given;
  const numbers = new Float64Array(count);
  for (let row = 0; row < count; row++) {
    const value = given[row] ?? NaN;
    if (typeof value !== 'number') {
      throw bad(`${path}[${row}] must be a number, or null for none, got ${shown(value)}`);
    }
    numbers[row] = value;
  }
  return numbers;
}

function toCodes(path: string, given: ArrayLike<unknown>, count: number): NativeColumn {
  const strings = new StringList();
  const codes = new Uint32Array(count);
  for (let row = 0; row < count; row++) {
    const value = given[row] ?? null;
    if (value !== null) codes[row] = 1 + strings.placeOf(value, () => `${path}[${row}]`);
  }
  return [strings.all, codes];
}

function toTags(path: string, given: ArrayLike<unknown>, count: number): NativeColumn {
  const strings = new StringList();
  const codes: number[] = [];
  const offsets = new Uint32Array(count + 1);
  for (let row = 0; row < count; row++) {
    const value = given[row] ?? [];
    if (!Array.isArray(value)) {
      throw bad(`${path}[${row}] must be an array of strings, or null, got ${shown(value)}`);
    }
    const tags = value as readonly unknown[];
    for (let at = 0, { length } = tags; at < length; at++) {
      codes.push(strings.placeOf(tags[at], () => `${path}[${row}][${at}]`));
    }
    if (codes.length > MAX_TAGS) throw bad(`${path}: more than ${MAX_TAGS} tags in one call`);
    offsets[row + 1] = codes.length;
  }
  return [strings.all, Uint32Array.from(codes), offsets];
}

/** Distinct strings, by place. */
class StringList {
  readonly all: string[] = [];
  readonly #places = new Map<string, number>();

  placeOf(value: unknown, path: () => string): number {
    const place = this.#places.get(value as string);
    if (place !== undefined) return place;
    this.all.push(requireString(value, path));
    this.#places.set(value as string, this.all.length - 1);
    return this.all.length - 1;
  }
}

/** A string that an attribute can hold. */
export function requireString(value: unknown, path: () => string): string {
  if (typeof value !== 'string') throw bad(`${path()} must be a string, got ${shown(value)}`);
  if (byteLength(value) <= MAX_STRING_BYTES) return value;
  throw bad(`${path()} must have at most ${MAX_STRING_BYTES} bytes, got ${byteLength(value)}`);
}

/** Bytes of UTF-8; of a short text, at most so many that it fits anywhere. */
function byteLength(text: string): number {
  // No UTF-16 unit takes more than three bytes.
  return 3 * text.length <= MAX_NAME_BYTES ? text.length : Buffer.byteLength(text);
}
