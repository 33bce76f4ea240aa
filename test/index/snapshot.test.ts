import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { openIndex } from '../../src/index/open.js';
import { inspectSnapshot } from '../../src/index/snapshot.js';
import type { Key } from '../../src/index/types.js';
import { METRICS } from '../../src/vectors/metric.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { clustered } from './data.js';

const DIM = 20;
const ROWS = 700;
const vectors = clustered(21, ROWS, DIM);
const queries = clustered(22, 30, DIM);

const KEYS: Record<string, Key[] | undefined> = {
  row: undefined,
  integer: Array.from({ length: ROWS }, (_, at) => at * 1000 - 7),
  string: Array.from({ length: ROWS }, (_, at) => `é-${at}`),
};

describe('snapshot', () => {
  const at = temporaryFolder();

  for (const metric of METRICS) {
    for (const [kind, keys] of Object.entries(KEYS)) {
      it(`brings back an index as it was: ${metric}, ${kind} keys`, async () => {
        for (const index of [
          new FlatIndex<Key>({ dim: DIM, metric }),
          new HnswIndex<Key>({ dim: DIM, metric, m: 6, efConstruction: 30 }),
        ]) {
          await index.add(vectors, { keys: keys as never });
          const path = at(`${metric}-${kind}.lichen`);
          const bytes = await index.save(path);
          expect(statSync(path).size).toBe(bytes);
          const again = await openIndex<Key>(path);
          expect(again.constructor).toBe(index.constructor);
          expect([again.size, again.dim, again.metric, again.keyKind]).toEqual([
            ROWS,
            DIM,
            metric,
            kind,
          ]);
          const options = { k: 9, ef: 20 };
          expect(await again.searchBatch(queries, options)).toEqual(
            await index.searchBatch(queries, options),
          );
          // What was opened can be added to.
          const key = keys && (typeof keys[0] === 'string' ? ['new'] : [5]);
          await again.add(queries.subarray(0, DIM), { keys: key as never });
          expect(again.size).toBe(ROWS + 1);
        }
      });
    }
  }

  it('tells what is in a file', async () => {
    const index = new HnswIndex({ dim: DIM, metric: 'l2', m: 6, efConstruction: 30, seed: 9 });
    await index.add(vectors);
    const path = at('inspected.lichen');
    const bytes = await index.save(path);
    const report = await inspectSnapshot(path);
    expect(report).toMatchObject({
      version: 1,
      index: 'hnsw',
      rows: ROWS,
      dim: DIM,
      metric: 'l2',
      storage: 'f32',
      keys: 'row',
      bytes,
      m: 6,
      efConstruction: 30,
      seed: 9,
    });
    expect(report.sections.map(({ name }) => name)).toEqual([
      'vectors',
      'levels',
      'baseLinks',
      'upperLinks',
    ]);
    expect(report.sections.every(({ ok, offset }) => ok && offset % 64 === 0)).toBe(true);
    const content = readFileSync(path);
    content[report.sections[2]!.offset + 5]! ^= 1;
    writeFileSync(path, content);
    const damaged = await inspectSnapshot(path);
    expect(damaged.sections.map(({ ok }) => ok)).toEqual([true, true, false, true]);
    await expect(openIndex(path)).rejects.toMatchObject({
      code: 'ERR_LICHEN_FORMAT',
      message: expect.stringMatching(/checksum of section baseLinks does not match/) as string,
    });
  });

  it('refuses every cut file and every flipped header byte', async () => {
    const index = new FlatIndex<string>({ dim: 3, metric: 'dot' });
    await index.add([[1, 2, 3]], { keys: ['a'] });
    await index.save(at('whole'));
    const whole = readFileSync(at('whole'));
    for (let length = 0; length < whole.length; length += 7) {
      writeFileSync(at('cut'), whole.subarray(0, length));
      await expect(openIndex(at('cut'))).rejects.toMatchObject({ code: 'ERR_LICHEN_FORMAT' });
    }
    for (let byte = 0; byte < 128 + 3 * 32; byte++) {
      const flipped = Buffer.from(whole);
      flipped[byte]! ^= 0x40;
      writeFileSync(at('flipped'), flipped);
      const code = expect.stringMatching(/ERR_LICHEN_(FORMAT|UNSUPPORTED)/) as string;
      await expect(openIndex(at('flipped')), `byte ${byte}`).rejects.toMatchObject({ code });
    }
  });

  it('tells missing files, folders, other files and bad paths', async () => {
    mkdirSync(at('folder'));
    writeFileSync(at('text'), 'not an index at all, but long enough for a header'.repeat(9));
    const cases: [unknown, string][] = [
      [at('missing'), 'ERR_LICHEN_NOT_FOUND'],
      [at('folder'), 'ERR_LICHEN_FORMAT'],
      [at('text'), 'ERR_LICHEN_FORMAT'],
      ['', 'ERR_LICHEN_ARGUMENT'],
      [at('text\0.lichen'), 'ERR_LICHEN_ARGUMENT'],
      [7, 'ERR_LICHEN_ARGUMENT'],
    ];
    for (const [path, code] of cases) {
      await expect(openIndex(path as string)).rejects.toMatchObject({ code });
      await expect(inspectSnapshot(path as string)).rejects.toMatchObject({ code });
    }
    const flat = new FlatIndex({ dim: 3, metric: 'dot' });
    await flat.save(at('flat'));
    await expect(HnswIndex.open(at('flat'))).rejects.toMatchObject({
      code: 'ERR_LICHEN_FORMAT',
      message: `${at('flat')} holds a flat index, expected a hnsw index`,
    });
    expect((await FlatIndex.open(at('flat'))).size).toBe(0);
  });

  it('leaves the old file when a save fails', async () => {
    const index = new FlatIndex({ dim: DIM, metric: 'dot' });
    await index.add(vectors);
    const path = at('kept.lichen');
    await index.save(path);
    const before = readFileSync(path);
    await index.add(vectors);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(index.save(path, { signal })).rejects.toMatchObject({
      code: 'ERR_LICHEN_ABORTED',
      cause: signal.reason as unknown,
    });
    expect(readFileSync(path)).toEqual(before);
    await expect(index.save(at('no/such/folder'))).rejects.toMatchObject({
      code: 'ERR_LICHEN_NOT_FOUND',
    });
    await expect(index.save(at('.'))).rejects.toMatchObject({ code: 'ERR_LICHEN_IO' });
    await expect(index.save('/dev/null')).rejects.toMatchObject({ code: 'ERR_LICHEN_IO' });
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
    expect(readdirSync(dirname(path)).filter((name) => name.includes('draft'))).toEqual([]);
  });

  it('leaves nothing behind on a full disk', async (context) => {
    const mount = at('full');
    mkdirSync(mount);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', mount], { stdio: 'ignore' });
    } catch {
      context.skip('a small file system cannot be mounted here');
    }
    try {
      const index = new FlatIndex({ dim: DIM, metric: 'dot' });
      await index.add(vectors.subarray(0, 100 * DIM));
      await index.save(`${mount}/index.lichen`);
      const before = readFileSync(`${mount}/index.lichen`);
      await index.add(vectors);
      await expect(index.save(`${mount}/index.lichen`)).rejects.toMatchObject({
        code: 'ERR_LICHEN_IO',
        message: expect.stringMatching(/No space left/) as string,
      });
      expect(readdirSync(mount)).toEqual(['index.lichen']);
      expect(readFileSync(`${mount}/index.lichen`)).toEqual(before);
    } finally {
      execFileSync('umount', [mount]);
    }
  });

  it('follows a symbolic link', async () => {
    const index = new FlatIndex({ dim: DIM, metric: 'dot' });
    await index.add(vectors);
    writeFileSync(at('target'), '');
    symlinkSync(at('target'), at('link'));
    await index.save(at('link'));
    expect((await openIndex(at('target'))).size).toBe(ROWS);
  });
});
