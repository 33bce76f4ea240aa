import { toAttributes, type AttributesInput, type ResolvedSchema } from '../index/attributes.js';
import type { Key, KeysInput } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import {
  broken,
  decodeFrame,
  encodeFrame,
  float32sOf,
  float64sOf,
  listOf,
  sectionOf,
} from './frame.js';

/** What a change does. */
export const WRITE_KINDS = ['add', 'update', 'upsert', 'remove', 'setAttributes'] as const;
export type WriteKind = (typeof WRITE_KINDS)[number];

/** Keys as an index takes them. */
export type KeyList = Float64Array | readonly string[];

/** Values of an attribute, one a row. */
export type Column = Float64Array | readonly unknown[];

/** A change of one shard: what every replica of it does, in the order of the stream. */
export interface WriteMessage {
  readonly kind: WriteKind;
  /** Of the call; a second message with it does nothing. */
  readonly id: string;
  readonly keys: KeyList;
  /** `rows * dim` values; undefined where vectors are not what changes. */
  readonly vectors: Float32Array | undefined;
  readonly columns: Readonly<Record<string, Column>> | undefined;
}

/** What every change of an index must go with. */
export interface WriteRules {
  readonly dim: number;
  /** The first rows decide it for an index in memory; here what is a stranger's must not. */
  readonly keys: 'integer' | 'string';
  readonly schema: ResolvedSchema;
}

const MOST_ID_BYTES = 256;

/** @throws RangeError of memory only. */
export function encodeWrite({ kind, id, keys, vectors, columns }: WriteMessage): Uint8Array {
  const names = Object.keys(columns ?? {});
  const header = {
    ...{ kind, id, rows: keys.length, hasVectors: vectors !== undefined },
    ...{ isInteger: keys instanceof Float64Array, columns: columns === undefined ? null : names },
  };
  return encodeFrame(
    header,
    [
      sectionOf(keys),
      ...(vectors === undefined ? [] : [vectors]),
      ...names.map((name) => sectionOf(columns![name]!)),
    ],
    true,
  );
}

/** @throws ERR_LICHEN_FORMAT for what is no change of such an index. */
export function decodeWrite(
  bytes: Uint8Array,
  { dim, keys: keyKind, schema }: WriteRules,
): WriteMessage {
  const { header, sections } = decodeFrame(bytes, true);
  const { kind, id, rows, hasVectors, isInteger, columns: names } = header;
  if (!WRITE_KINDS.includes(kind as WriteKind)) throw broken('it is no change that there is');
  if (typeof id !== 'string' || id === '' || id.length > MOST_ID_BYTES)
    throw broken('it has no id');
  if (!Number.isSafeInteger(rows) || (rows as number) < 1) throw broken('it is of no rows');
  const count = rows as number;
  const [first, ...rest] = sections;
  if ((isInteger === true) !== (keyKind === 'integer')) throw broken(`keys are ${keyKind}s here`);
  const keys = isInteger === true ? float64sOf(first, count) : stringsOf(listOf(first, count));
  const vectors = hasVectors === true ? float32sOf(rest.shift(), count * dim) : undefined;
  const needsVectors = kind !== 'remove' && kind !== 'setAttributes';
  if (needsVectors !== (vectors !== undefined)) throw broken('its vectors do not go with its kind');
  if (names === null && rest.length === 0) {
    return { kind: kind as WriteKind, id, keys, vectors, columns: undefined };
  }
  if (!Array.isArray(names) || names.length !== rest.length) throw broken('it tells no attributes');
  const columns = Object.fromEntries(
    names.map((name: unknown, at) => {
      const column = typeof name === 'string' ? schema.byName.get(name) : undefined;
      if (column === undefined) throw broken('it has an attribute that the index has not');
      const isNumber = column.kind === 'number';
      return [column.name, isNumber ? float64sOf(rest[at], count) : listOf(rest[at], count)];
    }),
  );
  return { kind: kind as WriteKind, id, keys, vectors, columns };
}

function stringsOf(list: readonly unknown[]): readonly string[] {
  if (list.every((key) => typeof key === 'string')) return list;
  throw broken('its keys are no strings');
}

