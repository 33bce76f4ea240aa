import { LichenFileError } from '../errors.js';
import type { ByteSource } from './bytes.js';
import { decodeValues, requireExtent } from './dtype.js';
import { readNpyHeader } from './npy-header.js';
import type { ValueArray, Values, ValueReader } from './values.js';

/**
 * Reads a 2-D .npy array: format versions 1 to 3, booleans, integers and floats of 16 to 64 bits in either byte
 * order, by rows or by columns (fortran_order).
 */
export const readNpy: ValueReader = async (source, allocate) => {
  const header = await readNpyHeader(source);
  const [rows, dim] = requireTwoDimensions(source, header.shape);
  const length = requireExtent(source, header.position, rows, dim, header.dtype);
  const data = allocate(length, header.dtype);
  await decodeValues(source, header.position, header.dtype, data, header.bigEndian);
  const values = { data, rows, dim };
  return header.fortranOrder ? byRows(values) : values;
};

function requireTwoDimensions(source: ByteSource, shape: readonly number[]): [number, number] {
  const [rows, dim] = shape;
  if (rows === undefined || dim === undefined || shape.length !== 2) {
    const hint = shape.length === 1 ? `; reshape it to (1, ${rows}) or (${rows}, 1)` : '';
    throw new LichenFileError(
      'ERR_LICHEN_FORMAT',
      `${source.path}: expected an array of shape (rows, dim), got (${shape.join(', ')})${hint}`,
    );
  }
  return [rows, dim];
}

/** Rows together, from values of which the columns lie together. */
function byRows<A extends ValueArray>({ data, rows, dim }: Values<A>): Values<A> {
  const turned = data.slice() as A;
  for (let column = 0; column < dim; column++) {
    for (let row = 0; row < rows; row++) turned[row * dim + column] = data[column * rows + row]!;
  }
  return { data: turned, rows, dim };
}

/** The header (format version 1) of a row-major array; `descr` is numpy's name of the type, such as `<f4`. */
export function npyHeader(descr: string, rows: number, dim: number): Uint8Array {
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${rows}, ${dim}), }`;
  // The values begin at a multiple of 64 bytes, so that readers can map them.
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const header = Buffer.alloc(10 + length, ' ');
  header.write('\x93NUMPY\x01\x00', 'latin1');
  header.writeUInt16LE(length, 8);
  header.write(text, 10, 'latin1');
  header[header.length - 1] = 10;
  return header;
}
