import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ClusterIndex } from '../../src/cluster/index.js';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import type { Key, SearchOptions } from '../../src/index/types.js';
import { METRICS, type Metric } from '../../src/vectors/metric.js';
import { NATS_MISSING, NATS_NOTE, startNats, type NatsServer } from '../servers/nats.js';
import { ATTRIBUTES, listed, queriesOf, rowsOf, type Rows } from './search-data.js';
import { SmallCluster } from './small-cluster.js';
import { codeRejected } from './thrown.js';

const DIM = 8;
const COUNT = 600;
/** Small, so that batches take several messages, and some answers are too long for one. */
const MOST_BYTES = 64 * 1024;

const LONG = 'k'.repeat(120);
const KINDS: readonly (readonly [Metric, 'integer' | 'string', (at: number) => Key])[] = [
  ...METRICS.map((metric) => [metric, 'integer', (at: number): Key => at * 3 - 100] as const),
  ['l2', 'string', (at) => `${at}-${LONG}`],
];

let server: NatsServer;

describe.skipIf(NATS_MISSING)(`searches of a cluster${NATS_NOTE}`, () => {
  beforeAll(async () => {
    server = await startNats({ maxPayload: MOST_BYTES });
  });
  afterAll(() => server?.stop());

  describe.each(KINDS)('by %s, with keys that are %ss, find what one index finds', (...kind) => {
    const [metric, keys, keyOf] = kind;
    const rows: Rows<Key> = rowsOf(COUNT, DIM, keyOf);
    const local = new HnswIndex<Key>({ dim: DIM, metric, attributes: ATTRIBUTES });
    const flat = new FlatIndex<Key>({ dim: DIM, metric, attributes: ATTRIBUTES });
    let cluster: SmallCluster;
    let index: ClusterIndex<Key>;

    beforeAll(async () => {
      cluster = await SmallCluster.start({
        ...{ servers: server.url, name: `${metric}-${keys}` },
        index: { kind: 'hnsw', keys, dim: DIM, metric, attributes: ATTRIBUTES },
      });
      index = await cluster.connect<Key>();
      const given = { keys: rows.keys as unknown as string[], attributes: rows.attributes };
      await index.add(rows.vectors, given);
      for (const one of [local, flat]) await one.add(rows.vectors, given);
    });
    afterAll(async () => {
      await cluster?.stop();
      for (const one of [local, flat]) one.close();
    });

    const queries = queriesOf(8, DIM);
    const query = (nth: number): Float32Array => queries.subarray(nth * DIM, (nth + 1) * DIM);
    const some = rows.keys.filter((_, at) => at % 5 === 0) as unknown as string[];
    const strangers = (keys === 'integer' ? [9e9, 9e10] : ['x', 'y']) as unknown as string[];

    const OPTIONS: readonly SearchOptions[] = [
      ...[{}, { k: 1 }, { k: 100 }, { k: COUNT }, { ef: 300, exact: true }],
      ...[{ where: { year: { gte: 1990, lt: 2005 } } }, { where: { genre: ['jazz', 'blues'] } }],
      ...[{ where: { tags: { all: ['live', '日本'] } } }, { where: { not: { genre: 'rock' } } }],
      // What is infinite has no place in JSON.
      ...[{ where: { year: Infinity } }, { where: { year: { lt: Infinity, gt: -Infinity } } }],
      ...[{ where: { or: [{ year: { lte: -Infinity } }, { genre: 'naïve' }] } }],
      ...[{ where: { year: { exists: false } } }, { where: { genre: 'none such' } }],
      ...[{ exclude: some }, { exclude: strangers }, { exclude: [...some, ...strangers] }],
      ...[{ groupBy: 'genre' }, { groupBy: 'genre', groupSize: 3, k: 40 }],
      ...[
        { groupBy: 'year', k: 100 },
        { groupBy: 'year', groupSize: 2, k: 200 },
      ],
      { groupBy: 'genre', groupSize: 2, exclude: some, where: { year: { gte: 1980 } } },
    ];

    it.each(OPTIONS)('with options (%#)', async (options) => {
      for (let nth = 0; nth < 2; nth++) {
        const wanted = { exact: true, ...options };
        const found = await index.search(query(nth), wanted as object);
        expect(found.missing).toEqual([]);
        expect(listed(found)).toEqual(listed(await local.search(query(nth), wanted)));
        expect(listed(found)).toEqual(listed(await flat.search(query(nth), wanted)));
      }
    });

    it('with a filter, in which keys that are not there do no harm', async () => {
      const filter = index.filter([...some, ...strangers]);
      expect(filter.count).toBe(some.length + strangers.length);
      const own = { filter: local.filter(some), exact: true };
      for (const options of [{}, { where: { genre: 'jazz' } }, { k: 3, exclude: some.slice(9) }]) {
        const found = await index.search(query(0), { filter, exact: true, ...options });
        expect(listed(found)).toEqual(listed(await local.search(query(0), { ...own, ...options })));
      }
      expect(listed(await index.search(query(0), { filter: index.filter([]) })).keys).toEqual([]);
    });

    it('within a score', async () => {
      const { scores } = await local.search(query(1), { k: 100, exact: true });
      const options = { exact: true, where: { genre: ['jazz', 'rock'] }, exclude: some };
      for (const score of [scores[0]!, scores[50]!, metric === 'l2' ? 0 : 1e6]) {
        const found = await index.searchWithin(query(1), { score, exact: true });
        const there = await local.searchWithin(query(1), { score, exact: true });
        expect(listed(found)).toEqual(listed(there));
        const narrow = await index.searchWithin(query(1), { score, ...options });
        const own = await local.searchWithin(query(1), { score, ...options });
        expect(listed(narrow)).toEqual(listed(own));
      }
      const filter = index.filter(some.slice(0, 7));
      const all = { score: metric === 'l2' ? 1e6 : -1e6, exact: true, filter };
      expect((await index.searchWithin(query(1), all)).keys).toHaveLength(7);
    });

    it('in batches that take several messages, and whose answers do', async () => {
      const many = queriesOf(1000, DIM, 3);
      for (const k of [1, 10, 40]) {
        const found = await index.searchBatch(many, { k, exact: true });
        const own = await local.searchBatch(many, { k, exact: true });
        expect({ rows: found.rows, k: found.k, missing: found.missing }).toEqual({
          ...{ rows: 1000, k, missing: [] },
        });
        expect(found.counts).toEqual(own.counts);
        expect(found.keys).toEqual(own.keys);
        expect(found.scores).toEqual(own.scores);
      }
    });

    it('in batches with lists of their own, groups, filters and fewer results than places', async () => {
      const exclude = Array.from({ length: 8 }, (_, nth) => some.slice(nth * 10));
      const filter = index.filter(some);
      const bits = local.filter(some);
      for (const options of [
        ...[{ exclude }, { groupBy: 'genre', groupSize: 2, k: 30 }, { k: COUNT, exclude }],
        ...[{ where: { genre: 'none such' } }, { where: { year: Infinity }, k: 90 }],
      ]) {
        const found = await index.searchBatch(queries, { exact: true, ...options });
        const own = await local.searchBatch(queries, { exact: true, ...options });
        expect([found.counts, found.keys, found.scores]).toEqual([
          own.counts,
          own.keys,
          own.scores,
        ]);
      }
      const found = await index.searchBatch(queries, { exact: true, filter, exclude, k: 200 });
      const own = await local.searchBatch(queries, { exact: true, filter: bits, exclude, k: 200 });
      expect([found.counts, found.keys, found.scores]).toEqual([own.counts, own.keys, own.scores]);
    });

    it('in batches whose lists of keys alone are too long for a message', async () => {
      const exclude = Array.from({ length: 200 }, () => some);
      const many = queriesOf(200, DIM, 5);
      const found = await index.searchBatch(many, { exact: true, k: 3, exclude });
      const own = await local.searchBatch(many, { exact: true, k: 3, exclude });
      expect([found.counts, found.keys]).toEqual([own.counts, own.keys]);
    });

    it('all of them, for more than there are', async () => {
      const found = await index.search(query(2), { k: 10 * COUNT, exact: true });
      expect(listed(found)).toEqual(
        listed(await local.search(query(2), { k: COUNT, exact: true })),
      );
    });

    it('nearly all of them without exactness', async () => {
      const found = await index.searchBatch(queries, { k: 10, ef: 200 });
      const own = await local.searchBatch(queries, { k: 10, exact: true });
      const truth = new Set(
        [...(own.keys as string[])].map((key, at) => `${(at / 10) | 0} ${key}`),
      );
      const hits = [...(found.keys as string[])].filter((key, at) =>
        truth.has(`${(at / 10) | 0} ${key}`),
      );
      expect(hits.length).toBeGreaterThan(72);
    });

    it('and give vectors and attributes of keys', async () => {
      const key = rows.keys[7]!;
      expect(await index.get(key)).toEqual(local.get(key));
      expect(await index.has(key)).toBe(true);
      for (const stranger of [strangers[0], NaN, 0.5, ''] as Key[]) {
        expect(await index.has(stranger)).toBe(false);
        expect(await index.get(stranger)).toBeUndefined();
      }
      const several = rows.keys.slice(0, 90) as unknown as string[];
      const [told, own] = [await index.attributesOf(several), local.attributesOf(several)];
      // Tags are sets, in whatever order.
      const sorted = (tags: unknown) => (tags as string[][]).map((set) => [...set].sort());
      expect({ ...told, tags: sorted(told['tags']) }).toEqual({
        ...{ ...own, tags: sorted(own['tags']) },
      });
      const unknown = index.attributesOf([...several, ...strangers]);
      expect(await codeRejected(unknown)).toBe('ERR_LICHEN_UNKNOWN_KEY');
    });
  });
});
