// What the three case studies share: their options, how they tell what they do, the report at their end.

import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  codesign,
  codesignReport,
  codesignSummary,
  DEFAULT_PRICES,
  itemsOf,
  makeCatalogue,
  Random,
  readInteractions,
  writeReport,
  type CodesignOptions,
  type Demand,
  type DesignRequest,
  type Interactions,
  type Track,
} from 'lichen';

/** Options of an example. */
export interface ExampleOptions {
  /** Less of everything: it is about seeing it run. */
  readonly isSmall: boolean;
  readonly seed: number;
  /** Where the page goes. */
  readonly report: string;
  /** The folder of a public data set; undefined if it is not there or not wanted. */
  readonly data: string | undefined;
}

/** Reads the command line; `set` is the data set that the example can use. */
export function exampleOptions(name: string, set: string): ExampleOptions {
  const { values } = parseArgs({
    options: {
      small: { type: 'boolean', default: false },
      made: { type: 'boolean', default: false },
      seed: { type: 'string', default: '42' },
      report: { type: 'string', default: join(tmpdir(), `lichen-${name}.html`) },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(
      `npm run example -- ${name} [--small] [--made] [--seed 42] [--report FILE]\n` +
        `--made: data made from the seed, also where ${set} is in LICHEN_DATA or ../shared/data`,
    );
    process.exit(0);
  }
  const root = process.env.LICHEN_DATA ?? join(__dirname, '..', '..', 'shared', 'data');
  const folder = join(root, set);
  const data = values.made || !existsSync(folder) ? undefined : folder;
  heading(data === undefined ? `Data made from seed ${values.seed}` : `Data set ${set}`);
  return {
    ...{ isSmall: values.small, seed: Number(values.seed), report: values.report, data },
  };
}

export function heading(text: string): void {
  console.log(`\n${text}\n${'-'.repeat(text.length)}`);
}

export function say(text: string): void {
  console.log(text);
}

/** Rows of cells in columns. */
export function sayTable(rows: readonly (readonly (string | number)[])[]): void {
  const texts = rows.map((row) => row.map(String));
  const widths = texts[0]!.map((_, column) => Math.max(...texts.map((row) => row[column]!.length)));
  for (const row of texts) {
    say(
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    );
  }
}

/** What was met, and what was met later: of the files of a data set, or of the built-in catalogue. */
export async function interactionsOf(
  { data, seed, isSmall }: Pick<ExampleOptions, 'data' | 'seed' | 'isSmall'>,
  files: readonly [known: string, later: string],
): Promise<{ known: Interactions; later: Interactions; tracks: readonly Track[] | undefined }> {
  if (data === undefined) {
    const size = isSmall ? { listeners: 400, tracks: 800 } : { listeners: 4000, tracks: 6000 };
    const { train, test, tracks } = makeCatalogue({ ...size, seed });
    return { known: train, later: test, tracks };
  }
  const known = await readInteractions(join(data, files[0]));
  const { users, items } = known;
  const later = await readInteractions(join(data, files[1]), { users, items });
  return { known, later, tracks: undefined };
}

/** Users who met something later, in an order of the seed, in parts of these sizes (as far as there are so many). */
export function splitUsers(
  later: Interactions,
  sizes: readonly number[],
  seed: number,
): number[][] {
  const users: number[] = [];
  for (let user = 0; user < later.users.size; user++) {
    if (itemsOf(later, user).length > 0) users.push(user);
  }
  new Random(seed).shuffle(users);
  const wanted = sizes.reduce((sum, size) => sum + size, 0);
  const share = Math.min(1, users.length / wanted);
  let from = 0;
  return sizes.map((size) => users.slice(from, (from += Math.floor(size * share))));
}

/** A request of a user: what was met later is relevant, what is known already is not wanted. */
export function requestOf(known: Interactions, later: Interactions) {
  return (user: number): DesignRequest => ({
    user,
    relevant: itemsOf(later, user),
    exclude: itemsOf(known, user),
  });
}

/** Searches for a design, says which and why, and writes the page. */
export async function chooseDesign(
  title: string,
  facts: Record<string, string | number>,
  options: Omit<CodesignOptions, 'demand'> & { demand: Demand; k: number },
  report: string,
): Promise<void> {
  heading('Which design');
  const { k, demand, minQuality = 0.99 } = options;
  const result = await codesign(options);
  sayTable([
    ['', 'design', `nDCG@${k}`, '% of best', 'processor µs', '$ a million'],
    ...result.front.map((one) => [
      one.verdict === 'chosen' ? '>' : '',
      one.name,
      `${one.ndcg.mean.toFixed(4)} ± ${((one.ndcg.high - one.ndcg.low) / 2).toFixed(4)}`,
      (100 * one.ofBest.mean).toFixed(1),
      one.processorUs.toFixed(0),
      one.usdPerMillion.toPrecision(3),
    ]),
  ]);
  const context = { title, demand, k, minQuality, facts, prices: DEFAULT_PRICES };
  for (const line of codesignSummary(result, context)) say(`\n${line}`);
  await writeReport(report, codesignReport(result, context));
  say(`\nAll ${result.tried} designs, with the reason against each: ${report}`);
}
