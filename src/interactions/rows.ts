import { LichenFileError } from '../errors.js';
import type { InteractionsBuilder } from './interactions.js';

const TAB = 9;
const SPACE = 32;
const QUOTE = 34;
const COMMA = 44;

type Role = 'user' | 'item' | 'rating' | 'timestamp';

/** Column names that say what a column is; lower case, letters only. */
const ROLE_NAMES: Readonly<Record<Role, RegExp>> = {
  user: /^(?:user|userid|uid|u|customer|customerid|visitorid)$/,
  item: /^(?:item|itemid|iid|i|product|productid|movieid|artistid)$/,
  rating: /^(?:rating|score|weight|count|plays|value)$/,
  timestamp: /^(?:timestamp|time|ts|unixtime|date)$/,
};

const POSITIONS: readonly Role[] = ['user', 'item', 'rating', 'timestamp'];

/**
 * Reads `user item [rating] [timestamp]` lines into a builder. The first line says the separator and, if its names
 * are those of columns, their order; every line must have as many fields as the first.
 */
export class RowParser {
  readonly #path: string;
  readonly #builder: InteractionsBuilder;
  #separator = 0;
  /** Where each role stands in a line; set by the first line. */
  #columns: ReadonlyMap<Role, number> | undefined;
  #fieldCount = 0;

  constructor(path: string, builder: InteractionsBuilder) {
    this.#path = path;
    this.#builder = builder;
  }

  /** Adds the pair of one line; a blank line is skipped. */
  add(bytes: Buffer, start: number, end: number, line: number): void {
    const isBlank = bytes.subarray(start, end).every((byte) => byte <= SPACE);
    if (isBlank) return;
    if (this.#columns === undefined) {
      this.#separator = separatorOf(bytes.subarray(start, end));
      if (this.#begin(this.#fields(bytes, start, end, line), line)) return;
    }
    const fields = this.#fields(bytes, start, end, line);
    if (fields.length !== this.#fieldCount) {
      throw this.#failure(line, `expected ${this.#fieldCount} fields, got ${fields.length}`);
    }
    const user = this.#id(fields, 'user', line);
    const item = this.#id(fields, 'item', line);
    this.#builder.add(
      this.#builder.users.ofId(user),
      this.#builder.items.ofId(item),
      this.#number(fields, 'rating', line),
      this.#number(fields, 'timestamp', line),
    );
  }

  /** Learns the columns from the first line; says whether it held their names only. */
  #begin(fields: readonly string[], line: number): boolean {
    this.#fieldCount = fields.length;
    const named = columnsByName(fields);
    this.#columns =
      named ?? new Map(POSITIONS.slice(0, fields.length).map((role, at) => [role, at]));
    if (fields.length < 2 || (named === undefined && fields.length > 4)) {
      const got = `got ${fields.length} field${fields.length === 1 ? '' : 's'}`;
      throw this.#failure(line, `expected user item [rating] [timestamp], ${got}`);
    }
    return named !== undefined;
  }

  #id(fields: readonly string[], role: Role, line: number): string {
    const id = fields[this.#columns!.get(role)!]!;
    if (id === '')
      throw this.#failure(line, `expected ${role === 'user' ? 'a user' : 'an item'}, got nothing`);
    return id;
  }

  #number(fields: readonly string[], role: Role, line: number): number | undefined {
    const column = this.#columns!.get(role);
    if (column === undefined) return undefined;
    const text = fields[column]!;
    const value = text === '' ? NaN : Number(text);
    if (!Number.isFinite(value)) {
      throw this.#failure(line, `${role} must be a number, got ${JSON.stringify(text)}`);
    }
    return value;
  }

  /** The fields of a line; spaces around them are left out, and quotes too. */
  #fields(bytes: Buffer, start: number, end: number, line: number): string[] {
    const fields: string[] = [];
    const separator = this.#separator;
    let at = start;
    for (;;) {
      while (at < end && bytes[at] === SPACE) at++;
      // A run of spaces separates once, so spaces at the end begin no further field.
      if (separator === SPACE && at >= end) break;
      if (bytes[at] === QUOTE && at < end) {
        let text: string;
        [text, at] = this.#quoted(bytes, at, end, line);
        fields.push(text);
        while (at < end && bytes[at] === SPACE && separator !== SPACE) at++;
        if (at < end && bytes[at] !== separator) {
          throw this.#failure(line, `expected the end of a field after its closing quote`);
        }
      } else {
        const found = bytes.indexOf(separator, at);
        const stop = found < 0 || found > end ? end : found;
        fields.push(bytes.toString('utf8', at, stop).trimEnd());
        at = stop;
      }
      if (at >= end) break;
      at++;
    }
    return fields;
  }

  /** The text between quotes (a quote within is doubled) and the position after them. */
  #quoted(bytes: Buffer, open: number, end: number, line: number): [string, number] {
    for (let at = open + 1; at < end; at++) {
      if (bytes[at] !== QUOTE) continue;
      if (at + 1 < end && bytes[at + 1] === QUOTE) {
        at++;
        continue;
      }
      return [bytes.toString('utf8', open + 1, at).replaceAll('""', '"'), at + 1];
    }
    throw this.#failure(line, 'a quoted field has no closing quote');
  }

  #failure(line: number, text: string): LichenFileError {
    return new LichenFileError('ERR_LICHEN_FORMAT', `${this.#path}, line ${line}: ${text}`);
  }
}

function separatorOf(line: Buffer): number {
  if (line.includes(TAB)) return TAB;
  return line.includes(COMMA) ? COMMA : SPACE;
}

/** The columns by their names, if the line names at least a user and an item. */
function columnsByName(fields: readonly string[]): Map<Role, number> | undefined {
  const columns = new Map<Role, number>();
  fields.forEach((field, at) => {
    const name = field.toLowerCase().replace(/[^a-z]/g, '');
    const role = POSITIONS.find((candidate) => ROLE_NAMES[candidate].test(name));
    if (role !== undefined && !columns.has(role)) columns.set(role, at);
  });
  return columns.has('user') && columns.has('item') ? columns : undefined;
}
