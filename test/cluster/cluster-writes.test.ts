import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ClusterIndex, WriteToken } from '../../src/cluster/index.js';
import { shardOf } from '../../src/cluster/index.js';
import { readCheckpoint } from '../../src/cluster/shard-map.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { NATS_MISSING, NATS_NOTE, startNats, type NatsServer } from '../servers/nats.js';
import { ATTRIBUTES, listed, queriesOf, rowsOf } from './search-data.js';
import { SmallCluster } from './small-cluster.js';
import { codeRejected } from './thrown.js';

const DIM = 4;
const SHARDS = 3;
const INDEX = { kind: 'hnsw', keys: 'integer', dim: DIM, metric: 'l2' } as const;

/** Vectors that say which key they are of, and which version. */
function vectors(keys: readonly number[], version = 0): Float32Array {
  return Float32Array.from(keys.flatMap((key) => [key, version, 1, -1]));
}

/** Keys from one on that all fall to a shard. */
function keysIn(shard: number, count: number, from = 1): number[] {
  const keys: number[] = [];
  for (let key = from; keys.length < count; key++) {
    if (shardOf(key, SHARDS) === shard) keys.push(key);
  }
  return keys;
}

let server: NatsServer;

describe.skipIf(NATS_MISSING)(`changes of a cluster${NATS_NOTE}`, () => {
  let cluster: SmallCluster;
  let index: ClusterIndex;

  beforeAll(async () => {
    server = await startNats({ maxPayload: 64 * 1024 });
    cluster = await SmallCluster.start({
      ...{ servers: server.url, name: 'items', shards: SHARDS },
      index: { ...INDEX, attributes: ATTRIBUTES },
    });
    index = await cluster.connect();
  });
  afterAll(async () => {
    await cluster?.stop();
    await server?.stop();
  });

  // Every test begins with an index that holds nothing.
  beforeEach(async () => {
    const all = await index.searchWithin([0, 0, 0, 0], { score: 1e30, exact: true });
    if (all.keys.length > 0) await index.remove(all.keys);
  });

  /** What is there, after all changes: key and first values of its vector. */
  async function content(of: ClusterIndex = index): Promise<Record<number, number[]>> {
    const { keys } = await of.searchWithin([0, 0, 0, 0], { score: 1e30, exact: true });
    const rows = await Promise.all(
      [...keys].sort((a, b) => a - b).map(async (key) => [key, await of.get(key)] as const),
    );
    return Object.fromEntries(rows.map(([key, vector]) => [key, [...vector!.slice(0, 2)]]));
  }

  /** How many changes the streams have got. */
  async function stored(): Promise<number[]> {
    await cluster.settled();
    const { shards } = await index.stats();
    return shards.map(({ replicas }) => Math.max(...replicas.map(({ sequence }) => sequence)));
  }

  it('add what is not there, update what is, upsert either, remove', async () => {
    const token = await index.add(vectors([1, 2, 3, 4]), { keys: [1, 2, 3, 4] });
    expect(token.epoch).toBe(1);
    expect(token.sequences).toHaveLength(SHARDS);
    await index.update(vectors([2, 3], 1), { keys: [2, 3] });
    await index.upsert(vectors([3, 5], 2), { keys: Float64Array.of(3, 5) });
    await index.remove([1]);
    expect(await content()).toEqual({ 2: [2, 1], 3: [3, 2], 4: [4, 0], 5: [5, 2] });
    await cluster.settled();
    await index.stats();
    expect(index.size).toBe(4);
  });

  it('set attributes of what is there, and keep those that an update does not name', async () => {
    const attributes = { year: [1, 2], genre: ['jazz', null], tags: [['a', 'b'], null] };
    await index.add(vectors([1, 2]), { keys: [1, 2], attributes });
    await index.setAttributes([2, 1], { genre: ['rock', null] });
    await index.update(vectors([1], 3), { keys: [1], attributes: { year: [null] } });
    expect(await index.attributesOf([1, 2])).toEqual({
      year: Float64Array.of(NaN, 2),
      genre: [null, 'rock'],
      tags: [['a', 'b'], []],
    });
    const where = { genre: 'rock' };
    expect([...(await index.search([0, 0, 0, 0], { where })).keys]).toEqual([2]);
  });

  it('take vectors in any of the forms that an index takes', async () => {
    await index.add([[1, 0, 0, 0]], { keys: [1] });
    await index.add({ data: vectors([2]), rows: 1, dim: DIM }, { keys: Int32Array.of(2) });
    await index.add([Float64Array.of(3, 0, 0, 0)], { keys: [3] });
    expect(Object.keys(await content())).toEqual(['1', '2', '3']);
  });

  it('are copied at once: the caller may do with his arrays what he likes', async () => {
    const [data, keys] = [vectors([1, 2]), Float64Array.of(1, 2)];
    const attributes = { year: Float64Array.of(7, 8), tags: [['a'], ['b']] };
    const adding = index.add(data, { keys, attributes });
    data.fill(9);
    keys.fill(9);
    attributes.year.fill(9);
    attributes.tags[0]!.push('z');
    await adding;
    expect(await content()).toEqual({ 1: [1, 0], 2: [2, 0] });
    const told = await index.attributesOf([1, 2]);
    expect(told).toMatchObject({ year: Float64Array.of(7, 8), tags: [['a'], ['b']] });
  });

  it('that take many messages are what one index does', async () => {
    const rows = rowsOf(5000, DIM, (at) => at);
    using local = new HnswIndex({ dim: DIM, metric: 'l2', attributes: ATTRIBUTES });
    await local.add(rows.vectors, { keys: rows.keys, attributes: rows.attributes });
    await index.add(rows.vectors, { keys: rows.keys, attributes: rows.attributes });
    const queries = queriesOf(20, DIM);
    const options = { k: 20, exact: true, where: { year: { gte: 1980 } } };
    const [found, own] = [
      await index.searchBatch(queries, options),
      await local.searchBatch(queries, options),
    ];
    expect([found.keys, found.scores]).toEqual([own.keys, own.scores]);
    await index.remove(rows.keys);
    await cluster.settled();
    await index.stats();
    expect(index.size).toBe(0);
  });

  type Call = (to: ClusterIndex) => Promise<unknown>;
  const of = (keys: readonly number[]) => ({ keys: [...keys] });
  const BAD: readonly (readonly [string, string, Call])[] = [
    ['DIMENSION', 'a vector that is too short', (to) => to.add([[1, 2]], of([7]))],
    ['DIMENSION', 'values that are no whole rows', (to) => to.upsert(new Float32Array(5), of([7]))],
    ['NOT_FINITE', 'NaN', (to) => to.upsert([[1, NaN, 0, 0]], of([7]))],
    ['NOT_FINITE', 'a number that is too large', (to) => to.add([[1, 1e39, 0, 0]], of([7]))],
    ['NOT_FINITE', 'a text as a value', (to) => to.add([['1' as never, 0, 0, 0]], of([7]))],
    ['EMPTY', 'no vectors', (to) => to.add(new Float32Array(), of([]))],
    ['EMPTY', 'no keys', (to) => to.remove([])],
    ['EMPTY', 'attributes of nothing', (to) => to.setAttributes([], { year: [] })],
    ['ARGUMENT', 'no keys for vectors', (to) => to.add(vectors([7]), {} as never)],
    ['ARGUMENT', 'no options', (to) => to.upsert(vectors([7]), undefined as never)],
    ['ARGUMENT', 'another number of keys', (to) => to.add(vectors([7]), of([7, 8]))],
    ['ARGUMENT', 'keys of another kind', (to) => to.upsert(vectors([7]), { keys: ['7'] as never })],
    ['ARGUMENT', 'keys of another kind', (to) => to.remove(['1'] as never)],
    ['ARGUMENT', 'keys of both kinds', (to) => to.remove([1, '1'] as never)],
    ['ARGUMENT', 'keys that are no integers', (to) => to.remove([0.5])],
    ['ARGUMENT', 'one key for all', (to) => to.remove(7 as never)],
    [
      'ARGUMENT',
      'an option of an index alone',
      (to) => to.add(vectors([7]), { keys: [7], threads: 1 } as never),
    ],
    ['ARGUMENT', 'an unknown option', (to) => to.remove([1], { force: true } as never)],
    ['ARGUMENT', 'options that are a list', (to) => to.remove([1], [] as never)],
    ['ARGUMENT', 'an unknown attribute', (to) => to.setAttributes([1], { age: [1] })],
    ['ARGUMENT', 'an attribute of another kind', (to) => to.setAttributes([1], { year: ['x'] })],
    ['ARGUMENT', 'too few attributes', (to) => to.setAttributes([1], { year: [] })],
    ['ARGUMENT', 'no attributes', (to) => to.setAttributes([1], null as never)],
    ['ARGUMENT', 'a deadline that is none', (to) => to.remove([1], { deadline: 0 })],
    [
      'ARGUMENT',
      'a deadline beyond what NATS keeps ids for',
      (to) => to.remove([1], { deadline: 60_001 }),
    ],
    ['ARGUMENT', 'another way to confirm', (to) => to.remove([1], { confirm: 'seen' as never })],
    ...['', 'a b', 'é', 'a\n', 'a'.repeat(129), 7].map((idempotencyKey): [string, string, Call] => [
      ...(['ARGUMENT', 'an idempotency key that is none'] as const),
      (to) => to.remove([1], { idempotencyKey: idempotencyKey as string }),
    ]),
    ['DUPLICATE_KEY', 'the same key twice', (to) => to.upsert(vectors([7, 7]), of([7, 7]))],
    ['DUPLICATE_KEY', 'the same key twice', (to) => to.remove([1, 1])],
    ['DUPLICATE_KEY', 'the same key twice, as -0', (to) => to.upsert(vectors([0, 0]), of([0, -0]))],
    [
      'ABORTED',
      'a signal that has fired',
      (to) => to.upsert(vectors([7]), { keys: [7], signal: AbortSignal.abort() }),
    ],
  ];

  it('with what is wrong are refused before anything is stored', async () => {
    await index.add(vectors([1, 2]), { keys: [1, 2], attributes: { year: [1, 2] } });
    const [before, told] = [await stored(), await index.attributesOf([1, 2])];
    for (const [code, what, call] of BAD) {
      expect(await codeRejected(call(index)), what).toBe(`ERR_LICHEN_${code}`);
    }
    expect(await stored()).toEqual(before);
    expect(await content()).toEqual({ 1: [1, 0], 2: [2, 0] });
    expect(await index.attributesOf([1, 2])).toEqual(told);
  });

  it('that the index refuses are not done, by the shard of the key that is wrong', async () => {
    const [own, others] = [keysIn(0, 3), keysIn(1, 2)];
    await index.add(vectors([own[0]!]), { keys: [own[0]!] });
    const before = await content();
    const duplicate = index.add(vectors([own[1]!, own[0]!], 1), { keys: [own[1]!, own[0]!] });
    expect(await codeRejected(duplicate)).toBe('ERR_LICHEN_DUPLICATE_KEY');
    for (const call of [
      () => index.update(vectors([own[0]!, own[1]!], 1), { keys: own.slice(0, 2) }),
      () => index.remove([own[0]!, own[2]!]),
      () => index.setAttributes([own[0]!, own[2]!], { year: [1, 2] }),
    ]) {
      expect(await codeRejected(call())).toBe('ERR_LICHEN_UNKNOWN_KEY');
    }
    expect(await content()).toEqual(before);
    // Of several shards each does or refuses its own part.
    const mixed = index.add(vectors([own[0]!, ...others], 1), { keys: [own[0]!, ...others] });
    expect(await codeRejected(mixed)).toBe('ERR_LICHEN_DUPLICATE_KEY');
    expect(
      Object.keys(await content())
        .map(Number)
        .sort((a, b) => a - b),
    ).toEqual([own[0]!, ...others].sort((a, b) => a - b));
  });

  it('with the same idempotency key are done once, and tell what became of the first', async () => {
    const options = { keys: [1, 2, 3, 4], idempotencyKey: 'import/7' };
    await index.add(vectors([1, 2, 3, 4]), options);
    const other = await cluster.connect();
    // A second add of the same keys would be refused.
    await other.add(vectors([1, 2, 3, 4]), options);
    await index.remove([3], { idempotencyKey: 'removal' });
    await index.remove([3], { idempotencyKey: 'removal' });
    const refused = () => index.remove([77], { idempotencyKey: 'refused' });
    expect(await codeRejected(refused())).toBe('ERR_LICHEN_UNKNOWN_KEY');
    expect(await codeRejected(refused())).toBe('ERR_LICHEN_UNKNOWN_KEY');
    expect(Object.keys(await content())).toEqual(['1', '2', '4']);
    // With another key it is another change.
    const again = other.add(vectors([1]), { keys: [1], idempotencyKey: 'import/8' });
    expect(await codeRejected(again)).toBe('ERR_LICHEN_DUPLICATE_KEY');
  });

  it('that are large and tried again are done once, all parts of them', async () => {
    const keys = Array.from({ length: 4000 }, (_, at) => at);
    await cluster.settled();
    const then = cluster.nodes.map((node) => ({ ...node.statistics().epochs[0]!.changes }));
    const options = { keys, idempotencyKey: 'large' };
    const [one, other] = [await cluster.connect(), await cluster.connect()];
    await Promise.all([index, one, other].map((client) => client.add(vectors(keys), options)));
    await index.stats();
    expect(index.size).toBe(keys.length);
    // Of three that came two are copies, of every part.
    await cluster.settled();
    for (const [nth, node] of cluster.nodes.entries()) {
      const { duplicates, rejected } = node.statistics().epochs[0]!.changes;
      const copies = duplicates - then[nth]!.duplicates;
      expect(copies).toBeGreaterThan(0);
      expect(copies % 2).toBe(0);
      expect(rejected).toBe(then[nth]!.rejected);
    }
  });

  it('are found by the next search of the same client, always', async () => {
    const options = { exact: true, k: 1 };
    for (let round = 0; round < 200; round++) {
      const query = vectors([1000 + round], round);
      await index.upsert(query, { keys: [round % 50] });
      const { keys, scores } = await index.search(query, options);
      expect([keys[0], scores[0]]).toEqual([round % 50, 0]);
      if (round % 10 === 0) expect(await index.get(round % 50)).toEqual(query);
    }
  });

  it('are found by another client that is given the token, always', async () => {
    const other = await cluster.connect({ consistency: 'none' });
    for (let round = 0; round < 200; round++) {
      const query = vectors([1000 + round], round);
      const after = await index.upsert(query, { keys: [round % 50] });
      const found = await other.search(query, { exact: true, k: 1, after });
      expect([found.keys[0], found.scores[0]]).toEqual([round % 50, 0]);
      const batch = await other.searchBatch(query, { exact: true, k: 1, after: index.token });
      expect(batch.keys[0]).toBe(round % 50);
    }
    const after = await index.remove([7]);
    const all = await other.searchWithin([0, 0, 0, 0], { score: 1e30, exact: true, after });
    expect([...all.keys]).not.toContain(7);
  });

  it('of many at a time all are there in the end, on every replica', async () => {
    const clients = [index, await cluster.connect(), await cluster.connect()];
    const keys = Array.from({ length: 300 }, (_, at) => at);
    await Promise.all(
      keys.map((key) => clients[key % 3]!.upsert(vectors([key], 5), { keys: [key] })),
    );
    await cluster.settled();
    const expected = Object.fromEntries(keys.map((key) => [key, [key, 5]]));
    for (const client of clients) {
      const after = index.token;
      const { keys: found } = await client.searchWithin([0, 0, 0, 0], {
        ...{ score: 1e30, exact: true, after },
      });
      expect([...found].sort((a, b) => a - b)).toEqual(keys);
    }
    expect(await content()).toEqual(expected);
  });

  it('do not disturb searches for as many as there are, or for groups of them', async () => {
    const keys = Array.from({ length: 60 }, (_, at) => at);
    const attributes = { genre: keys.map((key) => `genre ${key % 7}`) };
    const other = await cluster.connect({ consistency: 'none' });
    let isOver = false;
    const search = async (options: object): Promise<void> => {
      while (!isOver) await other.searchBatch(vectors(keys), { exact: true, ...options });
    };
    const searches = Promise.all([
      ...[{ k: 1000 }, { k: 20 }, { k: 1000, groupBy: 'genre', groupSize: 3 }].map(search),
      search({ k: 30, filter: other.filter(keys) }),
    ]);
    // A failure is told at the end.
    searches.catch(() => undefined);
    for (let round = 0; round < 30; round++) {
      await index.upsert(vectors(keys), { keys, attributes });
      await index.remove(keys.filter((key) => (key + round) % 2 === 0));
    }
    isOver = true;
    await searches;
  });

  it('are in a checkpoint that is asked for after them, also while one is being made', async () => {
    for (let round = 0; round < 8; round++) {
      await index.upsert(vectors([1, 2, 3]), { keys: [1, 2, 3] });
      const first = index.checkpoint();
      const { sequences } = await index.upsert(vectors([1, 2, 3], round), { keys: [1, 2, 3] });
      await Promise.all([first, index.checkpoint()]);
      await using inside = await cluster.inside();
      const bucket = await inside.cluster.bucket();
      for (const [shard, sequence] of sequences.entries()) {
        const stored = await readCheckpoint(bucket, 1, shard);
        expect(stored!.checkpoint.sequence).toBeGreaterThanOrEqual(sequence);
      }
    }
  });

  it('in vain are tokens of another kind', async () => {
    for (const after of [null, 1, {}, { epoch: 1 }, { epoch: 1, sequences: [-1, 0, 0] }, []]) {
      const search = index.search([0, 0, 0, 0], { after: after as unknown as WriteToken });
      expect(await codeRejected(search)).toBe('ERR_LICHEN_ARGUMENT');
    }
    // Those of another epoch say nothing.
    const after = { epoch: 9, sequences: [1e9, 1e9, 1e9] };
    await index.search([0, 0, 0, 0], { after });
    expect(listed(await index.search([0, 0, 0, 0], { after }))).toEqual({ keys: [], scores: [] });
  });
});