/** Does a change. @throws what the methods of the index throw; nothing has changed then. */
export async function applyWrite(index: VectorIndex<Key>, message: WriteMessage): Promise<void> {
  const { kind, vectors, columns } = message;
  const keys = message.keys as KeysInput<Key>;
  const attributes = columns as AttributesInput | undefined;
  const options = { keys, ...(attributes && { attributes }) };
  switch (kind) {
    case 'add':
      return index.add(vectors!, options);
    case 'update':
      return index.update(vectors!, options);
    case 'upsert':
      return index.upsert(vectors!, options);
    case 'remove':
      return index.remove(keys);
    case 'setAttributes':
      return index.setAttributes(keys, attributes ?? {});
  }
}

/**
 * Values of attributes, copied and checked, so that rows can be picked from them.
 * @throws ERR_LICHEN_ARGUMENT as an add does.
 */
export function toColumns(
  schema: ResolvedSchema,
  attributes: AttributesInput | undefined,
  count: number,
): Readonly<Record<string, Column>> | undefined {
  if (attributes === undefined) return undefined;
  const native = toAttributes(schema, attributes, count);
  const entries = schema.columns.flatMap(({ name, kind, at }): [string, Column][] => {
    const column = native?.[at];
    if (column === null || column === undefined) return [];
    if (column instanceof Float64Array) return [[name, column.slice()]];
    const [strings, codes, offsets] = column;
    const textsOf = (row: number) =>
      kind === 'category'
        ? (strings[codes[row]! - 1] ?? null)
        : Array.from(codes.subarray(offsets![row], offsets![row + 1]), (code) => strings[code]!);
    return [[name, Array.from({ length: count }, (_, row) => textsOf(row))]];
  });
  return Object.fromEntries(entries);
}

/** The rows of some numbers. */
export function pickKeys(keys: KeyList, rows: Uint32Array): KeyList {
  if (keys instanceof Float64Array) return Float64Array.from(rows, (row) => keys[row]!);
  return Array.from(rows, (row) => keys[row]!);
}

export function pickVectors(vectors: Float32Array, dim: number, rows: Uint32Array): Float32Array {
  const picked = new Float32Array(rows.length * dim);
  rows.forEach((row, at) => picked.set(vectors.subarray(row * dim, (row + 1) * dim), at * dim));
  return picked;
}

/** A change of some of its rows alone. */
export function pickRows(message: WriteMessage, rows: Uint32Array): WriteMessage {
  const { keys, vectors, columns } = message;
  return {
    ...{ ...message, keys: pickKeys(keys, rows) },
    vectors: vectors && pickVectors(vectors, vectors.length / keys.length, rows),
    columns: columns && pickColumns(columns, rows),
  };
}

/** Changes of the same kind and of the same attributes as one, under the id of the first. */
export function joinRows(messages: readonly WriteMessage[]): WriteMessage {
  const [first] = messages as readonly [WriteMessage, ...WriteMessage[]];
  const { columns, vectors } = first;
  const names = Object.keys(columns ?? {});
  return {
    ...first,
    keys: joinColumns(messages.map(({ keys }) => keys)) as KeyList,
    vectors:
      vectors &&
      joinValues(
        messages.map((one) => one.vectors!),
        Float32Array,
      ),
    columns:
      columns &&
      Object.fromEntries(
        names.map((name) => [name, joinColumns(messages.map((one) => one.columns![name]!))]),
      ),
  };
}

function joinColumns(columns: readonly Column[]): Column {
  if (columns.every((column) => column instanceof Float64Array)) {
    return joinValues(columns, Float64Array);
  }
  return columns.flatMap((column) => Array.from(column as ArrayLike<unknown>));
}

function joinValues<T extends Float32Array | Float64Array>(
  parts: readonly T[],
  type: new (length: number) => T,
): T {
  const joined = new type(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export function pickColumns(
  columns: Readonly<Record<string, Column>>,
  rows: Uint32Array,
): Readonly<Record<string, Column>> {
  return Object.fromEntries(
    Object.entries(columns).map(([name, column]) => [
      name,
      column instanceof Float64Array
        ? Float64Array.from(rows, (row) => column[row]!)
        : Array.from(rows, (row) => column[row]),
    ]),
  );
}
