import { beforeEach, describe, expect, it } from 'vitest';
import {
  batchView,
  entity,
  featureService,
  onDemandView,
  pick,
} from '../../src/features/definitions.js';
import { feature } from '../../src/features/feature-types.js';
import { FEATURE_STATUS } from '../../src/features/frame.js';
import { openLmdbStore } from '../../src/features/lmdb-store.js';
import { OnlineFeatures } from '../../src/features/online.js';
import { RecordLayout } from '../../src/features/record.js';
import { until } from '../servers/processes.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { FakeStore, place } from './fake-store.js';

const NOW = 1_700_000_000_000;
const { found, missing, expired, poisoned, unavailable } = FEATURE_STATUS;

const track = entity('track', { keys: 'integer' });
const user = entity('user', { keys: 'string' });
const profile = batchView({
  name: 'profile',
  entity: track,
  ttlMs: 1000,
  features: {
    length: feature.f32({ default: -1 }),
    title: feature.text({ default: '?' }),
    vector: feature.vector(2, { default: [9, 9] }),
  },
});
const tastes = batchView({
  name: 'tastes',
  entity: user,
  ttlMs: 1000,
  features: { likes: feature.list(3), age: feature.i32({ default: 30 }) },
});
const match = onDemandView({
  name: 'match',
  request: { hour: feature.i32() },
  uses: [profile, tastes],
  features: { score: feature.f64({ default: -5 }) },
  compute: ({ request, features, now }) => ({
    score: request.hour * features.profile.length + features.tastes.age + (now - NOW),
  }),
});
const service = featureService({ name: 's', version: 1, views: [profile, tastes, match] });
const profiles = new RecordLayout(profile.features);
const tasteRecords = new RecordLayout(tastes.features);

let store: FakeStore;
let now: number;
const time = (): number => now;

beforeEach(() => {
  now = NOW;
  store = new FakeStore();
  for (const key of [1, 2, 3]) {
    const values = { length: key * 10, title: `track ${key}`, vector: [key, -key] };
    store.records.set(place('profile@1', key), profiles.encode(values, NOW - 100 * key));
  }
  store.records.set(place('tastes@1', 'u'), tasteRecords.encode({ likes: [7, 8], age: 40 }, NOW));
});

const request = { hour: 2 };

