import { LichenFileError, type LichenErrorCode } from '../errors.js';
import type { ByteSource } from './bytes.js';
import type { Dtype } from './dtype.js';

/** What the header of a .npy file says. */
export interface NpyHeader {
  readonly dtype: Dtype;
  readonly bigEndian: boolean;
  /** Whether columns, not rows, lie together. */
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
  /** Where the values begin. */
  readonly position: number;
}

/** Far more than any plain array needs; a longer one is hostile or describes records. */
const MAX_HEADER_BYTES = 65536;
const MAGIC = Buffer.from('\x93NUMPY', 'latin1');

const DTYPES: Readonly<Record<string, Dtype>> = {
  f2: 'f16',
  f4: 'f32',
  f8: 'f64',
  b1: 'u8',
  i1: 'i8',
  u1: 'u8',
  i2: 'i16',
  u2: 'u16',
  i4: 'i32',
  u4: 'u32',
  i8: 'i64',
  u8: 'u64',
};

/** Reads the header (format versions 1 to 3); ERR_LICHEN_FORMAT, or ERR_LICHEN_UNSUPPORTED for other value types. */
export async function readNpyHeader(source: ByteSource): Promise<NpyHeader> {
  const { path } = source;
  const prefix = new Uint8Array(Math.min(12, source.length));
  await source.read(prefix, 0);
  const start = Buffer.from(prefix.buffer);
  if (start.length < 10 || !start.subarray(0, 6).equals(MAGIC)) {
    throw failure(path, 'is no .npy file (it does not begin with \\x93NUMPY)');
  }
  const version = start[6]!;
  if (version < 1 || version > 3 || (version > 1 && start.length < 12)) {
    throw failure(path, `.npy format version 1, 2 or 3 expected, got ${version}`);
  }
  const at = version === 1 ? 10 : 12;
  const length = version === 1 ? start.readUInt16LE(8) : start.readUInt32LE(8);
  if (length > MAX_HEADER_BYTES || at + length > source.length) {
    throw failure(path, `truncated .npy header: it says it has ${length} bytes`);
  }
  const bytes = Buffer.alloc(length);
  await source.read(bytes, at);
  const fields = new LiteralParser(path, bytes.toString('latin1')).dictionary();
  const shape = fields.get('shape');
  const fortranOrder = fields.get('fortran_order');
  if (!Array.isArray(shape) || typeof fortranOrder !== 'boolean') {
    throw failure(
      path,
      'the .npy header must say shape (a tuple) and fortran_order (True or False)',
    );
  }
  return { ...parseDescr(path, fields.get('descr')), fortranOrder, shape, position: at + length };
}

function parseDescr(
  path: string,
  descr: Literal | undefined,
): Pick<NpyHeader, 'dtype' | 'bigEndian'> {
  const text = typeof descr === 'string' ? descr : undefined;
  const match = text === undefined ? null : /^([<>|=]?)([a-zA-Z]\d*)$/.exec(text);
  const dtype = match === null ? undefined : DTYPES[match[2]!];
  if (dtype === undefined) {
    throw failure(
      path,
      `.npy values of type ${text ?? 'record'} are not supported, expected one of ${Object.keys(DTYPES).join(', ')}`,
      'ERR_LICHEN_UNSUPPORTED',
    );
  }
  return { dtype, bigEndian: match![1] === '>' };
}

function failure(
  path: string,
  text: string,
  code: LichenErrorCode = 'ERR_LICHEN_FORMAT',
): LichenFileError {
  return new LichenFileError(code, `${path}: ${text}`);
}

type Literal = string | boolean | number[];

/** Reads the Python literal of a header: a dictionary of strings, booleans and tuples of whole numbers. */
class LiteralParser {
  private at = 0;

  constructor(
    private readonly path: string,
    private readonly text: string,
  ) {}

  dictionary(): Map<string, Literal> {
    const fields = new Map<string, Literal>();
    this.expect('{');
    while (!this.accept('}')) {
      const name = this.string();
      this.expect(':');
      fields.set(name, this.value(name));
      if (!this.accept(',')) {
        this.expect('}');
        break;
      }
    }
    if (this.peek() !== '') throw this.unexpected('nothing more');
    return fields;
  }

  private value(name: string): Literal {
    const next = this.peek();
    if (next === '(') return this.tuple();
    if (next === "'" || next === '"') return this.string();
    if (next === '[' && name === 'descr') {
      throw failure(
        this.path,
        '.npy values of type record are not supported',
        'ERR_LICHEN_UNSUPPORTED',
      );
    }
    const word = this.match(/(?:True|False)\b/y);
    if (word === undefined) throw this.unexpected('a string, a tuple, True or False');
    return word === 'True';
  }

  private tuple(): number[] {
    const values: number[] = [];
    this.expect('(');
    while (!this.accept(')')) {
      const digits = this.match(/\d{1,16}(?!\d)/y);
      const value = Number(digits);
      if (!Number.isSafeInteger(value)) throw this.unexpected('a whole number below 2^53');
      this.accept('L'); // Python 2 wrote 3L
      values.push(value);
      if (!this.accept(',')) {
        this.expect(')');
        break;
      }
    }
    return values;
  }

  private string(): string {
    const quoted = this.match(/'[^'\\]*'|"[^"\\]*"/y);
    if (quoted === undefined) throw this.unexpected('a quoted string');
    return quoted.slice(1, -1);
  }

  private peek(): string {
    while (/\s/.test(this.text.charAt(this.at))) this.at++;
    return this.text.charAt(this.at);
  }

  private accept(character: string): boolean {
    const found = this.peek() === character;
    if (found) this.at++;
    return found;
  }

  private expect(character: string): void {
    if (!this.accept(character)) throw this.unexpected(`"${character}"`);
  }

  private match(sticky: RegExp): string | undefined {
    this.peek();
    sticky.lastIndex = this.at;
    const found = sticky.exec(this.text)?.[0];
    if (found !== undefined) this.at = sticky.lastIndex;
    return found;
  }

  private unexpected(expected: string): LichenFileError {
    const rest = this.text.slice(this.at, this.at + 12).trimEnd();
    const got = rest === '' ? 'its end' : JSON.stringify(rest);
    return failure(
      this.path,
      `.npy header: expected ${expected} at character ${this.at}, got ${got}`,
    );
  }
}
