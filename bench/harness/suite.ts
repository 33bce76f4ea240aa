import { InvalidArgumentError } from 'commander';
import type { ResultTable } from './report.js';

/** A row of a suite's results: a name and numbers. */
export type Result = { name: string } & Record<string, string | number>;

/** What a suite is given. */
export interface SuiteContext {
  /** Options after the suite's name, by their names. */
  readonly options: ReadonlyMap<string, string>;
  /** Prints a line of the report. */
  say(line: string): void;
  /** Keeps a picture, an SVG document, for the page of the results. */
  show(picture: string): void;
}

/** What readers of options need. */
export type Options = Pick<SuiteContext, 'options'>;

/** A benchmark suite: `npm run bench -- NAME`. */
export interface Suite {
  readonly name: string;
  readonly description: string;
  /** Names of its options, with what they mean. */
  readonly options: Readonly<Record<string, string>>;
  /** What `--quick` sets of them, so that the suite takes seconds. */
  readonly quick: Readonly<Record<string, string>>;
  /** Why it cannot run here; undefined if it can. */
  missing?(context: Options): string | undefined;
  run(context: SuiteContext): Promise<Result[]>;
  /** The results for people (default: one table, a column for each number). */
  tables?(results: readonly Result[]): ResultTable[];
}

/** A whole-number option. */
export function integerOption(context: Options, name: string, fallback: number): number {
  const text = context.options.get(name);
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new InvalidArgumentError(`--${name} must be a whole number of at least 1, got ${text}`);
}

/** An option of some of `all`, with commas between; without it, all. */
export function listOption<T extends string>(
  context: Options,
  name: string,
  all: readonly T[],
): T[] {
  const names = context.options.get(name)?.split(',') ?? all;
  return names.map((wanted) => {
    const found = all.find((known) => known === wanted);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`--${name} must be of ${all.join(', ')}, got ${wanted}`);
  });
}

/** An option that is a number above 0. */
export function numberOption(context: Options, name: string, fallback: number): number {
  const text = context.options.get(name);
  const value = text === undefined ? fallback : Number(text);
  if (value > 0 && value < Infinity) return value;
  throw new InvalidArgumentError(`--${name} must be a number above 0, got ${text}`);
}

/** An option of numbers above 0, with commas between. */
export function numbersOption(
  context: Options,
  name: string,
  fallback: readonly number[],
): number[] {
  const isOne = (value: number): boolean => value > 0 && value < Infinity;
  return valuesOption(context, name, fallback, isOne, 'numbers above 0');
}

/** An option of whole numbers, with commas between. */
export function integersOption(
  context: Options,
  name: string,
  fallback: readonly number[],
): number[] {
  const isOne = (value: number): boolean => Number.isInteger(value) && value >= 1;
  return valuesOption(context, name, fallback, isOne, 'whole numbers of at least 1');
}

function valuesOption(
  context: Options,
  name: string,
  fallback: readonly number[],
  isOne: (value: number) => boolean,
  wanted: string,
): number[] {
  const text = context.options.get(name);
  const values = text === undefined ? [...fallback] : text.split(',').map(Number);
  if (values.every(isOne)) return values;
  throw new InvalidArgumentError(`--${name} must be ${wanted} with commas between, got ${text}`);
}