describe('features for serving', () => {
  const at = temporaryFolder();

  it('come as columns, by one request to the store, a single key being for all rows', async () => {
    const online = new OnlineFeatures(service, { store, time });
    const frame = await online.get({ track: [3, 1, 4], user: ['u'] }, { request });
    expect(store.reads).toEqual([{ 'profile@1': 3, 'tastes@1': 1 }]);
    const { columns, status, times } = frame;
    expect([...columns.profile.length]).toEqual([30, 10, -1]);
    expect(columns.profile.title).toEqual(['track 3', 'track 1', '?']);
    expect([...columns.profile.vector.data]).toEqual([3, -3, 1, -1, 9, 9]);
    expect([...status.profile]).toEqual([found, found, missing]);
    expect([...times.profile]).toEqual([NOW - 300, NOW - 100, NaN]);
    expect([...columns.tastes.age]).toEqual([40, 40, 40]);
    expect([...columns.tastes.likes.data]).toEqual([7, 8, 0, 7, 8, 0, 7, 8, 0]);
    expect([...columns.tastes.likes.counts]).toEqual([2, 2, 2]);
    expect([...columns.match.score]).toEqual([100, 60, 38]);
  });

  it('are defaults that say so when they are too old, of another type, or wrongly computed', async () => {
    store.records.set(place('profile@1', 2), tasteRecords.encode({ age: 1 }, NOW));
    store.records.set(place('profile@1', 1), profiles.encode({}, NOW).subarray(0, 20));
    now = NOW + 701;
    const online = new OnlineFeatures(service, { store, time });
    const frame = await online.get({ track: [3, 2, 1], user: ['u'] }, { request });
    expect([...frame.status.profile]).toEqual([expired, poisoned, poisoned]);
    expect([...frame.columns.profile.length]).toEqual([-1, -1, -1]);
    expect(frame.times.profile[0]).toBe(NOW - 300);
    const broken = onDemandView({
      name: 'broken',
      request: {},
      uses: [],
      features: { a: feature.f32({ default: 3 }) },
      compute: ({ now: at }) => {
        if (at === NOW) throw new Error('no');
        return { a: NaN };
      },
    });
    const alone = new OnlineFeatures(featureService({ name: 's', version: 1, views: [broken] }), {
      store,
      time,
    });
    for (now of [NOW, NOW + 1]) {
      const { columns, status } = await alone.get({});
      expect([columns.broken.a[0], status.broken[0]]).toEqual([3, poisoned]);
    }
  });

  it('are errors instead, if that is wanted', async () => {
    const online = new OnlineFeatures(service, { store, time, isStrict: true });
    store.records.set(place('profile@1', 1), Buffer.from('nonsense'));
    await expect(online.get({ track: [1], user: ['u'] }, { request })).rejects.toMatchObject({
      code: 'ERR_LICHEN_FORMAT',
    });
    store.failing = true;
    await expect(online.get({ track: [2], user: ['u'] }, { request })).rejects.toMatchObject({
      code: 'ERR_LICHEN_IO',
    });
  });

  it('do not wait for a store that is slow, and what comes late changes nothing', async () => {
    let open!: () => void;
    store.gate = new Promise((resolve) => (open = resolve));
    const online = new OnlineFeatures(service, { store, time, timeoutMs: 20 });
    const frame = await online.get({ track: [1], user: ['u'] }, { request });
    expect([frame.status.profile[0], frame.columns.profile.length[0]]).toEqual([unavailable, -1]);
    open();
    await store.gate;
    await new Promise((resolve) => setImmediate(resolve));
    expect(frame.columns.profile.length[0]).toBe(-1);
    expect(online.stats().store).toMatchObject({ timeouts: 1, requests: 1 });
  });

  it('leave a store alone that fails, and come back to it', async () => {
    store.failing = true;
    const online = new OnlineFeatures(service, { store, time });
    const keys = { track: [1], user: ['u'] } as const;
    for (let i = 0; i < 5; i++) await online.get(keys, { request });
    expect(store.reads).toHaveLength(3);
    expect(online.stats().store).toMatchObject({ errors: 3, skipped: 2, state: 'open' });
    store.failing = false;
    await until(async () => {
      const { status } = await online.get(keys, { request });
      return status.profile[0] === found;
    }, 'recovery');
  });

  it('refuse keys and requests that are not as the service says', async () => {
    const online = new OnlineFeatures(service, { store, time });
    const keys = { track: [1], user: ['u'] };
    const bad = { code: 'ERR_LICHEN_ARGUMENT' };
    for (const wrong of [
      { user: ['u'] },
      { ...keys, artist: [1] },
      { ...keys, track: [1.5] },
      { ...keys, track: ['1'] },
      { ...keys, user: [''] },
      { ...keys, user: ['a\0b'] },
      { ...keys, user: ['\ud800'] },
      { ...keys, user: ['x'.repeat(513)] },
      { ...keys, track: [1, 2], user: ['a', 'b', 'c'] },
      { ...keys, track: 1 },
      { ...keys, track: [1, 2], user: [] },
    ]) {
      await expect(online.get(wrong as never, { request })).rejects.toMatchObject(bad);
    }
    for (const wrong of [{}, { hour: 1.5 }, { hour: '2' }, { hour: [1, 2, 3] }]) {
      await expect(online.get(keys, { request: wrong })).rejects.toMatchObject(bad);
    }
    expect(() => new OnlineFeatures(service, { store, timeoutMs: -1 })).toThrow();
    expect(
      () => new OnlineFeatures(service, { store, memory: { maxBytes: 0, freshMs: 1 } }),
    ).toThrow();
  });

  it('are those that a service has picked, whatever else the records hold', async () => {
    const some = featureService({
      name: 's',
      version: 1,
      views: [pick(profile, 'vector', 'length')],
    });
    const online = new OnlineFeatures(some, { store, time });
    const { columns, status } = await online.get({ track: [2, 9] });
    expect(Object.keys(columns.profile)).toEqual(['vector', 'length']);
    expect([...columns.profile.length, ...columns.profile.vector.data]).toEqual([
      20, -1, 2, -2, 9, 9,
    ]);
    expect([...status.profile]).toEqual([found, missing]);
    expect(some.signature).not.toBe(
      featureService({ name: 's', version: 1, views: [profile] }).signature,
    );
    // @ts-expect-error: it has no such feature.
    expect(() => pick(profile, 'none')).toThrow(/no feature "none"/);
    expect(() => pick(profile)).toThrow(/names no feature/);
  });

  it('cannot be had of a store that was closed', async () => {
    const closing = await openLmdbStore({ path: at('closed') });
    const online = new OnlineFeatures(service, { store: closing, time });
    await closing.close();
    const got = online.get({ track: [1], user: ['u'] }, { request });
    await expect(got).rejects.toMatchObject({ code: 'ERR_LICHEN_CLOSED' });
  });

  it('take no rows', async () => {
    const online = new OnlineFeatures(service, { store, time });
    const frame = await online.get({ track: [], user: ['u'] }, { request });
    expect([frame.rows, frame.columns.profile.length.length]).toEqual([0, 0]);
    const texts = featureService({ name: 's', version: 1, views: [tastes, profile] });
    const one = new OnlineFeatures(texts, { store, time });
    const other = await one.get({ user: [], track: [1] });
    expect(other.columns.profile.title).toEqual([]);
  });
});

