import { matrix } from '../vectors/matrix.js';
import type { ColumnsOf, FeatureType, ListColumn, Schema, ValueOf } from './feature-types.js';
import type { Matrix } from '../vectors/matrix.js';

/** A column of any type; see {@link ColumnsOf}. */
export type Column =
  Float32Array | Float64Array | Int32Array | Uint8Array | string[] | Matrix | ListColumn;

/** Memory for several arrays: making one array of its own takes 2.5 µs, a piece of a larger one 60 ns. */
export class ColumnMemory {
  private readonly buffer: ArrayBuffer;
  private end = 0;

  constructor(bytes: number) {
    this.buffer = new ArrayBuffer(bytes);
  }

  take<A>(
    Kind: { readonly BYTES_PER_ELEMENT: number; new (b: ArrayBuffer, at: number, n: number): A },
    length: number,
  ): A {
    const array = new Kind(this.buffer, this.end, length);
    this.end += aligned(length * Kind.BYTES_PER_ELEMENT);
    return array;
  }
}

function aligned(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** Bytes of {@link ColumnMemory} that the columns of a schema take. */
export function columnBytes(schema: Schema, rows: number): number {
  return Object.values(schema).reduce((sum, type) => sum + bytesOfColumn(type, rows), 0);
}

function bytesOfColumn(type: FeatureType, rows: number): number {
  switch (type.kind) {
    case 'f32':
    case 'i32':
      return aligned(4 * rows);
    case 'f64':
      return 8 * rows;
    case 'bool':
      return aligned(rows);
    case 'text':
      return 0;
    case 'vector':
      return aligned(4 * rows * type.dim);
    case 'list':
      return 8 * rows * type.max + aligned(4 * rows);
  }
}

/** Columns of so many rows, which hold nothing yet. */
export function makeColumns<S extends Schema>(
  schema: S,
  rows: number,
  memory = new ColumnMemory(columnBytes(schema, rows)),
): ColumnsOf<S> {
  const columns: Record<string, Column> = {};
  for (const [name, type] of Object.entries(schema)) columns[name] = makeColumn(type, rows, memory);
  return columns as ColumnsOf<S>;
}

/** The columns of a schema in its order, undefined for those that are not wanted. */
export function columnList(
  schema: Schema,
  columns: Readonly<Record<string, Column>> | ColumnsOf<Schema>,
): (Column | undefined)[] {
  return Object.keys(schema).map((name) => columns[name] as Column | undefined);
}

function makeColumn(type: FeatureType, rows: number, memory: ColumnMemory): Column {
  switch (type.kind) {
    case 'f32':
      return memory.take(Float32Array, rows);
    case 'f64':
      return memory.take(Float64Array, rows);
    case 'i32':
      return memory.take(Int32Array, rows);
    case 'bool':
      return memory.take(Uint8Array, rows);
    case 'text':
      return new Array<string>(rows).fill('');
    case 'vector':
      return matrix(memory.take(Float32Array, rows * type.dim), type.dim);
    case 'list':
      return {
        data: memory.take(Float64Array, rows * type.max),
        counts: memory.take(Uint32Array, rows),
        max: type.max,
      };
  }
}

/** Puts a value of its type into a row of a column. */
export function setCell(type: FeatureType, column: Column, row: number, value: unknown): void {
  switch (type.kind) {
    case 'f32':
    case 'f64':
    case 'i32':
      (column as Float32Array)[row] = value as number;
      break;
    case 'bool':
      (column as Uint8Array)[row] = value === true ? 1 : 0;
      break;
    case 'text':
      (column as string[])[row] = value as string;
      break;
    case 'vector':
      (column as Matrix).data.set(value as Float32Array, row * type.dim);
      break;
    case 'list': {
      const { data, counts, max } = column as ListColumn;
      data.fill(0, row * max, (row + 1) * max);
      data.set(value as Float64Array, row * max);
      counts[row] = (value as Float64Array).length;
    }
  }
}

/** The value in a row of a column: of vectors and lists a copy. */
export function cell<F extends FeatureType>(type: F, column: Column, row: number): ValueOf<F> {
  const value = (): unknown => {
    switch (type.kind) {
      case 'f32':
      case 'f64':
      case 'i32':
        return (column as Float32Array)[row];
      case 'bool':
        return (column as Uint8Array)[row] === 1;
      case 'text':
        return (column as string[])[row];
      case 'vector':
        return (column as Matrix).data.slice(row * type.dim, (row + 1) * type.dim);
      case 'list': {
        const { data, counts, max } = column as ListColumn;
        return data.slice(row * max, row * max + counts[row]!);
      }
    }
  };
  return value() as ValueOf<F>;
}

/** Puts the values that stand for missing ones into a row. */
export function setDefaults(schema: Schema, columns: ColumnsOf<Schema>, row: number): void {
  for (const [name, type] of Object.entries(schema)) {
    setCell(type, columns[name] as Column, row, type.default);
  }
}
