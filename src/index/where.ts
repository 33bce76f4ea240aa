import { LichenArgumentError, shown } from '../errors.js';
import {
  memberPath,
  requireColumn,
  requireString,
  type AttributeColumn,
  type AttributeKind,
  type ResolvedSchema,
} from './attributes.js';

/** A condition on a number; several parts must all hold. */
export interface NumberCondition {
  /** Equal to it. */
  readonly eq?: number;
  /** Not equal to it. */
  readonly ne?: number;
  /** Greater. */
  readonly gt?: number;
  /** Greater or equal. */
  readonly gte?: number;
  /** Less. */
  readonly lt?: number;
  /** Less or equal. */
  readonly lte?: number;
  /** Equal to one of them. */
  readonly in?: readonly number[];
  /** Equal to none of them. */
  readonly notIn?: readonly number[];
  /** Whether there is a value. */
  readonly exists?: boolean;
}

/** A condition on a category; several parts must all hold. */
export interface CategoryCondition {
  /** Equal to it. */
  readonly eq?: string;
  /** Not equal to it. */
  readonly ne?: string;
  /** Equal to one of them. */
  readonly in?: readonly string[];
  /** Equal to none of them. */
  readonly notIn?: readonly string[];
  /** Whether there is a value. */
  readonly exists?: boolean;
}

/** A condition on tags; several parts must all hold. */
export interface TagsCondition {
  /** Has at least one of them. */
  readonly any?: readonly string[];
  /** Has each of them; not empty. */
  readonly all?: readonly string[];
  /** Has none of them. */
  readonly none?: readonly string[];
  /** Whether there are tags. */
  readonly exists?: boolean;
}

/** A condition on one attribute: a value (of tags: one that is among them), values of which it has one, or parts. */
export type AttributeCondition =
  | number
  | string
  | readonly number[]
  | readonly string[]
  | NumberCondition
  | CategoryCondition
  | TagsCondition;

/**
 * A condition on the attributes of a vector: attributes by name, and conditions under `and`, `or` and `not`. All of them
 * must hold. A vector without a value fulfils only `ne`, `notIn`, `none`, `exists: false` and `not`.
 *
 * @example
 * const where: Where = { genre: ['jazz', 'blues'], year: { gte: 1959, lt: 1965 }, not: { tags: 'live' } };
 */
export interface Where {
  /** All of them must hold. */
  readonly and?: readonly Where[];
  /** One of them must hold. */
  readonly or?: readonly Where[];
  /** It must not hold. */
  readonly not?: Where;
  /** What must hold of the attribute of that name: a condition, or a value or values to be equal to. */
  readonly [attribute: string]: AttributeCondition | Where | readonly Where[] | undefined;
}

/** A condition as the addon takes it. */
export interface ResolvedWhere {
  /** The same for conditions that are the same but for order and repetition. */
  readonly key: string;
  /** The nodes, each before its children; see addon/attribute_arguments.hpp. */
  readonly program: Float64Array;
  /** The strings that the nodes name by their places. */
  readonly strings: readonly string[];
}

const MAX_DEPTH = 32;
const MAX_NODES = 10_000;
const MAX_VALUES = 1_000_000;

/** PredicateKind of the core. */
const enum Op {
  And = 0,
  Or = 1,
  Not = 2,
  NumberRange = 3,
  NumberIn = 4,
  CategoryIn = 5,
  TagsAny = 6,
  TagsAll = 7,
  Present = 8,
}
type StringOp = Op.CategoryIn | Op.TagsAny | Op.TagsAll;

/** `key` stands for the node; nodes of the same key hold for the same rows. */
type Node = { readonly key: string } & (
  | { readonly op: Op.And | Op.Or; readonly parts: readonly Node[] }
  | { readonly op: Op.Not; readonly part: Node }
  | { readonly op: Op.NumberRange; readonly column: number; readonly range: Range }
  | { readonly op: Op.NumberIn; readonly column: number; readonly values: readonly number[] }
  | { readonly op: StringOp; readonly column: number; readonly values: readonly string[] }
  | { readonly op: Op.Present; readonly column: number }
);

interface Range {
  low: number;
  high: number;
  aboveLow: boolean;
  belowHigh: boolean;
}

const OPERATORS: Record<AttributeKind, readonly string[]> = {
  number: ['eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', 'notIn', 'exists'],
  category: ['eq', 'ne', 'in', 'notIn', 'exists'],
  tags: ['any', 'all', 'none', 'exists'],
};
const SHORTHANDS: Record<AttributeKind, string> = {
  number: 'a number, numbers',
  category: 'a string, strings',
  tags: 'a string',
};

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}