describe('features for serving, with a tier in memory', () => {
  let clock = 0;
  const memory = { maxBytes: 1e6, freshMs: 100, staleMs: 1000 };
  const make = () =>
    new OnlineFeatures(service, { store, time, now: () => clock, memory, timeoutMs: 1000 });
  const keys = { track: [1, 9], user: ['u'] };

  it('are read once while they are fresh, also such as there are not', async () => {
    const online = make();
    const first = await online.get(keys, { request });
    const second = await online.get(keys, { request });
    expect(store.reads).toHaveLength(1);
    expect(second).toEqual(first);
    await online.get({ track: [1, 2], user: ['u'] }, { request });
    expect(store.reads[1]).toEqual({ 'profile@1': 1 });
    const { hits, views, requests, memoryBytes } = online.stats();
    expect([hits, requests]).toEqual([{ memory: 5, store: 4 }, 3]);
    expect(views.profile).toMatchObject({ memoryHits: 3, stale: 0 });
    expect(views.profile!.rows).toMatchObject({ found: 4, missing: 2 });
    expect(views.profile!.ageMs.p50).toBeGreaterThanOrEqual(100);
    expect(memoryBytes).toBeGreaterThan(0);
  });

  it('are served while they are read anew', async () => {
    const online = make();
    await online.get(keys, { request });
    store.records.set(place('profile@1', 1), profiles.encode({ length: 77 }, NOW));
    clock += 150;
    const stale = await online.get(keys, { request });
    expect(stale.columns.profile.length[0]).toBe(10);
    await until(() => store.reads.length === 2, 'the refresh');
    await until(async () => {
      const { columns } = await online.get(keys, { request });
      return columns.profile.length[0] === 77;
    }, 'the new value');
    expect(online.stats().views.profile!.stale).toBeGreaterThan(0);
  });

  it('are served stale while the store is down, and not for ever', async () => {
    const online = make();
    await online.get(keys, { request });
    store.failing = true;
    clock += 500;
    const stale = await online.get(keys, { request });
    expect([...stale.status.profile]).toEqual([found, missing]);
    clock += 1000;
    const none = await online.get(keys, { request });
    expect([...none.status.profile]).toEqual([unavailable, unavailable]);
  });

  it('are too old by their own time, whatever memory says', async () => {
    const online = make();
    await online.get(keys, { request });
    now = NOW + 901;
    const { status } = await online.get(keys, { request });
    expect(status.profile[0]).toBe(expired);
  });
});
