import { spawn } from 'node:child_process';
import { rmSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { HnswIndex } from '../../src/index/hnsw.js';
import { Random } from '../../src/vectors/random.js';
import { afterChange, DIM, isSame, stateOf, type Change, type State } from './workload.js';

const CHILD = join(__dirname, 'torture-child.ts');
export const DURABILITIES = ['sync', 'interval', 'none'] as const;

/** What happened in some rounds. */
export interface TortureReport {
  readonly rounds: number;
  /** Changes that were acknowledged. */
  readonly acknowledged: number;
  /** Changes that were asked for and not acknowledged before the end, and yet are there. */
  readonly survived: number;
  /** Rounds that ended beside a checkpoint: its draft or more than one segment was left. */
  readonly besideCheckpoint: number;
}

/** Ends a process that changes an index, at random moments; throws where an acknowledged change is not there. */
export async function killRounds(
  folder: string,
  rounds: number,
  seed: number,
  said: (line: string) => void = () => undefined,
): Promise<TortureReport> {
  const path = join(folder, 'tortured.lichen');
  const made = new HnswIndex({ dim: DIM, metric: 'l2', m: 4 });
  await made.save(path);
  made.close();
  const random = new Random(seed);
  let state: State = new Map();
  let [acknowledged, survived, besideCheckpoint] = [0, 0, 0];
  for (let round = 0; round < rounds; round++) {
    const durability = DURABILITIES[round % DURABILITIES.length]!;
    const wait = random.below(120);
    const { changes, done } = await untilKilled([path, String(seed + round), durability], wait);
    const left = readdirSync(folder);
    const isBeside = left.some((name) => name.includes('.draft-'));
    if (isBeside || left.filter((name) => name.includes('.journal-')).length > 1)
      besideCheckpoint++;
    for (const name of left) if (name.includes('.draft-')) rmSync(join(folder, name));

    const index = await HnswIndex.open(path, { durability });
    const found = stateOf(index);
    index.close();
    const reached = prefixOf(state, changes, done, found);
    if (reached === undefined) {
      throw new Error(
        `round ${round} (seed ${seed}): after ${done} acknowledged changes of ${changes.length} the index holds neither those nor more`,
      );
    }
    acknowledged += done;
    survived += reached - done;
    state = found;
    said(`round ${round}: ${durability}, ${done} acknowledged, ${changes.length - done} in flight`);
  }
  return { rounds, acknowledged, survived, besideCheckpoint };
}

/** How many of the changes, `least` or more, lead from one state to another. */
export function prefixOf(
  from: State,
  changes: readonly Change[],
  least: number,
  to: State,
): number | undefined {
  let state = from;
  for (let count = 0; ; count++) {
    if (count >= least && isSame(state, to)) return count;
    if (count === changes.length) return undefined;
    state = afterChange(state, changes[count]!);
  }
}

/** Runs the child and kills it some milliseconds after it is ready. */
export async function untilKilled(
  args: readonly string[],
  wait: number,
  env: NodeJS.ProcessEnv = {},
): Promise<{ changes: Change[]; done: number }> {
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  let output = '';
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const kill = (): void => void child.kill('SIGKILL');
  child.stdout.on('data', (data: Buffer) => {
    const isReady = output.includes('ready');
    output += data.toString();
    if (!isReady && output.includes('ready')) setTimeout(kill, wait);
  });
  await ended;
  const lines = output.split('\n').slice(0, -1);
  if (lines[0] !== 'ready') throw new Error(`the child did not come up: ${output}`);
  const refused = lines.filter((line) => line.startsWith('!'));
  if (refused.length > 0) throw new Error(`changes were refused: ${refused.join(', ')}`);
  const changes = lines
    .filter((line) => line.startsWith('+'))
    .map((line) => JSON.parse(line.slice(2)) as Change);
  return { changes, done: lines.filter((line) => line === '-').length };
}
