import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

export const MAIN = join(__dirname, '..', '..', 'dist', 'cli', 'main.js');

/** What a run of the command line gave. */
export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the compiled `lichen` with some arguments. */
export function lichen(...args: string[]): Run {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  return { status, stdout, stderr };
}

/** Runs `lichen … --json`, which must succeed and write one JSON document and nothing else. */
export function lichenJson<T>(...args: string[]): T {
  const { status, stdout, stderr } = lichen(...args, '--json');
  if (status !== 0) throw new Error(`lichen ${args.join(' ')} ended with ${status}: ${stderr}`);
  if (stderr !== '') throw new Error(`unexpected stderr: ${stderr}`);
  return JSON.parse(stdout) as T;
}
