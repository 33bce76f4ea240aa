import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { LiveIndex } from '../../src/index/live-index.js';
import { openIndex } from '../../src/index/open.js';
import { publishIndex, readPublished } from '../../src/index/published.js';
import { Random } from '../../src/vectors/random.js';
import { clustered } from '../index/data.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const DIM = 8;
const PATIENT = { timeout: 20_000 };
const CHILD = join(__dirname, 'publish-child.ts');

async function indexOf(rows: number): Promise<HnswIndex> {
  const index = new HnswIndex({ dim: DIM, metric: 'l2', m: 4 });
  await index.add(clustered(3, rows, DIM));
  return index;
}

const snapshots = (folder: string): string[] =>
  readdirSync(folder).filter((name) => name.endsWith('.lichen'));

describe('published snapshots', () => {
  const at = temporaryFolder();
  const query = clustered(4, 1, DIM);

  it('get versions, and are named by a manifest', async () => {
    const folder = at('versions');
    await expect(readPublished(folder)).rejects.toMatchObject({ code: 'ERR_LICHEN_NOT_FOUND' });
    await expect(LiveIndex.open(folder)).rejects.toMatchObject({ code: 'ERR_LICHEN_NOT_FOUND' });
    const file = at('file');
    writeFileSync(file, '');
    await expect(LiveIndex.open(file)).rejects.toMatchObject({
      code: 'ERR_LICHEN_FORMAT',
      message: expect.stringContaining('openIndex opens files') as string,
    });
    for (const rows of [10, 20, 30, 40]) {
      using index = await indexOf(rows);
      const modelVersion = `towers-${rows}`;
      expect(await publishIndex(folder, index, { modelVersion })).toBe(rows / 10);
      const published = await readPublished(folder);
      expect(published).toMatchObject({ version: rows / 10, modelVersion });
      using opened = await openIndex(published.path);
      expect(opened.size).toBe(rows);
      expect(opened.label).toEqual({ modelVersion, snapshotVersion: rows / 10 });
    }
    expect(snapshots(folder)).toEqual(['000000000003.lichen', '000000000004.lichen']);
  });

  it('are removed when nobody has them mapped', async () => {
    const folder = at('mapped');
    using index = await indexOf(10);
    await publishIndex(folder, index);
    const reader = await openIndex((await readPublished(folder)).path, { map: true });
    await publishIndex(folder, index, { keep: 0 });
    await publishIndex(folder, index, { keep: 0 });
    expect(snapshots(folder)).toEqual(['000000000001.lichen', '000000000003.lichen']);
    expect(reader.searchSync(query, { k: 3 }).keys).toHaveLength(3);
    reader.close();
    // The memory goes with the last search that used it, which may be a moment later.
    await expect
      .poll(async () => {
        await publishIndex(folder, index, { keep: 0 });
        return snapshots(folder).length;
      }, PATIENT)
      .toBe(1);
  });

  it('are swapped under requests, none of which fails', async () => {
    const folder = at('swapped');
    using first = await indexOf(50);
    await publishIndex(folder, first);
    const swaps: number[] = [];
    const live = await LiveIndex.open(folder, {
      pollInterval: 1,
      onSwap: ({ version }) => swaps.push(version),
      onError: (error) => expect.unreachable(String(error)),
    });
    let isDone = false;
    let requests = 0;
    const asking = Array.from({ length: 4 }, async () => {
      while (!isDone) {
        const { keys } = await live.use((index) => index.search(query, { k: 5 }));
        expect(keys).toHaveLength(5);
        expect(live.use((index) => index.searchSync(query, { k: 5 })).keys).toHaveLength(5);
        requests++;
      }
    });
    for (let version = 2; version <= 8; version++) {
      using next = await indexOf(50 + version);
      expect(await publishIndex(folder, next, { keep: 0 })).toBe(version);
      await expect.poll(() => live.published.version, PATIENT).toBe(version);
      expect(live.use((index) => index.size)).toBe(50 + version);
    }
    isDone = true;
    await Promise.all(asking);
    expect(swaps).toEqual([2, 3, 4, 5, 6, 7, 8]);
    expect(requests).toBeGreaterThan(20);
    live.close();
    live.close();
    expect(() => live.use((index) => index.size)).toThrow('closed');
    await expect(live.refresh()).rejects.toMatchObject({ code: 'ERR_LICHEN_CLOSED' });
  });

  it('stay open until the last request that uses them has ended', async () => {
    const folder = at('leases');
    using index = await indexOf(10);
    await publishIndex(folder, index);
    using live = await LiveIndex.open(folder, { pollInterval: 0 });
    let end = (): void => undefined;
    const held = live.use(async (old) => {
      await new Promise<void>((resolve) => (end = resolve));
      return old.searchSync(query, { k: 2 }).keys;
    });
    await publishIndex(folder, index);
    expect(await live.refresh()).toBe(true);
    expect(await live.refresh()).toBe(false);
    end();
    expect(await held).toHaveLength(2);
    expect(() =>
      live.use(() => {
        throw new Error('as it comes');
      }),
    ).toThrow('as it comes');
  });

  it('are the old ones or the new ones, whenever the publisher is killed', async () => {
    const folder = at('killed');
    const random = new Random(12);
    let before = 0;
    for (let round = 0; round < 8; round++) {
      const child = spawn(process.execPath, ['--import', 'tsx', CHILD, folder], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let output = '';
      child.stdout.on('data', (data: Buffer) => {
        const isPublished = /\d/.test(output);
        output += data.toString();
        if (isPublished || !/\d/.test(output)) return;
        setTimeout(() => child.kill('SIGKILL'), random.below(60));
      });
      await new Promise((resolve) => child.once('close', resolve));
      const said = output.split('\n').slice(1, -1).map(Number);
      const least = said.at(-1)!;
      const { version, path } = await readPublished(folder);
      expect([least, least + 1]).toContain(version);
      using opened = await openIndex(path, { map: true, verify: 'full' });
      expect(opened.size).toBe(300);
      before = version;
    }
    expect(before).toBeGreaterThanOrEqual(8);
    using index = await indexOf(5);
    await publishIndex(folder, index);
    expect(readdirSync(folder).filter((name) => name.includes('.draft-'))).toEqual([]);
  }, 60_000);

  it('refuse what makes no sense', async () => {
    const folder = at('wrong');
    using index = await indexOf(5);
    await expect(publishIndex(folder, index, { keep: -1 })).rejects.toMatchObject({
      code: 'ERR_LICHEN_ARGUMENT',
    });
    await publishIndex(folder, index);
    for (const bad of [{ pollInterval: -1 }, { onSwap: 1 }, { durability: 'sync' }, { map: 2 }]) {
      await expect(LiveIndex.open(folder, bad as never)).rejects.toMatchObject({
        code: 'ERR_LICHEN_ARGUMENT',
      });
    }
    for (const text of ['{', '[]', 'null', '{"format":2}', '{"format":1,"version":"1"}']) {
      writeFileSync(join(folder, 'manifest.json'), text);
      await expect(LiveIndex.open(folder)).rejects.toMatchObject({ code: 'ERR_LICHEN_FORMAT' });
      await expect(publishIndex(folder, index)).rejects.toMatchObject({
        code: 'ERR_LICHEN_FORMAT',
      });
    }
    writeFileSync(at('file'), '');
    await expect(publishIndex(at('file'), index)).rejects.toMatchObject({ code: 'ERR_LICHEN_IO' });
    mkdirSync(at('busy'));
    const both = await Promise.allSettled([
      publishIndex(at('busy'), index),
      publishIndex(at('busy'), new FlatIndex({ dim: 2, metric: 'dot' })),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const failed = both.find((result) => result.status === 'rejected')!;
    expect(failed.reason).toMatchObject({ code: 'ERR_LICHEN_LOCKED' });
  });
});
