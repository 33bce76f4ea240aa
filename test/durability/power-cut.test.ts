import { spawn } from 'node:child_process';
import { once } from 'node:events';
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
import { openIndex } from '../../src/index/open.js';
import { readPublished } from '../../src/index/published.js';
import { Random } from '../../src/vectors/random.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { buildPreloadable } from './preloadable.js';
import { DURABILITIES, prefixOf, untilKilled } from './torture.js';
import { DIM, stateOf, type State } from './workload.js';

const ROUNDS = 12;
const NAME = 'index.lichen';
const PUBLISHER = join(__dirname, 'publish-child.ts');

const at = temporaryFolder();
const shim = at('disk.so');
const built = buildPreloadable('disk.c', shim);

/** What makes a process keep a copy of a folder's disk. */
const keeping = (folder: string, copy: string): NodeJS.ProcessEnv => ({
  LD_PRELOAD: shim,
  LICHEN_DISK_FOLDER: realpathSync(folder),
  LICHEN_DISK_COPY: copy,
});

/** A folder of what was kept. A file that was never synced is empty. */
function restore(copy: string, folder: string): void {
  mkdirSync(folder);
  for (const line of readFileSync(join(copy, 'names'), 'utf8').split('\n').slice(0, -1)) {
    const [key, name] = line.split(' ') as [string, string];
    if (existsSync(join(copy, key))) copyFileSync(join(copy, key), join(folder, name));
    else writeFileSync(join(folder, name), '');
  }
}

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
      const wait = 50 + random.below(150);
      const { changes, done } = await untilKilled(args, wait, keeping(folder, copy));
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

  it('keeps the version that was published last, whole', async () => {
    const [folder, copy, after] = [at('published'), at('published-copy'), at('published-after')];
    for (const made of [folder, copy]) mkdirSync(made);
    const child = spawn(process.execPath, ['--import', 'tsx', PUBLISHER, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...keeping(folder, copy) },
    });
    let output = '';
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
      if (output.split('\n').length > 6) child.kill('SIGKILL');
    });
    await once(child, 'close');
    const said = Number(output.split('\n').at(-2));
    restore(copy, after);
    const { version, path } = await readPublished(after);
    expect([said, said + 1]).toContain(version);
    using opened = await openIndex(path, { map: true, verify: 'full' });
    expect(opened.size).toBe(300);
  }, 60_000);
});
