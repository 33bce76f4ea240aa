import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HnswIndex } from '../../src/index/hnsw.js';
import { Random } from '../../src/vectors/random.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { DURABILITIES, prefixOf, untilKilled } from './torture.js';
import { DIM, stateOf, type State } from './workload.js';

const ROUNDS = 12;
const NAME = 'index.lichen';

const at = temporaryFolder();
const shim = at('disk.so');
const built =
  process.platform === 'linux' &&
  spawnSync('cc', ['-shared', '-fPIC', '-o', shim, join(__dirname, 'disk.c'), '-ldl']).status === 0;

/** A folder of what was kept. A file that was never synced is empty. */
function restore(copy: string, folder: string): void {
  mkdirSync(folder);
  for (const line of readFileSync(join(copy, 'names'), 'utf8').split('\n').slice(0, -1)) {
    const [key, name] = line.split(' ') as [string, string];
    if (existsSync(join(copy, key))) copyFileSync(join(copy, key), join(folder, name));
    else writeFileSync(join(folder, name), '');
  }
}

// The shim needs Linux and a C compiler.
describe.skipIf(!built)('a machine that loses its power', () => {
  it('keeps what `sync` acknowledged, and no half of a change whatever was asked for', async () => {
    const random = new Random(7);
    let folder = at('disk-0');
    mkdirSync(folder);
    const made = new HnswIndex({ dim: DIM, metric: 'l2', m: 4 });
    await made.save(join(folder, NAME));
    made.close();
    let state: State = new Map();
    let kept = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const durability = DURABILITIES[round % DURABILITIES.length]!;
      const copy = at(`copy-${round}`);
      mkdirSync(copy);
      const args = [join(folder, NAME), String(round), durability];
      const { changes, done } = await untilKilled(args, 50 + random.below(150), {
        LD_PRELOAD: shim,
        LICHEN_DISK_FOLDER: realpathSync(folder),
        LICHEN_DISK_COPY: copy,
      });
      folder = at(`disk-${round + 1}`);
      restore(copy, folder);
      const index = await HnswIndex.open(join(folder, NAME), { durability });
      const found = stateOf(index);
      index.close();
      const least = durability === 'sync' ? done : 0;
      const reached = prefixOf(state, changes, least, found);
      expect(reached, `round ${round}, ${durability}, ${done} acknowledged`).toBeDefined();
      if (durability === 'sync') kept += done;
      state = found;
    }
    expect(kept).toBeGreaterThan(ROUNDS);
  }, 120_000);
});
