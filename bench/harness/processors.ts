// Which processors a process may run on, where the system can tell it (Linux, util-linux).

import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** Why processes cannot be kept to some processors here; undefined if they can. */
export const PINNING_MISSING =
  availableParallelism() < 2
    ? 'there is but one processor'
    : spawnSync('taskset', ['--version']).status === 0
      ? undefined
      : 'taskset is not installed';

/** Keeps processes with all their threads to some processors. */
export function keepTo(processors: readonly number[], pids: readonly number[]): void {
  for (const pid of pids) {
    const { status, stderr } = spawnSync(
      'taskset',
      ['--all-tasks', '--cpu-list', '--pid', processors.join(), String(pid)],
      { encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(`taskset: ${stderr}`);
  }
}

/** The numbers of the processors that this process may run on. */
export function ownProcessors(): number[] {
  const { stdout } = spawnSync('taskset', ['--cpu-list', '--pid', String(process.pid)], {
    encoding: 'utf8',
  });
  const list = stdout.slice(stdout.lastIndexOf(':') + 1).trim();
  return list.split(',').flatMap((range) => {
    const [from, to = from] = range.split('-').map(Number);
    return Array.from({ length: to! - from! + 1 }, (_, at) => from! + at);
  });
}
