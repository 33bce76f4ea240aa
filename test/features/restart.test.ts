import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { featureService } from '../../src/features/definitions.js';
import { openLmdbStore } from '../../src/features/lmdb-store.js';
import { lastMaterialized } from '../../src/features/materialize.js';
import { OnlineFeatures } from '../../src/features/online.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { contents } from './stores.js';
import { NOW, playBatch, plays, profile, ROWS, TRACKS } from './restart-views.js';

const CHILD = join(__dirname, 'restart-child.ts');

/** Runs the child until it has said so many lines, and kills it then; how far it said it had come. */
async function run(
  folder: string,
  lines: number,
): Promise<{ rows: number; events: number; isEnd: boolean }> {
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const told = { rows: 0, events: -1, isEnd: false };
  let count = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const [what, number] = line.split(' ');
    if (what === 'rows') told.rows = Number(number);
    else if (what === 'events') told.events = Number(number);
    else told.isEnd = true;
    if (++count === lines) child.kill('SIGKILL');
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return told;
}

describe('a process that is killed while it loads and adds up', () => {
  const at = temporaryFolder();

  it('loses nothing that it had said was stored, and counts nothing twice when it goes on', async () => {
    const folder = at('store');
    let isEnd = false;
    let kills = 0;
    const service = featureService({ name: 's', version: 1, views: [profile, plays] });
    for (const lines of [7, 45, 130, Infinity]) {
      const told = await run(folder, lines);
      ({ isEnd } = told);
      if (!isEnd) kills++;
      const store = await openLmdbStore({ path: folder });
      const found = await lastMaterialized(profile, store);
      expect(found?.rows ?? 0).toBeGreaterThanOrEqual(told.rows);
      const position = (await store.checkpoint('plays@1'))!;
      const events = Number((JSON.parse(position.text) as { position: string }).position);
      expect(events).toBeGreaterThanOrEqual(told.events);
      const counts = new Float64Array(TRACKS);
      const sums = new Float64Array(TRACKS);
      for (let batch = 0; batch <= events; batch++) {
        for (const { key, fields } of playBatch(batch)) {
          counts[key]!++;
          sums[key]! += fields.amount;
        }
      }
      const online = new OnlineFeatures(service, { store, time: () => NOW });
      const { columns } = await online.get({ track: [...counts.keys()] });
      expect(columns.plays.count).toEqual(counts);
      expect(columns.plays.sum).toEqual(sums);
      const rows = found?.rows ?? 0;
      const last = await online.get({ track: [Math.max(0, rows - 1)] });
      expect(last.columns.profile.value[0]).toBe(2 * Math.max(0, rows - 1));
      await store.close();
    }
    expect([isEnd, kills]).toEqual([true, 3]);
    const store = await openLmdbStore({ path: folder });
    expect((await contents(store, 'profile@1')).entries).toBe(ROWS);
    await store.close();
  });
});
