import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseMetric, readMatrix, type Matrix, type Metric } from '../../src/index.js';
import { grouped } from '../../src/cli/terminal.js';
import { madeVectors } from '../../src/vectors/made.js';
import { InvalidArgumentError } from 'commander';
import { integerOption, type SuiteContext } from './suite.js';

/** What {@link vectorsOf} makes unless options say otherwise. */
export interface VectorDefaults {
  readonly rows: number;
  readonly dim: number;
  readonly limit: number;
}

const DEFAULTS: VectorDefaults = { rows: 20_000, dim: 64, limit: 2000 };

/** Data sets by name: files in a folder of that name, and what they are compared by. */
const DATA_SETS: Readonly<
  Record<string, { readonly base: string; readonly queries: string; readonly metric: Metric }>
> = {
  'gowalla-ials64': { base: 'items.f16.npy', queries: 'users.f16.npy', metric: 'dot' },
  'mnist-784-63k': {
    base: 'base.60000x784.u8.npy.gz',
    queries: 'query.3000x784.u8.npy.gz',
    metric: 'l2',
  },
  'sift-5k': { base: 'base.u8.npy', queries: 'query.u8.npy', metric: 'l2' },
};
const DATA_FOLDER = join(__dirname, '..', '..', '..', 'shared', 'data');

/** Options of suites that need base vectors and queries. */
export function vectorOptions(defaults: VectorDefaults) {
  const [rows, dim, limit] = [defaults.rows, defaults.dim, defaults.limit].map((n) => grouped(n));
  return {
    data: `${Object.keys(DATA_SETS).join(', ')}, in LICHEN_DATA or ../shared/data, with its own metric`,
    input: 'vectors to index, any file that lichen build reads (default: made from a seed)',
    queries: 'vectors to search for (default: made like the others)',
    rows: `vectors that are made (default ${rows})`,
    dim: `values of a vector that is made (default ${dim})`,
    limit: `queries used at most (default ${limit})`,
    metric: 'dot, cosine or l2 (default l2)',
  };
}

export const VECTOR_OPTIONS = vectorOptions(DEFAULTS);

/**
 * Base vectors and queries: of files, or a seeded low-rank mixture with noise, which is nearer to real embeddings
 * than uniform points: a vector is a random combination of `rank` shared directions around one of some centres.
 */
export async function vectorsOf(
  context: Pick<SuiteContext, 'options'>,
  defaults = DEFAULTS,
): Promise<{ base: Matrix; queries: Matrix; label: string; metric: Metric }> {
  const limit = integerOption(context, 'limit', defaults.limit);
  const files = filesOf(context);
  const metric = parseMetric(context.options.get('metric') ?? files?.metric ?? 'l2');
  if (files !== undefined) {
    const { input, queriesFile } = files;
    const base = await readMatrix(input);
    const all = await readMatrix(queriesFile);
    const rows = Math.min(limit, all.rows);
    const queries = { data: all.data.subarray(0, rows * all.dim), rows, dim: all.dim };
    return { base, queries, label: `${files.name}, ${base.rows} × ${base.dim}`, metric };
  }
  const rows = integerOption(context, 'rows', defaults.rows);
  const dim = integerOption(context, 'dim', defaults.dim);
  const drawn = mixture(42, rows + limit, dim);
  return {
    base: { data: drawn.subarray(0, rows * dim), rows, dim },
    queries: { data: drawn.subarray(rows * dim), rows: limit, dim },
    label: `seeded mixture, ${rows} × ${dim}`,
    metric,
  };
}

/** The files that --data or --input and --queries name; undefined if neither is there. */
function filesOf({ options }: Pick<SuiteContext, 'options'>) {
  const [data, input, queriesFile] = ['data', 'input', 'queries'].map((name) => options.get(name));
  if (data === undefined) {
    if (input === undefined && queriesFile === undefined) return undefined;
    if (input === undefined || queriesFile === undefined) {
      throw new InvalidArgumentError('--input and --queries belong together');
    }
    return { name: basename(input), input, queriesFile, metric: undefined };
  }
  if (input !== undefined || queriesFile !== undefined) {
    throw new InvalidArgumentError(
      '--data has vectors and queries: --input and --queries are not for it',
    );
  }
  const set = Object.entries(DATA_SETS).find(([name]) => name === data)?.[1];
  if (set === undefined) {
    throw new InvalidArgumentError(
      `no data set ${data}, expected ${Object.keys(DATA_SETS).join(', ')}`,
    );
  }
  const folder = join(dataFolder(), data);
  if (!existsSync(folder)) throw new Error(`${folder} is missing: skipped`);
  const [base, queries] = [join(folder, set.base), join(folder, set.queries)];
  return { name: data, input: base, queriesFile: queries, metric: set.metric };
}

/** Where data sets lie. */
export function dataFolder(): string {
  return process.env.LICHEN_DATA ?? DATA_FOLDER;
}

/** `rows * dim` values of the seeded mixture, each row of length 1. */
export function mixture(seed: number, rows: number, dim: number): Float32Array {
  return madeVectors(rows, dim, seed).data;
}

/** Vectors of one length, one behind the other, `count` of them: where there are fewer, from the first on again. */
export function packed(vectors: readonly Float32Array[], count: number): Float32Array {
  const dim = vectors[0]!.length;
  const all = new Float32Array(count * dim);
  for (let at = 0; at < count; at++) all.set(vectors[at % vectors.length]!, at * dim);
  return all;
}
