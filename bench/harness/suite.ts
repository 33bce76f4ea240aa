/** A row of a suite's results: a name and numbers. */
export type Result = { name: string } & Record<string, string | number>;

/** What a suite is given. */
export interface SuiteContext {
  /** Options after the suite's name, `--name value` or `--name`. */
  readonly options: ReadonlyMap<string, string>;
  /** Prints a line of the report. */
  say(line: string): void;
}

/** A benchmark suite: `npm run bench -- NAME`. */
export interface Suite {
  readonly name: string;
  readonly description: string;
  /** Names of its options, with what they mean. */
  readonly options: Readonly<Record<string, string>>;
  run(context: SuiteContext): Promise<Result[]>;
  /** The results for people (default: one table, a column for each number). */
  report?(results: readonly Result[]): string;
}

/** A whole-number option. */
export function integerOption(context: SuiteContext, name: string, fallback: number): number {
  const text = context.options.get(name);
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new Error(`--${name} must be a whole number of at least 1, got ${text}`);
}

/** An option of some of `all`, with commas between; without it, all. */
export function listOption<T extends string>(
  context: SuiteContext,
  name: string,
  all: readonly T[],
): T[] {
  const names = context.options.get(name)?.split(',') ?? all;
  return names.map((wanted) => {
    const found = all.find((known) => known === wanted);
    if (found !== undefined) return found;
    throw new Error(`--${name} must be of ${all.join(', ')}, got ${wanted}`);
  });
}

/** An option that is a number above 0. */
export function numberOption(context: SuiteContext, name: string, fallback: number): number {
  const text = context.options.get(name);
  const value = text === undefined ? fallback : Number(text);
  if (value > 0 && value < Infinity) return value;
  throw new Error(`--${name} must be a number above 0, got ${text}`);
}

/** An option of whole numbers, with commas between. */
export function integersOption(
  context: SuiteContext,
  name: string,
  fallback: readonly number[],
): number[] {
  const text = context.options.get(name);
  const values = text === undefined ? [...fallback] : text.split(',').map(Number);
  if (values.every((value) => Number.isInteger(value) && value >= 1)) return values;
  throw new Error(`--${name} must be whole numbers of at least 1 with commas between, got ${text}`);
}