/**
 * Checks a condition and makes it ready for the addon. Every member is read once.
 * @throws ERR_LICHEN_ARGUMENT, which tells where, for an unknown attribute or operator, a value of another kind, an empty
 * condition, and for more than 32 levels, 10,000 conditions or 1,000,000 values.
 */
export function resolveWhere(schema: ResolvedSchema, where: unknown): ResolvedWhere {
  const root = new WhereReader(schema).read('where', where, 1);
  const program: number[] = [];
  const places = new Map<string, number>();
  encode(root, program, places);
  return { key: root.key, program: Float64Array.from(program), strings: [...places.keys()] };
}

class WhereReader {
  #nodes = 0;
  #values = 0;

  constructor(readonly schema: ResolvedSchema) {}

  read(path: string, where: unknown, depth: number): Node {
    if (depth > MAX_DEPTH) throw bad(`where is nested deeper than ${MAX_DEPTH} levels`);
    const given = this.#members(path, where, 'an object of conditions');
    const parts = given.map(([name, value]) => {
      const inner = memberPath(path, name);
      if (name === 'not') return not(this.read(inner, value, depth + 1));
      if (name === 'and' || name === 'or') {
        const children = this.#list(inner, value, (child, at) => this.read(at(), child, depth + 1));
        if (children.length === 0) throw bad(`${inner} must not be empty`);
        return combine(name === 'and' ? Op.And : Op.Or, children);
      }
      return this.#attribute(inner, requireColumn(this.schema, inner, name), value);
    });
    return combine(Op.And, parts);
  }

  #attribute(path: string, column: AttributeColumn, value: unknown): Node {
    if (Array.isArray(value) && column.kind !== 'tags') {
      return this.#operator(path, column, 'in', value);
    }
    if (typeof value === (column.kind === 'number' ? 'number' : 'string')) {
      const list = column.kind === 'tags' ? 'any' : 'in';
      return this.#among(() => path, column, list, [value]);
    }
    const expected = `${SHORTHANDS[column.kind]} or an object of ${OPERATORS[column.kind].join(', ')}`;
    const parts: Node[] = [];
    const range: Range = { low: -Infinity, high: Infinity, aboveLow: false, belowHigh: false };
    let ranged = false;
    for (const [name, operand] of this.#members(path, value, expected)) {
      const inner = memberPath(path, name);
      if (!OPERATORS[column.kind].includes(name)) {
        throw bad(
          `${inner}: unknown operator of a ${column.kind} attribute, expected ${OPERATORS[column.kind].join(', ')}`,
        );
      }
      if (name === 'gt' || name === 'gte' || name === 'lt' || name === 'lte') {
        narrow(
          range,
          name,
          requireNumber(operand, () => inner),
        );
        ranged = true;
      } else {
        parts.push(this.#operator(inner, column, name, operand));
      }
    }
    if (ranged) parts.push(rangeOf(column.at, range));
    return combine(Op.And, parts);
  }

