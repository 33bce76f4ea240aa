import { hashOf } from '../cache/key-hash.js';
import type { Matrix } from '../vectors/matrix.js';
import { setCell, type Column } from './columns.js';
import { schemaText } from './definitions.js';
import type { FeatureType, ListColumn, Schema } from './feature-types.js';

/** Version of the layout, in the first byte of a record. */
const LAYOUT = 1;
/** layout 1, kind 1, unused 2, hash of the schema 4, event time 8. */
export const RECORD_HEADER = 16;

/** What a record holds after its header: values, or what events add up to. */
export type RecordKind = 'values' | 'state';
const KINDS: Record<RecordKind, number> = { values: 1, state: 2 };

/** Writes the header of a record. */
export function writeHeader(record: Buffer, kind: RecordKind, hash: number, time: number): void {
  record[0] = LAYOUT;
  record[1] = KINDS[kind];
  record.writeUInt16LE(0, 2);
  record.writeUInt32LE(hash, 4);
  record.writeDoubleLE(time, 8);
}

/** Whether bytes begin like a record of a kind and a schema, and tell a time. */
export function hasHeader(view: DataView, start: number, kind: RecordKind, hash: number): boolean {
  return (
    view.getUint8(start) === LAYOUT &&
    view.getUint8(start + 1) === KINDS[kind] &&
    view.getUint32(start + 4, true) === hash &&
    Number.isFinite(view.getFloat64(start + 8, true))
  );
}

/** Since when what a record says holds. */
export function timeOf(record: Uint8Array): number {
  return new DataView(record.buffer, record.byteOffset, record.byteLength).getFloat64(8, true);
}

export function schemaHash(schema: Schema): number {
  return hashOf(schemaText(schema)) >>> 0;
}

/** The views of a buffer that records are read from: as a rule the same one for many. */
export class RecordView {
  private buffer: ArrayBufferLike | undefined;
  private view = new DataView<ArrayBufferLike>(new ArrayBuffer(0));

  over(bytes: Uint8Array): DataView {
    if (bytes.buffer !== this.buffer) {
      this.buffer = bytes.buffer;
      this.view = new DataView(bytes.buffer);
    }
    return this.view;
  }
}

interface Field {
  readonly name: string;
  readonly type: FeatureType;
  /** Where its fixed part begins. */
  readonly at: number;
}

/**
 * How the values of a view's row lie in bytes (little endian): header, a bit a feature that tells whether it has a value,
 * fixed parts in the order of the schema (a text's is its length in bytes, a list's its length and all places), texts.
 */
export class RecordLayout<S extends Schema = Schema> {
  readonly hash: number;
  private readonly fields: readonly Field[];
  /** Numbers of the fields that are f32, where those begin, and the other fields: most are of the one kind. */
  private readonly floats: Uint16Array;
  private readonly floatsAt: Uint32Array;
  private readonly others: Uint16Array;
  /** Texts and lists. */
  private readonly lengths: readonly Field[];
  private readonly fixedBytes: number;
  private readonly views = new RecordView();

  constructor(readonly schema: S) {
    this.hash = schemaHash(schema);
    const entries = Object.entries(schema);
    let at = RECORD_HEADER + Math.ceil(entries.length / 32) * 4;
    this.fields = entries.map(([name, type]) => {
      const field = { name, type, at };
      at += fixedBytes(type);
      return field;
    });
    this.lengths = this.fields.filter(({ type }) => type.kind === 'text' || type.kind === 'list');
    const numbers = [...this.fields.keys()];
    const isFloat = (number: number): boolean => this.fields[number]!.type.kind === 'f32';
    this.floats = Uint16Array.from(numbers.filter(isFloat));
    this.floatsAt = Uint32Array.from(this.floats, (number) => this.fields[number]!.at);
    this.others = Uint16Array.from(numbers.filter((number) => !isFloat(number)));
    this.fixedBytes = at;
  }

  /** A row of values, checked before; undefined for one that is missing. */
  encode(values: Readonly<Record<string, unknown>>, time: number): Buffer {
    const texts = this.fields.map(({ name, type }) =>
      type.kind === 'text' && values[name] !== undefined
        ? Buffer.from(values[name] as string)
        : undefined,
    );
    const textBytes = texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
    const record = Buffer.alloc(this.fixedBytes + textBytes);
    writeHeader(record, 'values', this.hash, time);
    let end = this.fixedBytes;
    this.fields.forEach(({ name, type, at }, number) => {
      const value = values[name];
      if (value === undefined) return;
      record[RECORD_HEADER + (number >>> 3)]! |= 1 << (number & 7);
      const text = texts[number];
      if (text !== undefined) {
        record.writeUInt32LE(text.length, at);
        record.set(text, end);
        end += text.length;
      } else {
        writeFixed(record, type, at, value);
      }
    });
    return record;
  }

