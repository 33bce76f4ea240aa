// Changes an index while calls of the system fail (faults.c), and says what it does, as torture-child.ts does; besides:
//
//   = [[key, row], …]   what the index held after a change was refused
//   ? CODE              a checkpoint, or opening, failed
//   end

import { writeSync } from 'node:fs';
import { HnswIndex } from '../../src/index/hnsw.js';
import { Random } from '../../src/vectors/random.js';
import { afterChange, doChange, drawChange, stateOf } from './workload.js';

const CHANGES = 6;
const CHECKPOINT_EVERY = 3;

async function main(path: string, seed: number): Promise<void> {
  const say = (line: string): void => void writeSync(1, `${line}\n`);
  const failed = (error: unknown): void => say(`? ${(error as { code: string }).code}`);
  say('ready');
  try {
    const index = await HnswIndex.open(path, { durability: 'sync' });
    const random = new Random(seed);
    let state = stateOf(index);
    for (let n = 1; n <= CHANGES; n++) {
      const change = drawChange(random, state);
      say(`+ ${JSON.stringify(change)}`);
      try {
        await doChange(index, change);
        say('-');
        state = afterChange(state, change);
      } catch (error) {
        say(`! ${(error as { code: string }).code}`);
        state = stateOf(index);
        say(`= ${JSON.stringify([...state])}`);
      }
      if (n % CHECKPOINT_EVERY === 0) await index.checkpoint().catch(failed);
    }
  } catch (error) {
    failed(error);
  }
  say('end');
  process.exit(); // without closing: what is on disk is what was acknowledged
}

const [path, seed] = process.argv.slice(2);
void main(path!, Number(seed));
