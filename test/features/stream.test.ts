import { describe, expect, it } from 'vitest';
import { aggregate } from '../../src/features/aggregations.js';
import { entity, featureService, streamView } from '../../src/features/definitions.js';
import { feature } from '../../src/features/feature-types.js';
import { OnlineFeatures } from '../../src/features/online.js';
import { StreamWriter } from '../../src/features/stream.js';
import type { OnlineStore, WriteBatch } from '../../src/features/store.js';
import { STORE_KINDS } from './stores.js';

const NOW = 1_700_000_000_000;
const view = streamView({
  name: 'plays',
  entity: entity('track', { keys: 'integer' }),
  ttlMs: 3_600_000,
  latenessMs: 1000,
  event: { amount: feature.f64() },
  features: { count: aggregate.count(60_000), sum: aggregate.sum('amount', 60_000) },
});
const service = featureService({ name: 's', version: 1, views: [view] });
const time = (): number => NOW;

const event = (key: number, at: number, amount: number, id?: string) => ({
  key,
  time: NOW + at,
  fields: { amount },
  ...(id === undefined ? {} : { id }),
});

async function countAndSum(store: OnlineStore, key: number): Promise<[number, number]> {
  const online = new OnlineFeatures(service, { store, time, timeoutMs: 10_000 });
  const { columns } = await online.get({ track: [key] });
  return [columns.plays.count[0]!, columns.plays.sum[0]!];
}

/** A store that fails at will, before or after it has stored. */
function failing(store: OnlineStore): {
  store: OnlineStore;
  fail: (when: 'before' | 'after') => void;
} {
  let next: 'before' | 'after' | undefined;
  const wrapped: OnlineStore = {
    kind: store.kind,
    read: (requests, visit) => store.read(requests, visit),
    checkpoint: (name) => store.checkpoint(name),
    prune: (table, before) => store.prune(table, before),
    scan: (table, visit) => store.scan(table, visit),
    close: () => store.close(),
    async write(batch: WriteBatch) {
      const when = next;
      next = undefined;
      if (when === 'before') throw new Error('the disk is full');
      const stored = await store.write(batch);
      if (when === 'after') throw new Error('the connection broke');
      return stored;
    },
  };
  return { store: wrapped, fail: (when) => (next = when) };
}

