import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  aggregate,
  batchView,
  entity,
  feature,
  featureService,
  materialize,
  OnlineFeatures,
  openLmdbStore,
  Recommender,
  rowsSource,
  StreamWriter,
  streamView,
  type OnlineStore,
} from '../../src/index.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { AMPLE, bestOf, flatOf, randomVectors, rowsOf, vectorOf } from './helpers.js';

const DIM = 6;
const items = randomVectors(40, 5, DIM);
const USERS = ['a', 'b', 'c'];
const user = entity('user', { keys: 'string' });
const views = [
  batchView({
    ...{ name: 'taste', entity: user, ttlMs: 3_600_000 },
    features: { vector: feature.vector(DIM) },
    source: rowsSource(
      USERS.map((key) => ({ user: key, event_time: Date.now(), vector: vectorOf(key, DIM) })),
    ),
  }),
  streamView({
    ...{ name: 'heard', entity: user, ttlMs: 3_600_000 },
    event: { item: feature.f64() },
    features: { last: aggregate.last('item', 3) },
  }),
] as const;
const service = featureService({ name: 'users', version: 1, views });

/** Taste, and half of each item heard last. */
function expected(key: string, heard: readonly number[]): Float32Array {
  const taste = USERS.includes(key) ? vectorOf(key, DIM) : new Float32Array(DIM);
  return taste.map((value, d) => heard.reduce((sum, row) => sum + items[row]![d]! / 2, value));
}

describe('a tower that asks for features', () => {
  const at = temporaryFolder();
  let store: OnlineStore | undefined;
  let recommender: Recommender | undefined;
  afterEach(async () => {
    await recommender?.close();
    await store?.close();
  });

  async function start(): Promise<{ writer: StreamWriter<(typeof views)[1]>; read: object }> {
    store = await openLmdbStore({ path: at('features') });
    await materialize(views[0], store);
    const writer = await StreamWriter.open(views[1], store);
    const read = vi.spyOn(store, 'read');
    const online = new OnlineFeatures(service, { store });
    recommender = new Recommender({ slo: AMPLE, k: 5, batching: { policy: 'fixed' } });
    await recommender.deploy({
      version: 'v1',
      index: await flatOf(items),
      features: (users) => online.get({ user: users.map(({ user: key }) => String(key)) }),
      encode: (users, { features: { columns } }) => {
        const vectors = new Float32Array(users.length * DIM);
        const { data, counts, max } = columns.heard.last;
        users.forEach((_, row) => {
          for (let d = 0; d < DIM; d++) {
            let value = columns.taste.vector.data[row * DIM + d]!;
            for (let one = 0; one < counts[row]!; one++) {
              value += items[data[row * max + one]!]![d]! / 2;
            }
            vectors[row * DIM + d] = value;
          }
        });
        return vectors;
      },
    });
    return { writer, read };
  }

  const ask = async (key: string) => (await recommender!.recommend({ user: key })).items;
  const best = (key: string, heard: readonly number[]) =>
    rowsOf(bestOf(items, expected(key, heard), { k: 5 }));

  it('has those of all users of a batch by one request, as they are now', async () => {
    const { writer, read } = await start();
    expect(await Promise.all(USERS.map(ask))).toEqual(USERS.map((key) => best(key, [])));
    expect(read).toHaveBeenCalledTimes(1);
    await writer.ingest([
      { key: 'b', time: Date.now() - 2, id: 'e1', fields: { item: 7 } },
      { key: 'b', time: Date.now() - 1, id: 'e2', fields: { item: 31 } },
    ]);
    expect(await ask('b')).toEqual(best('b', [7, 31]));
    expect(await ask('a')).toEqual(best('a', []));
  });

  it('has defaults of users who are new', async () => {
    const { writer } = await start();
    await writer.ingest([{ key: 'z', time: Date.now(), id: 'e1', fields: { item: 3 } }]);
    expect(await ask('z')).toEqual(best('z', [3]));
  });
});
