import { appendFileSync, utimesSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { batchView, entity, featureService } from '../../src/features/definitions.js';
import { feature } from '../../src/features/feature-types.js';
import { lastMaterialized, materialize } from '../../src/features/materialize.js';
import { OnlineFeatures } from '../../src/features/online.js';
import { csvSource, parquetSource, rowsSource } from '../../src/features/row-sources.js';
import type { BatchSource } from '../../src/features/source.js';
import type { OnlineStore } from '../../src/features/store.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { contents, STORE_KINDS } from './stores.js';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const time = (): number => NOW;
const HOUR = 3_600_000;
const view = batchView({
  name: 'profile',
  entity: entity('track', { keys: 'integer' }),
  ttlMs: 1000 * HOUR,
  features: {
    plays: feature.i32(),
    title: feature.text(),
    live: feature.bool(),
    vector: feature.vector(2),
  },
});
const service = featureService({ name: 's', version: 1, views: [view] });

const open = STORE_KINDS[0]!.prepare();

async function playsOf(store: OnlineStore, keys: readonly number[]): Promise<number[]> {
  const online = new OnlineFeatures(service, { store, time });
  return [...(await online.get({ track: keys })).columns.profile.plays];
}

const csv = (from: number, to: number, plays: (key: number) => number) =>
  Array.from({ length: to - from }, (_, at) => {
    const key = from + at;
    const when = new Date(NOW - 60_000 * (to - key)).toISOString();
    return `${key},${when},${plays(key)},"a ""title"", ${key}",${key % 2 === 0},"[${key}, 0.5]"\n`;
  }).join('');
const HEAD = 'track,event_time,plays,title,live,vector\n';

describe('loading a view', () => {
  const at = temporaryFolder();

  it('takes a text file, and nothing of it a second time', async () => {
    const store = await open();
    for (const name of ['rows.csv', 'rows.csv.gz']) {
      const text = HEAD + csv(0, 2500, (key) => key * 2);
      writeFileSync(at(name), name.endsWith('.gz') ? gzipSync(text) : text);
      const source = csvSource(at(name));
      const steps: number[] = [];
      const onProgress = (done: number): void => void steps.push(done);
      const report = await materialize(view, store, { source, time, onProgress });
      expect(report).toMatchObject({ rows: 2500, resumedAt: 0, written: 2500, invalid: 0 });
      expect(steps).toEqual([1000, 2000, 2500]);
      expect(await materialize(view, store, { source, time })).toMatchObject({
        rows: 0,
        resumedAt: 2500,
      });
    }
    const online = new OnlineFeatures(service, { store, time });
    const { columns, times } = await online.get({ track: [7, 2499] });
    expect([...columns.profile.plays]).toEqual([14, 4998]);
    expect(columns.profile.title[0]).toBe('a "title", 7');
    expect([...columns.profile.live]).toEqual([0, 0]);
    expect([...columns.profile.vector.data]).toEqual([7, 0.5, 2499, 0.5]);
    expect(times.profile[1]).toBe(NOW - 60_000);
  });

  it('goes on behind what it has read of a file that grows; reads another file whole', async () => {
    const store = await open();
    const path = at('growing.csv');
    const source = csvSource(path, { isAppended: true });
    writeFileSync(path, HEAD + csv(0, 1500, () => 1));
    await materialize(view, store, { source, time });
    appendFileSync(
      path,
      csv(1500, 1700, () => 2),
    );
    expect(await materialize(view, store, { source, time })).toMatchObject({
      rows: 200,
      resumedAt: 1500,
    });
    expect(await playsOf(store, [1499, 1500, 1699])).toEqual([1, 2, 2]);
    writeFileSync(path, HEAD + csv(0, 1800, () => 3));
    // Whatever the file system says of when: another beginning is another file.
    utimesSync(path, new Date(), new Date(Date.now() + 5000));
    expect((await materialize(view, store, { source, time })).rows).toBe(1800);
    expect(await playsOf(store, [1799])).toEqual([3]);
    const fresh = await materialize(view, store, { source, time, isFresh: true });
    expect(fresh).toMatchObject({ rows: 1800, resumedAt: 0 });
  });

  it('takes a parquet file, a row group at a time, and goes on within one', async () => {
    const store = await open();
    const path = at('rows.parquet');
    const keys = Array.from({ length: 2500 }, (_, key) => key);
    const bytes = parquetWriteBuffer({
      columnData: [
        { name: 'track', data: keys, type: 'INT32' },
        {
          name: 'event_time',
          data: keys.map((key) => new Date(NOW - 2500 + key)),
          type: 'TIMESTAMP',
        },
        { name: 'plays', data: keys.map((key) => key * 3), type: 'INT32' },
        { name: 'title', data: keys.map((key) => `t${key}`), type: 'STRING' },
        { name: 'live', data: keys.map((key) => key % 3 === 0), type: 'BOOLEAN' },
        { name: 'vector', data: keys.map((key) => [key, -key]), type: 'JSON' },
      ],
      rowGroupSize: 800,
    });
    writeFileSync(path, new Uint8Array(bytes));
    const source = parquetSource(path);
    const controller = new AbortController();
    const stopped = materialize(view, store, {
      source,
      time,
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ code: 'ERR_LICHEN_ABORTED' });
    const report = await materialize(view, store, { source, time });
    expect(report).toMatchObject({ rows: 1500, resumedAt: 1000, written: 1500 });
    expect(await playsOf(store, [0, 999, 1000, 2499])).toEqual([0, 2997, 3000, 7497]);
  });

  it('never puts an older value over a newer one', async () => {
    const store = await open();
    const row = (plays: number, ago: number) => ({
      ...{ track: 1, event_time: NOW - ago, plays, title: '', live: false, vector: [0, 0] },
    });
    await materialize(view, store, { source: rowsSource([row(1, 10)], 'a'), time });
    const older = await materialize(view, store, { source: rowsSource([row(2, 20)], 'b'), time });
    expect([older.rows, older.written]).toEqual([1, 0]);
    expect(await playsOf(store, [1])).toEqual([1]);
  });

  it('removes what is too old to be served', async () => {
    const store = await open();
    const rows = [1, 2].map((track) => ({
      ...{ track, event_time: NOW - track * 600 * HOUR, plays: 1, title: '', live: true },
      vector: [0, 0],
    }));
    const report = await materialize(view, store, { source: rowsSource(rows), time });
    expect([report.written, report.pruned]).toEqual([2, 1]);
    expect((await contents(store, 'profile@1')).entries).toBe(1);
  });

  const good = { track: 1, event_time: NOW, plays: 1, title: 'x', live: true, vector: [1, 2] };
  it.each([
    ['a key that is none', { track: 'x' }, /row 2: profile\.track must be/],
    ['a time that is none', { event_time: 'soon' }, /event_time must be a time/],
    ['a time to come', { event_time: NOW + HOUR }, /must not be in the future/],
    ['half an integer', { plays: 1.5 }, /plays must be an integer/],
    ['words for a number', { plays: 'many' }, /plays must be an integer/],
    ['a vector that is too long', { vector: [1, 2, 3] }, /vector must be 2 numbers of f32, got 3/],
    ['a vector with a hole', { vector: [1, NaN] }, /vector must be 2 numbers/],
    ['a number for a text', { title: 5 }, /title must be a text/],
    ['maybe', { live: 'maybe' }, /live must be true or false/],
  ])('stops at %s, or leaves it out if that is wanted', async (_, wrong, message) => {
    const store = await open();
    const rows = [good, { ...good, ...wrong }, { ...good, track: 3 }];
    const source = rowsSource(rows);
    const failed = materialize(view, store, { source, time });
    await expect(failed).rejects.toMatchObject({ code: 'ERR_LICHEN_FORMAT' });
    await expect(failed).rejects.toThrow(message);
    expect(await lastMaterialized(view, store)).toBeUndefined();
    const report = await materialize(view, store, { source, time, skipInvalid: true });
    expect(report).toMatchObject({ rows: 3, written: 2, invalid: 1 });
    expect(report.problems[0]).toMatch(message);
  });

  it('leaves defaults for what is missing', async () => {
    const store = await open();
    writeFileSync(at('holes.csv'), `${HEAD}1,${NOW},,,,\n2,${NOW},5,"",1,"{1,2}"\n`);
    await materialize(view, store, { source: csvSource(at('holes.csv')), time });
    const online = new OnlineFeatures(service, { store, time });
    const { columns } = await online.get({ track: [1, 2] });
    expect([...columns.profile.plays]).toEqual([0, 5]);
    expect([...columns.profile.live]).toEqual([0, 1]);
    expect([...columns.profile.vector.data]).toEqual([0, 0, 1, 2]);
  });

  it('says what is wrong with a file', async () => {
    const store = await open();
    const load = (source: BatchSource) => materialize(view, store, { source, time });
    await expect(load(csvSource(at('none.csv')))).rejects.toMatchObject({
      code: 'ERR_LICHEN_NOT_FOUND',
    });
    writeFileSync(at('short.csv'), 'track,event_time\n1,2\n');
    await expect(load(csvSource(at('short.csv')))).rejects.toMatchObject({
      code: 'ERR_LICHEN_ARGUMENT',
    });
    writeFileSync(at('ragged.csv'), `${HEAD}1,2\n`);
    await expect(load(csvSource(at('ragged.csv')))).rejects.toMatchObject({
      code: 'ERR_LICHEN_FORMAT',
    });
    writeFileSync(at('cut.csv.gz'), gzipSync(HEAD + csv(0, 3000, () => 1)).subarray(0, 9000));
    await expect(load(csvSource(at('cut.csv.gz')))).rejects.toMatchObject({
      code: expect.stringMatching(/ERR_LICHEN_(FORMAT|IO)/) as string,
    });
    writeFileSync(at('bad.parquet'), 'PAR1 and more');
    await expect(load(parquetSource(at('bad.parquet')))).rejects.toMatchObject({
      code: 'ERR_LICHEN_FORMAT',
    });
    await expect(materialize(view, store)).rejects.toMatchObject({ code: 'ERR_LICHEN_ARGUMENT' });
  });

  it('is done by one at a time', async () => {
    const store = await open();
    const rows = Array.from({ length: 3000 }, (_, track) => ({ ...good, track }));
    const slow: BatchSource = {
      name: 'slow',
      async *read(options) {
        for await (const batch of rowsSource(rows).read(options)) {
          yield batch;
          await new Promise((resolve) => setImmediate(resolve));
        }
      },
    };
    const both = await Promise.allSettled([
      materialize(view, store, { source: slow, time }),
      materialize(view, store, { source: slow, time }),
    ]);
    const failed = both.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
    expect(failed.map(({ reason }) => (reason as { code: string }).code)).toEqual([
      'ERR_LICHEN_BUSY',
    ]);
    expect((await contents(store, 'profile@1')).entries).toBe(3000);
  });
});
