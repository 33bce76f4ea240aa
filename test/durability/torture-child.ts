// Changes an index for ever, some changes at a time, and says what it does:
//
//   torture-child.ts PATH SEED DURABILITY
//     ready          the index is open
//     + {change}     a change is about to be asked for
//     -              the oldest change that was asked for is acknowledged
//     ! CODE         or was refused

import { writeSync } from 'node:fs';
import { HnswIndex } from '../../src/index/hnsw.js';
import type { Durability } from '../../src/index/writes.js';
import { Random } from '../../src/vectors/random.js';
import { afterChange, doChange, drawChange, stateOf } from './workload.js';

const MOST_AT_ONCE = 4;

async function main(path: string, seed: number, durability: Durability): Promise<void> {
  const say = (line: string): void => void writeSync(1, `${line}\n`);
  const index = await HnswIndex.open(path, { durability, checkpointBytes: 3000 });
  const random = new Random(seed);
  let state = stateOf(index);
  let waiting: Promise<void>[] = [];
  say('ready');
  for (;;) {
    const change = drawChange(random, state);
    state = afterChange(state, change);
    say(`+ ${JSON.stringify(change)}`);
    const done = doChange(index, change).then(
      () => say('-'),
      (error: { code: string }) => say(`! ${error.code}`),
    );
    waiting.push(done);
    if (random.below(40) === 0) void index.checkpoint().catch(() => undefined);
    if (waiting.length >= 1 + random.below(MOST_AT_ONCE)) {
      await Promise.all(waiting);
      waiting = [];
    }
  }
}

const [path, seed, durability] = process.argv.slice(2);
void main(path!, Number(seed), durability as Durability);