  #operator(path: string, column: AttributeColumn, name: string, operand: unknown): Node {
    if (name === 'exists') {
      if (typeof operand !== 'boolean') {
        throw bad(`${path} must be true or false, got ${shown(operand)}`);
      }
      const present: Node = { op: Op.Present, column: column.at, key: `p${column.at}` };
      return operand ? present : not(present);
    }
    if (name === 'eq' || name === 'ne') {
      const node = this.#among(() => path, column, 'in', [operand]);
      return name === 'eq' ? node : not(node);
    }
    const values = this.#list(path, operand, (value) => value);
    if (name === 'all' && values.length === 0) throw bad(`${path} must not be empty`);
    const node = this.#among((at) => `${path}[${at}]`, column, name, values);
    return name === 'notIn' || name === 'none' ? not(node) : node;
  }

  /** That the attribute is among the values, or has any or all of them. */
  #among(
    path: (at: number) => string,
    { kind, at: column }: AttributeColumn,
    name: string,
    given: readonly unknown[],
  ): Node {
    this.#values += given.length;
    if (this.#values > MAX_VALUES) throw bad(`where has more than ${MAX_VALUES} values`);
    if (kind === 'number') {
      const numbers = given.map((value, at) => requireNumber(value, () => path(at)));
      const values = [...new Set(numbers)].sort((a, b) => a - b);
      return { op: Op.NumberIn, column, values, key: `n${column}[${values.join()}]` };
    }
    const strings = given.map((value, at) => requireString(value, () => path(at)));
    const values = [...new Set(strings)].sort();
    // One tag is any of one and all of one.
    const all = name === 'all' && values.length > 1;
    const op = kind === 'category' ? Op.CategoryIn : all ? Op.TagsAll : Op.TagsAny;
    return { op, column, values, key: `${all ? 'a' : 's'}${column}${JSON.stringify(values)}` };
  }

  #list<T>(path: string, value: unknown, read: (value: unknown, path: () => string) => T): T[] {
    if (!Array.isArray(value)) throw bad(`${path} must be an array, got ${shown(value)}`);
    const given = value as readonly unknown[];
    const { length } = given;
    if (length > MAX_VALUES) throw bad(`${path} has more than ${MAX_VALUES} values`);
    // By position: the iterator of an array may be anything.
    return Array.from({ length }, (_, at) => read(given[at], () => `${path}[${at}]`));
  }

  /** The members of an object, counted as conditions. */
  #members(path: string, value: unknown, expected: string): [string, unknown][] {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) {
      throw bad(`${path} must be ${expected}, got ${shown(value)}`);
    }
    const names = Object.keys(value);
    if (names.length === 0) throw bad(`${path} must not be empty, got ${shown(value)}`);
    this.#nodes += names.length;
    if (this.#nodes > MAX_NODES) throw bad(`where has more than ${MAX_NODES} conditions`);
    return names.map((name) => [name, (value as Record<string, unknown>)[name]]);
  }
}

function requireNumber(value: unknown, path: () => string): number {
  if (typeof value !== 'number' || Number.isNaN(value)) {
    throw bad(`${path()} must be a number, got ${shown(value)}`);
  }
  return value + 0; // -0 becomes 0, which it equals
}

function narrow(range: Range, name: 'gt' | 'gte' | 'lt' | 'lte', limit: number): void {
  const open = name === 'gt' || name === 'lt';
  if (name === 'gt' || name === 'gte') {
    if (limit < range.low) return;
    range.aboveLow = open || (limit === range.low && range.aboveLow);
    range.low = limit;
  } else {
    if (limit > range.high) return;
    range.belowHigh = open || (limit === range.high && range.belowHigh);
    range.high = limit;
  }
}

function rangeOf(column: number, range: Range): Node {
  const { low, high, aboveLow, belowHigh } = range;
  const key = `r${column}${aboveLow ? '(' : '['}${low},${high}${belowHigh ? ')' : ']'}`;
  return { op: Op.NumberRange, column, range, key };
}

function not(part: Node): Node {
  return part.op === Op.Not ? part.part : { op: Op.Not, part, key: `!${part.key}` };
}

/** Parts in an order of their own, each once; the parts of a part that combines in the same way are parts. */
function combine(op: Op.And | Op.Or, given: readonly Node[]): Node {
  const byKey = new Map<string, Node>();
  for (const part of given) {
    const inner = part.op === op ? part.parts : [part];
    for (const node of inner) byKey.set(node.key, node);
  }
  const keys = [...byKey.keys()].sort();
  if (keys.length === 1) return byKey.get(keys[0]!)!;
  const parts = keys.map((key) => byKey.get(key)!);
  return { op, parts, key: `${op === Op.And ? '&' : '|'}{${keys.join(';')}}` };
}

function encode(node: Node, program: number[], places: Map<string, number>): void {
  program.push(node.op);
  switch (node.op) {
    case Op.And:
    case Op.Or:
      program.push(node.parts.length);
      for (const part of node.parts) encode(part, program, places);
      return;
    case Op.Not:
      encode(node.part, program, places);
      return;
    case Op.NumberRange: {
      const { low, high, aboveLow, belowHigh } = node.range;
      program.push(node.column, low, high, Number(aboveLow) + 2 * Number(belowHigh));
      return;
    }
    case Op.NumberIn:
      program.push(node.column, node.values.length);
      for (const value of node.values) program.push(value);
      return;
    case Op.Present:
      program.push(node.column);
      return;
    case Op.CategoryIn:
    case Op.TagsAny:
    case Op.TagsAll:
      program.push(node.column, node.values.length);
      for (const value of node.values) {
        const place = places.get(value) ?? places.size;
        places.set(value, place);
        program.push(place);
      }
  }
}
