import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SuiteReport } from './run-suite.js';
import type { Suite } from './suite.js';

const MAIN = join(__dirname, '..', 'main.ts');
const LAST_WORDS = 2000;

/** Somebody stopped the run. */
export class Stopped extends Error {
  constructor(readonly signal: 'SIGINT' | 'SIGTERM') {
    super(`stopped by ${signal}`);
  }
}

/** A suite, and what its run gave or why it failed. */
export interface Outcome {
  readonly suite: Suite;
  readonly report?: SuiteReport;
  readonly failure?: string;
}

/** How a run ended, in few words. */
export function stateOf({ report, failure }: Outcome): string {
  if (report === undefined) return `failed: ${failure!.split('\n').at(-1)}`;
  return report.skipped === undefined
    ? `${report.seconds.toFixed(1)} s`
    : `skipped: ${report.skipped}`;
}

/**
 * Runs suites one after the other, each as its own command would and in a process of its own: none finds the memory, the
 * threads or the backend of another, and none ends with another.
 */
export async function runAll(
  suites: readonly Suite[],
  isQuick: boolean,
  print: (line: string) => void,
): Promise<Outcome[]> {
  const folder = mkdtempSync(join(tmpdir(), 'lichen-bench-'));
  const outcomes: Outcome[] = [];
  try {
    for (const [at, suite] of suites.entries()) {
      print(`\n[${at + 1} of ${suites.length}] ${suite.description}`);
      outcomes.push(await runOne(suite, isQuick, join(folder, `${suite.name}.json`)));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return outcomes;
}

async function runOne(suite: Suite, isQuick: boolean, file: string): Promise<Outcome> {
  const args = [suite.name, ...(isQuick ? ['--quick'] : []), '--json', file];
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, ...args], {
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  const stop = (signal: NodeJS.Signals): void => void child.kill(signal);
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.once(signal, stop);
  let words = '';
  child.stderr.on('data', (text: Buffer) => {
    process.stderr.write(text);
    words = `${words}${text.toString()}`.slice(-LAST_WORDS);
  });
  const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  for (const one of signals) process.removeListener(one, stop);
  // Whoever stops a suite stops them all.
  if (signal === 'SIGINT' || signal === 'SIGTERM') throw new Stopped(signal);
  if (status !== 0) return { suite, failure: words.trim() || `ended by ${signal ?? status}` };
  return { suite, report: JSON.parse(readFileSync(file, 'utf8')) as SuiteReport };
}
