import { LichenFileError } from '../errors.js';
import { decodeValues, requireExtent, type Dtype } from './dtype.js';
import type { ValueReader } from './values.js';

const HEADER_BYTES = 8;

/** A reader of .fbin and its kin: the number of rows and dim as little-endian u32, then the values by rows. */
export function binReader(dtype: Dtype): ValueReader {
  return async (source, allocate) => {
    if (source.length < HEADER_BYTES) {
      throw new LichenFileError(
        'ERR_LICHEN_FORMAT',
        `${source.path}: truncated: expected a header of ${HEADER_BYTES} bytes, got ${source.length}`,
      );
    }
    const header = new Uint32Array(2);
    await source.read(new Uint8Array(header.buffer), 0);
    const rows = header[0]!;
    const dim = header[1]!;
    const data = allocate(requireExtent(source, HEADER_BYTES, rows, dim, dtype), dtype);
    await decodeValues(source, HEADER_BYTES, dtype, data);
    return { data, rows, dim };
  };
}

/** The header of a .fbin or .ibin file. */
export function binHeader(rows: number, dim: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(rows, dim).buffer);
}
