import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { Random } from '../../src/vectors/random.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import {
  afterChange,
  DIM,
  doChange,
  drawChange,
  isSame,
  stateOf,
  type Change,
  type State,
} from './workload.js';

const disk = temporaryFolder()('disk');
mkdirSync(disk);
/** A file system of 160 KiB in memory: mounting it needs Linux and the right to. */
const mounted =
  process.platform === 'linux' &&
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=160k', 'tmpfs', disk]).status === 0;
afterAll(() => {
  if (mounted) spawnSync('umount', [disk]);
});

const FULL = expect.objectContaining({ code: 'ERR_LICHEN_IO' }) as Error;

describe.skipIf(!mounted)('a disk that is full (needs the right to mount one)', () => {
  it('refuses changes, loses none, and goes on once there is room', async () => {
    const path = join(disk, 'index.lichen');
    const made = new HnswIndex({ dim: DIM, metric: 'l2', m: 4 });
    await made.save(path);
    made.close();
    let index = await HnswIndex.open(path, { durability: 'sync' });
    const random = new Random(3);
    let state: State = new Map();
    /** Changes until one is refused. */
    const changeUntilFull = async (): Promise<Change> => {
      for (;;) {
        const change = drawChange(random, state);
        try {
          await doChange(index, change);
        } catch (error) {
          expect(error).toEqual(FULL);
          expect(isSame(stateOf(index), state)).toBe(true);
          return change;
        }
        state = afterChange(state, change);
      }
    };
    const ballast = join(disk, 'ballast');
    for (let round = 0; round < 2; round++) {
      writeFileSync(ballast, Buffer.alloc(64 << 10, 1));
      const refused = await changeUntilFull();
      await expect(index.checkpoint()).rejects.toEqual(FULL);
      expect(isSame(stateOf(index), state)).toBe(true);
      if (round % 2 === 1) {
        index.close();
        index = await HnswIndex.open(path, { durability: 'sync' });
        expect(isSame(stateOf(index), state)).toBe(true);
      }
      rmSync(ballast);
      await doChange(index, refused);
      state = afterChange(state, refused);
      await index.checkpoint();
      expect(index.journalBytes).toBeLessThan(100);
    }
    index.close();
    const last = await HnswIndex.open(path, { durability: 'none' });
    expect(isSame(stateOf(last), state)).toBe(true);
    last.close();
  });

  it('leaves the old file where the new one does not fit, and nothing beside it', async () => {
    for (const name of readdirSync(disk)) rmSync(join(disk, name));
    const path = join(disk, 'flat.lichen');
    const index = new FlatIndex({ dim: 64, metric: 'dot' });
    const row = Float32Array.from({ length: 64 }, (_, d) => d / 64);
    for (let key = 0; key < 300; key++) index.addSync(row, { keys: [key] });
    await index.save(path);
    for (let key = 300; key < 1200; key++) index.addSync(row, { keys: [key] });
    await expect(index.save(path)).rejects.toEqual(FULL);
    expect(readdirSync(disk)).toEqual(['flat.lichen']);
    const old = await FlatIndex.open(path);
    expect(old.size).toBe(300);
    old.close();
    index.close();
  });
});
