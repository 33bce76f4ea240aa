import fc from 'fast-check';
import type { AttributesInput } from '../../src/index/attributes.js';
import type { Where } from '../../src/index/where.js';

export const SCHEMA = { year: 'number', genre: 'category', tags: 'tags', 'a b': 'number' } as const;

/** A row of {@link SCHEMA}; NaN, null and [] for no value. */
export interface Row {
  readonly year: number;
  readonly genre: string | null;
  readonly tags: readonly string[];
  readonly 'a b': number;
}

const number = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: -3, max: 8 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, -0, Infinity, -Infinity, 0.5, 1e300) },
);
const STRINGS = ['', 'jazz', 'blues', 'and', 'é', '日本', '"];', ...manyStrings(90)];

function manyStrings(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `s${at}`);
}

/** Few strings are likely, so that conditions hold now and then, yet there are more than 64. */
const string = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...STRINGS.slice(0, 8)) },
  { weight: 1, arbitrary: fc.constantFrom(...STRINGS) },
);

export const row: fc.Arbitrary<Row> = fc.record({
  year: fc.oneof({ weight: 4, arbitrary: number }, { weight: 1, arbitrary: fc.constant(NaN) }),
  genre: fc.option(string, { freq: 4 }),
  tags: fc.array(string, { maxLength: 5 }),
  'a b': fc.oneof(number, fc.constant(NaN)),
});

/** Rows as a caller gives them. */
export function inputOf(rows: readonly Row[]): AttributesInput {
  return {
    year: Float64Array.from(rows, ({ year }) => year),
    genre: rows.map(({ genre }, at) => genre ?? (at % 2 === 0 ? null : undefined)),
    tags: rows.map(({ tags }) => (tags.length === 0 ? null : tags)),
    'a b': rows.map((given) => (Number.isNaN(given['a b']) ? undefined : given['a b'])),
  };
}

const numbers = fc.array(number, { maxLength: 9 });
const strings = fc.array(string, { maxLength: 9 });
const some = { requiredKeys: [] as [] };

function notEmpty<T extends object>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return arbitrary.filter((value) => Object.keys(value).length > 0);
}

const onNumber = fc.oneof(
  number,
  numbers,
  notEmpty(
    fc.record(
      {
        eq: number,
        ne: number,
        gt: number,
        gte: number,
        lt: number,
        lte: number,
        in: numbers,
        notIn: numbers,
        exists: fc.boolean(),
      },
      some,
    ),
  ),
  notEmpty(fc.record({ gt: number, gte: number, lt: number, lte: number }, some)),
);
const onCategory = fc.oneof(
  string,
  strings,
  notEmpty(
    fc.record({ eq: string, ne: string, in: strings, notIn: strings, exists: fc.boolean() }, some),
  ),
);
const onTags = fc.oneof(
  string,
  notEmpty(
    fc.record(
      {
        any: strings,
        all: fc.array(string, { minLength: 1, maxLength: 3 }),
        none: strings,
        exists: fc.boolean(),
      },
      some,
    ),
  ),
);

/** Sound conditions of some levels. */
function conditions(levels: number): fc.Arbitrary<Where> {
  const fields = { year: onNumber, genre: onCategory, tags: onTags, 'a b': onNumber };
  if (levels === 1) return notEmpty(fc.record(fields, some));
  const inner = conditions(levels - 1);
  const several = fc.array(inner, { minLength: 1, maxLength: 3 });
  return notEmpty(fc.record({ ...fields, and: several, or: several, not: inner }, some));
}

/** Sound conditions, the flat ones more often, since many parts seldom hold together. */
export const where = fc.oneof(
  { weight: 3, arbitrary: conditions(1) },
  { weight: 2, arbitrary: conditions(2) },
  { weight: 1, arbitrary: conditions(3) },
);

type Part = (operand: never, value: never) => boolean;

const isMissing = (value: unknown): boolean =>
  value === null || Number.isNaN(value) || (Array.isArray(value) && value.length === 0);

const PARTS: Record<string, Part> = {
  eq: (operand: unknown, value: unknown) => operand === value,
  ne: (operand: unknown, value: unknown) => operand !== value,
  gt: (operand: number, value: number) => value > operand,
  gte: (operand: number, value: number) => value >= operand,
  lt: (operand: number, value: number) => value < operand,
  lte: (operand: number, value: number) => value <= operand,
  in: (operand: unknown[], value: unknown) => operand.some((one) => one === value),
  notIn: (operand: unknown[], value: unknown) => !operand.some((one) => one === value),
  any: (operand: string[], value: string[]) => operand.some((one) => value.includes(one)),
  all: (operand: string[], value: string[]) => operand.every((one) => value.includes(one)),
  none: (operand: string[], value: string[]) => !operand.some((one) => value.includes(one)),
  exists: (operand: boolean, value: unknown) => operand !== isMissing(value),
};

/** Whether a condition holds for a row, read straight from what the documentation of `Where` says. */
export function holds(condition: Where, given: Row): boolean {
  return Object.entries(condition).every(([name, part]) => {
    if (name === 'and') return (part as Where[]).every((inner) => holds(inner, given));
    if (name === 'or') return (part as Where[]).some((inner) => holds(inner, given));
    if (name === 'not') return !holds(part as Where, given);
    const value = given[name as keyof Row];
    if (Array.isArray(part)) return (part as unknown[]).some((one) => one === value);
    if (typeof part !== 'object') {
      return Array.isArray(value) ? value.includes(part) : value === part;
    }
    return Object.entries(part).every(([operator, operand]) =>
      PARTS[operator]!(operand as never, value as never),
    );
  });
}
