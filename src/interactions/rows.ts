import { shown } from '../errors.js';
import { idText, integerAt, type IdNumbering } from './id-numbering.js';
import type { InteractionsBuilder } from './interactions.js';
import { lineError } from './messages.js';

const TAB = 9;
const SPACE = 32;
const QUOTE = 34;
const COMMA = 44;

type Role = 'user' | 'item' | 'rating' | 'timestamp';

/** Column names that say what a column is; lower case, letters and digits only. */
const ROLE_NAMES: Readonly<Record<Role, RegExp>> = {
  user: /^(?:user|userid|uid|u|customer|customerid|visitorid|reviewerid)$/,
  item: /^(?:item|itemid|iid|i|product|productid|(?:movie|artist|track|song|book|article|news|video|business)id|asin)$/,
  rating: /^(?:rating|score|weight|count|plays|value)$/,
  timestamp: /^(?:timestamp|time|ts|unixtime|date)$/,
};

const POSITIONS: readonly Role[] = ['user', 'item', 'rating', 'timestamp'];

/** Column names are looked for in so many fields; the fields of other lines are only counted beyond. */
const MAX_FIELDS = 1024;

const MAX_NUMBER_BYTES = 400;
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i;

/** Where a field stands in a line, without the spaces and quotes around it. */
interface Field {
  start: number;
  end: number;
  /** Whether quotes within are doubled. */
  doubled: boolean;
}

/**
 * Reads `user item [rating] [timestamp]` lines into a builder. The first line says the separator and, if its names
 * are those of columns, their order; every line must have as many fields as the first.
 */
export class RowParser {
  readonly #builder: InteractionsBuilder;
  #separator = 0;
  /** Where each role stands in a line; set by the first line. */
  #columns: Readonly<Partial<Record<Role, number>>> | undefined;
  #fieldCount = 0;
  /** The fields of the line at hand, in objects that serve line after line. */
  readonly #fields: Field[] = [];

  constructor(builder: InteractionsBuilder) {
    this.#builder = builder;
  }

  /** Adds the pair of one line; a blank line is skipped. Throws ERR_LICHEN_FORMAT without the line's number. */
  add(bytes: Buffer, start: number, end: number): void {
    let first = start;
    while (first < end && bytes[first]! <= SPACE) first++;
    if (first === end) return;
    if (this.#columns === undefined) this.#separator = separatorOf(bytes.subarray(start, end));
    const count = this.#split(bytes, start, end);
    if (this.#columns === undefined && this.#begin(bytes, count)) return;
    if (count !== this.#fieldCount) {
      throw lineError(`expected ${this.#fieldCount} fields, got ${count}`);
    }
    const { users, items } = this.#builder;
    // Every value is read before an id gets a number.
    const rating = this.#number(bytes, 'rating');
    const timestamp = this.#number(bytes, 'timestamp');
    const user = this.#id(bytes, 'user', users);
    this.#builder.add(user, this.#id(bytes, 'item', items), rating, timestamp);
  }

  /** Learns the columns from the first line; says whether it held their names only. */
  #begin(bytes: Buffer, count: number): boolean {
    const names = this.#fields
      .slice(0, Math.min(count, MAX_FIELDS))
      .map((field) => textOf(bytes, field));
    const named = columnsByName(names);
    if (count < 2 || (named === undefined && count > 4)) {
      const got = `got ${count} field${count === 1 ? '' : 's'}`;
      throw lineError(
        `expected user item [rating] [timestamp], or column names with user and item, ${got}`,
      );
    }
    this.#fieldCount = count;
    this.#columns =
      named ?? Object.fromEntries(POSITIONS.slice(0, count).map((role, at) => [role, at]));
    return named !== undefined;
  }

  #id(bytes: Buffer, role: 'user' | 'item', ids: IdNumbering): number {
    const field = this.#fields[this.#columns![role]!]!;
    if (field.start === field.end) {
      throw lineError(`expected ${role === 'user' ? 'a user' : 'an item'}, got nothing`);
    }
    return field.doubled
      ? ids.ofId(textOf(bytes, field))
      : ids.ofBytes(bytes, field.start, field.end);
  }

  #number(bytes: Buffer, role: 'rating' | 'timestamp'): number | undefined {
    const column = this.#columns![role];
    if (column === undefined) return undefined;
    const { start, end } = this.#fields[column]!;
    const integer = integerAt(bytes, start, end);
    if (integer >= 0) return integer;
    const text = bytes.toString('latin1', start, Math.min(end, start + MAX_NUMBER_BYTES + 1));
    const value = text.length <= MAX_NUMBER_BYTES && DECIMAL.test(text) ? Number(text) : NaN;
    // Ratings are kept as 32-bit floats.
    if (!Number.isFinite(role === 'rating' ? Math.fround(value) : value)) {
      throw lineError(`${role} must be a finite number, got ${shown(text)}`);
    }
    return value;
  }

  /** Finds the fields of a line; gives their number, which may exceed that of the fields kept. */
  #split(bytes: Buffer, start: number, end: number): number {
    const separator = this.#separator;
    let count = 0;
    let at = start;
    for (;;) {
      while (at < end && bytes[at] === SPACE) at++;
      // A run of spaces separates once, so spaces at the end begin no further field.
      if (separator === SPACE && at >= end) break;
      const field = this.#fieldAt(count++);
      field.doubled = false;
      if (at < end && bytes[at] === QUOTE) {
        at = takeQuoted(bytes, at, end, field);
        while (at < end && bytes[at] === SPACE && separator !== SPACE) at++;
        if (at < end && bytes[at] !== separator) {
          throw lineError('expected the end of a field after its closing quote');
        }
      } else {
        field.start = at;
        while (at < end && bytes[at] !== separator) at++;
        field.end = at;
        while (field.end > field.start && bytes[field.end - 1] === SPACE) field.end--;
      }
      if (at >= end) break;
      at++;
    }
    return count;
  }

  #fieldAt(place: number): Field {
    const at = Math.min(place, MAX_FIELDS);
    return (this.#fields[at] ??= { start: 0, end: 0, doubled: false });
  }
}

/** Sets a field to what stands between quotes (a quote within is doubled); gives the position after them. */
function takeQuoted(bytes: Buffer, open: number, end: number, field: Field): number {
  field.start = open + 1;
  for (let at = open + 1; at < end; at++) {
    if (bytes[at] !== QUOTE) continue;
    if (at + 1 < end && bytes[at + 1] === QUOTE) {
      field.doubled = true;
      at++;
      continue;
    }
    field.end = at;
    return at + 1;
  }
  throw lineError('a quoted field has no closing quote');
}

function textOf(bytes: Buffer, { start, end, doubled }: Field): string {
  const text = idText(bytes, start, end);
  return doubled ? text.replaceAll('""', '"') : text;
}

function separatorOf(line: Buffer): number {
  if (line.includes(TAB)) return TAB;
  return line.includes(COMMA) ? COMMA : SPACE;
}

/** The columns by their names, if the line names at least a user and an item and holds no number. */
function columnsByName(names: readonly string[]): Partial<Record<Role, number>> | undefined {
  if (names.some((name) => DECIMAL.test(name))) return undefined;
  const columns: Partial<Record<Role, number>> = {};
  names.forEach((given, at) => {
    // Digits tell ids from names: user1 and item1 are no columns.
    const name = given.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
    const role = POSITIONS.find((candidate) => ROLE_NAMES[candidate].test(name));
    if (role !== undefined) columns[role] ??= at;
  });
  return columns.user !== undefined && columns.item !== undefined ? columns : undefined;
}
