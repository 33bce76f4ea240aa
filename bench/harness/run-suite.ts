import { describeMachine, type MachineDescription } from '../../src/evaluation/machine.js';
import { resultTable, type ResultTable } from './report.js';
import type { Result, Suite } from './suite.js';

/** What a run of a suite gave: what `--json` keeps. */
export interface SuiteReport {
  readonly suite: string;
  readonly machine: Omit<MachineDescription, 'isa'>;
  /** The instruction set of the kernels. */
  readonly isa: string;
  /** Options that were given. */
  readonly options: Readonly<Record<string, string>>;
  readonly seconds: number;
  /** Why nothing was measured. */
  readonly skipped?: string;
  /** The lines that it printed. */
  readonly said: readonly string[];
  readonly results: readonly Result[];
  /** SVG documents. */
  readonly pictures: readonly string[];
}

/** The results of a suite for people. */
export function tablesOf(suite: Suite, results: readonly Result[]): ResultTable[] {
  if (results.length === 0) return [];
  return suite.tables?.(results) ?? [resultTable(results)];
}

/** Runs a suite, if it can run here. */
export async function runSuite(
  suite: Suite,
  options: ReadonlyMap<string, string>,
  print: (line: string) => void,
): Promise<SuiteReport> {
  const { isa, ...machine } = describeMachine();
  const { processor, threads, node } = machine;
  print(`${suite.name}: ${processor}, ${threads} threads, ${isa}, node ${node}`);
  const started = performance.now();
  const said: string[] = [];
  const pictures: string[] = [];
  const say = (line: string): void => {
    said.push(line);
    print(line);
  };
  const skipped = suite.missing?.({ options });
  if (skipped !== undefined) say(`${skipped}: skipped`);
  const context = { options, say, show: (picture: string) => void pictures.push(picture) };
  const results = skipped === undefined ? await suite.run(context) : [];
  return {
    ...{ suite: suite.name, machine, isa, options: Object.fromEntries(options) },
    seconds: (performance.now() - started) / 1000,
    ...(skipped !== undefined && { skipped }),
    ...{ said, results, pictures },
  };
}