describe.each(STORE_KINDS)('events added up in $name$note', ({ isMissing, prepare }) => {
  if (isMissing) {
    it.skip('add up', () => undefined);
    return;
  }
  const open = prepare();

  it('add up once each, late ones within the limit too', async () => {
    const store = await open();
    const dropped: string[] = [];
    const writer = await StreamWriter.open(view, store, {
      time,
      onDropped: (_, reason) => dropped.push(reason),
    });
    expect(await writer.ingest([event(1, 0, 5, 'a'), event(1, -900, 7, 'b')])).toMatchObject({
      added: 2,
    });
    const report = await writer.ingest([
      event(1, 0, 5, 'a'),
      event(1, -900, 7, 'b'),
      event(1, -1000, 1, 'c'),
      event(1, -1001, 100, 'd'),
      event(2, 59_000, 3),
      event(2, 61_000, 100),
      event(1, NaN, 100),
      { ...event(1, 0, 0), fields: {} as { amount: number } },
      { ...event(1, 0, 0), key: 'x' },
      null as never,
    ]);
    expect(report).toEqual({ added: 2, duplicates: 2, late: 1, future: 1, invalid: 4 });
    expect(dropped).toHaveLength(6);
    expect(await countAndSum(store, 1)).toEqual([3, 13]);
    // Of a clock ahead: as of now.
    expect(await countAndSum(store, 2)).toEqual([1, 3]);
    expect(writer.totals).toEqual({ added: 4, duplicates: 2, late: 1, future: 1, invalid: 4 });
  });

  it('go on after a restart where they were, and know again what had come', async () => {
    const store = await open();
    const first = await StreamWriter.open(view, store, { time });
    await first.ingest([event(1, 0, 5, 'a')], { position: 'offset 1' });
    await first.ingest([event(1, 0, 6, 'b'), event(3, 0, 1)], { position: 'offset 2' });
    const second = await StreamWriter.open(view, store, { time });
    expect(second.position).toBe('offset 2');
    expect(second.totals.added).toBe(3);
    // The source gives the last batch again, and another one with an event of the first.
    await second.ingest([event(1, 0, 6, 'b'), event(3, 0, 1)], { position: 'offset 2' });
    await second.ingest([event(1, 0, 5, 'a'), event(1, 0, 1, 'c')], { position: 'offset 3' });
    expect(await countAndSum(store, 1)).toEqual([3, 12]);
    expect(await countAndSum(store, 3)).toEqual([1, 1]);
  });

  it('are not lost and not counted twice when a write fails, or its answer is lost', async () => {
    const inner = await open();
    const { store, fail } = failing(inner);
    const writer = await StreamWriter.open(view, store, { time });
    const events = [event(1, 0, 5)];
    fail('before');
    await expect(writer.ingest(events)).rejects.toThrow('the disk is full');
    expect(await countAndSum(store, 1)).toEqual([0, 0]);
    expect((await writer.ingest(events)).added).toBe(1);
    const more = [event(1, 0, 7)];
    fail('after');
    await expect(writer.ingest(more)).rejects.toThrow('the connection broke');
    expect((await writer.ingest(more)).added).toBe(1);
    expect(await countAndSum(store, 1)).toEqual([2, 12]);
    expect(writer.totals.added).toBe(2);
    fail('after');
    await expect(writer.ingest([event(1, 0, 1)], { position: 'p' })).rejects.toThrow();
    await writer.ingest([event(1, 0, 1)], { position: 'p' });
    expect(await countAndSum(store, 1)).toEqual([3, 13]);
  });

  it('have one writer', async () => {
    const store = await open();
    const one = await StreamWriter.open(view, store, { time });
    const two = await StreamWriter.open(view, store, { time });
    await one.ingest([event(1, 0, 1)]);
    await expect(two.ingest([event(1, 0, 10)])).rejects.toMatchObject({ code: 'ERR_LICHEN_BUSY' });
    expect(await countAndSum(store, 1)).toEqual([1, 1]);
    // It has read anew where things are.
    await two.ingest([event(1, 0, 10)]);
    expect(await countAndSum(store, 1)).toEqual([2, 11]);
  });

  it('are refused over what is no state of the view', async () => {
    const store = await open();
    const record = Buffer.alloc(32, 7);
    record.writeDoubleLE(NOW, 8);
    await store.write({ table: 'plays@1', entries: [{ key: 1, record }], ttlMs: 1000 });
    const writer = await StreamWriter.open(view, store, { time });
    await expect(writer.ingest([event(1, 0, 1)])).rejects.toMatchObject({
      code: 'ERR_LICHEN_FORMAT',
    });
    await writer.ingest([event(2, 0, 1)]);
    expect(await countAndSum(store, 2)).toEqual([1, 1]);
  });
});

describe('a clock that goes backwards', () => {
  it('takes no event away and lets new ones in', async () => {
    const store = await STORE_KINDS[0]!.prepare()();
    let now = NOW;
    const writer = await StreamWriter.open(view, store, { time: () => now });
    await writer.ingest([event(1, 0, 1)]);
    now -= 500_000;
    const online = new OnlineFeatures(service, { store, time: () => now });
    const { columns, status } = await online.get({ track: [1] });
    expect([columns.plays.count[0], status.plays[0]]).toEqual([1, 0]);
    // Its time is that of a moment that has passed already: it is late, and said to be.
    const report = await writer.ingest([{ key: 1, time: now, fields: { amount: 1 } }]);
    expect(report.late).toBe(1);
    await store.close();
  });
});
