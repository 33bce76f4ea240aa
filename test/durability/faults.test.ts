import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HnswIndex } from '../../src/index/hnsw.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { buildPreloadable } from './preloadable.js';
import { afterChange, DIM, isSame, stateOf, type Change, type State } from './workload.js';

const CHILD = join(__dirname, 'faults-child.ts');
const { ENOSPC, EIO } = constants.errno;
const MOST_CALLS = 60;

const at = temporaryFolder();
const shim = at('faults.so');
const built = buildPreloadable('faults.c', shim);

/** Runs the child with one failing call; its lines. */
function run(path: string, call: number, error: number, lasts: boolean): string[] {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--import', 'tsx', CHILD, path, '5'],
    {
      encoding: 'utf8',
      env: {
        ...process.env,
        LD_PRELOAD: shim,
        LICHEN_FAULT_FILE: path,
        LICHEN_FAULT_CALL: String(call),
        LICHEN_FAULT_ERROR: String(error),
        LICHEN_FAULT_LASTS: lasts ? '1' : '0',
      },
    },
  );
  expect(status, stderr).toBe(0);
  return stdout.trim().split('\n');
}

/**
 * Every state that may be found after the lines: what was acknowledged is there; a change that was refused is not, but
 * that it may be if the wait for the disk is what failed.
 */
function possible(lines: readonly string[]): State[] {
  let states: State[] = [new Map()];
  let change: Change | undefined;
  for (const line of lines) {
    if (line.startsWith('+')) change = JSON.parse(line.slice(2)) as Change;
    else if (line === '-') states = states.map((state) => afterChange(state, change!));
    else if (line.startsWith('!')) {
      const done = states.map((state) => afterChange(state, change!));
      states = [...states, ...done];
    } else if (line.startsWith('=')) {
      // In memory it is one of them.
      const held = new Map(JSON.parse(line.slice(2)) as [number, number][]);
      expect(states.some((state) => isSame(state, held))).toBe(true);
    }
  }
  return states;
}

describe.skipIf(!built)('failing calls of the system', () => {
  it.each([
    ['a full disk that is emptied', ENOSPC, false, 1],
    ['a disk that stays full', ENOSPC, true, 5],
    ['a write error', EIO, false, 4],
  ] as const)(
    '%s: an error, and nothing acknowledged is lost',
    async (_, error, lasts, step) => {
      const codes = new Set<string>();
      let calls = 1;
      for (; calls <= MOST_CALLS; calls += step) {
        const path = at(`faulty-${error}-${lasts}-${calls}.lichen`);
        const made = new HnswIndex({ dim: DIM, metric: 'l2', m: 4 });
        await made.save(path);
        made.close();
        const lines = run(path, calls, error, lasts);
        expect(lines.at(-1)).toBe('end');
        const failures = lines.filter((line) => /^[!?]/.test(line));
        for (const failure of failures) codes.add(failure.slice(2));
        const index = await HnswIndex.open(path, { durability: 'none' });
        const found = stateOf(index);
        index.close();
        expect(
          possible(lines).some((state) => isSame(state, found)),
          `${calls}: ${lines.join('\n')}`,
        ).toBe(true);
        if (failures.length === 0 && calls > 5) break; // past the last call
      }
      expect(codes).toEqual(new Set(['ERR_LICHEN_IO']));
      expect(calls).toBeGreaterThan(20);
      expect(calls).toBeLessThanOrEqual(MOST_CALLS);
    },
    240_000,
  );
});