  /**
   * Puts a record's values into a row of columns (in the order of the schema), defaults where it has none.
   * @returns the time of the record, or undefined if it is not of this schema or not whole: then the row is untouched.
   */
  decode(
    record: Uint8Array,
    columns: readonly (Column | undefined)[],
    row: number,
  ): number | undefined {
    if (record.length < this.fixedBytes) return undefined;
    const view = this.views.over(record);
    const start = record.byteOffset;
    if (!hasHeader(view, start, 'values', this.hash) || !this.isWhole(record, view))
      return undefined;
    let end = start + this.fixedBytes;
    const { fields } = this;
    if (this.hasAll(view, start + RECORD_HEADER)) {
      const { floats, floatsAt, others } = this;
      for (let n = 0; n < floats.length; n++) {
        const column = columns[floats[n]!] as Float32Array | undefined;
        if (column !== undefined) column[row] = view.getFloat32(start + floatsAt[n]!, true);
      }
      for (let n = 0; n < others.length; n++) {
        const { type, at } = fields[others[n]!]!;
        end = readField(view, type, start + at, end, columns[others[n]!], row);
      }
      return view.getFloat64(start + 8, true);
    }
    for (let number = 0; number < fields.length; number++) {
      const { type, at } = fields[number]!;
      const column = columns[number];
      const bits = view.getUint8(start + RECORD_HEADER + (number >>> 3));
      if ((bits & (1 << (number & 7))) === 0) {
        if (column !== undefined) setCell(type, column, row, type.default);
      } else end = readField(view, type, start + at, end, column, row);
    }
    return view.getFloat64(start + 8, true);
  }

  /** Whether every feature has a value. */
  private hasAll(view: DataView, bits: number): boolean {
    const { length } = this.fields;
    for (let at = 0; at < length >>> 3; at++) if (view.getUint8(bits + at) !== 255) return false;
    const rest = (1 << (length & 7)) - 1;
    return rest === 0 || (view.getUint8(bits + (length >>> 3)) & rest) === rest;
  }

  /** Whether the lengths of texts and lists add up to the record's. */
  private isWhole(record: Uint8Array, view: DataView): boolean {
    let length = this.fixedBytes;
    for (const { type, at } of this.lengths) {
      if (type.kind === 'text') length += view.getUint32(record.byteOffset + at, true);
      else if (type.kind === 'list') {
        if (view.getUint32(record.byteOffset + at, true) > type.max) return false;
      }
    }
    return length === record.length;
  }
}

function fixedBytes(type: FeatureType): number {
  switch (type.kind) {
    case 'f64':
      return 8;
    case 'f32':
    case 'i32':
    case 'text':
      return 4;
    case 'bool':
      return 1;
    case 'vector':
      return 4 * type.dim;
    case 'list':
      return 4 + 8 * type.max;
  }
}

function writeFixed(record: Buffer, type: FeatureType, at: number, value: unknown): void {
  switch (type.kind) {
    case 'f32':
      record.writeFloatLE(value as number, at);
      break;
    case 'f64':
      record.writeDoubleLE(value as number, at);
      break;
    case 'i32':
      record.writeInt32LE(value as number, at);
      break;
    case 'bool':
      record[at] = value === true ? 1 : 0;
      break;
    case 'vector':
      for (let i = 0; i < type.dim; i++) {
        record.writeFloatLE((value as ArrayLike<number>)[i]!, at + 4 * i);
      }
      break;
    case 'list': {
      const list = value as ArrayLike<number>;
      record.writeUInt32LE(list.length, at);
      for (let i = 0; i < list.length; i++) record.writeDoubleLE(list[i]!, at + 4 + 8 * i);
      break;
    }
    case 'text':
      break;
  }
}

/** Where the next text begins. */
function readField(
  view: DataView,
  type: FeatureType,
  at: number,
  text: number,
  column: Column | undefined,
  row: number,
): number {
  if (column === undefined) return type.kind === 'text' ? text + view.getUint32(at, true) : text;
  switch (type.kind) {
    case 'f32':
      (column as Float32Array)[row] = view.getFloat32(at, true);
      break;
    case 'f64':
      (column as Float64Array)[row] = view.getFloat64(at, true);
      break;
    case 'i32':
      (column as Int32Array)[row] = view.getInt32(at, true);
      break;
    case 'bool':
      (column as Uint8Array)[row] = view.getUint8(at);
      break;
    case 'vector': {
      const { data } = column as Matrix;
      const to = row * type.dim;
      for (let i = 0; i < type.dim; i++) data[to + i] = view.getFloat32(at + 4 * i, true);
      break;
    }
    case 'list': {
      const { data, counts, max } = column as ListColumn;
      const count = view.getUint32(at, true);
      const to = row * max;
      for (let i = 0; i < max; i++)
        data[to + i] = i < count ? view.getFloat64(at + 4 + 8 * i, true) : 0;
      counts[row] = count;
      break;
    }
    case 'text': {
      const length = view.getUint32(at, true);
      (column as string[])[row] = Buffer.from(view.buffer, text, length).toString();
      return text + length;
    }
  }
  return text;
}
