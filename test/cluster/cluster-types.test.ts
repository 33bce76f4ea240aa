import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from 'vitest';
import type { ClusterIndex, ClusterSearchResult } from '../../src/cluster/index.js';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import type { SearchBatchResult, SearchResult } from '../../src/index/types.js';
import { NATS_MISSING, NATS_NOTE, startNats, type NatsServer } from '../servers/nats.js';
import { listed } from './search-data.js';
import { SmallCluster } from './small-cluster.js';

/** What code that does not care where its vectors are is written against. */
interface AnyIndex {
  readonly dim: number;
  readonly size: number;
  search(
    query: Float32Array,
    options?: { k?: number; ef?: number; exact?: boolean; signal?: AbortSignal },
  ): Promise<SearchResult<number>>;
  searchBatch(
    queries: Float32Array,
    options?: { k?: number; exact?: boolean },
  ): Promise<SearchBatchResult<number>>;
  searchWithin(
    query: Float32Array,
    options: { score: number; exact?: boolean },
  ): Promise<SearchResult<number>>;
  add(vectors: Float32Array, options: { keys: ArrayLike<number> }): Promise<unknown>;
  update(vectors: Float32Array, options: { keys: ArrayLike<number> }): Promise<unknown>;
  upsert(vectors: Float32Array, options: { keys: ArrayLike<number> }): Promise<unknown>;
  remove(keys: ArrayLike<number>): Promise<unknown>;
}

/** The same for keys that are texts. */
interface AnyTextIndex {
  search(query: Float32Array, options?: { k?: number }): Promise<SearchResult<string>>;
  upsert(vectors: Float32Array, options: { keys: readonly string[] }): Promise<unknown>;
  remove(keys: readonly string[]): Promise<unknown>;
}

async function use(index: AnyIndex) {
  const query = Float32Array.of(1, 0);
  await index.add(Float32Array.of(1, 0, 0, 1, 2, 2), { keys: [10, 20, 30] });
  await index.update(Float32Array.of(0, 5), { keys: [20] });
  await index.upsert(Float32Array.of(3, 3, 4, 4), { keys: Int32Array.of(30, 40) });
  await index.remove([10]);
  const options = { k: 2, exact: true };
  const batch = await index.searchBatch(Float32Array.of(1, 0, 0, 1), options);
  return {
    dim: index.dim,
    found: listed(await index.search(query, options)),
    batch: { keys: batch.keys, scores: batch.scores, counts: batch.counts },
    within: listed(await index.searchWithin(query, { score: 20, exact: true })),
  };
}

describe('the types of an index and of a cluster', () => {
  it('go with the same code', () => {
    expectTypeOf<HnswIndex>().toExtend<AnyIndex>();
    expectTypeOf<FlatIndex>().toExtend<AnyIndex>();
    expectTypeOf<ClusterIndex>().toExtend<AnyIndex>();
    expectTypeOf<HnswIndex<string>>().toExtend<AnyTextIndex>();
    expectTypeOf<ClusterIndex<string>>().toExtend<AnyTextIndex>();
    expectTypeOf<ClusterSearchResult<number>>().toExtend<SearchResult<number>>();
    expectTypeOf<ClusterSearchResult<string>['keys']>().toEqualTypeOf<string[]>();
  });

  it('tell keys that must be given, and options that there are not', () => {
    const index = {} as ClusterIndex;
    // @ts-expect-error keys must be given
    void (() => index.add(new Float32Array(2), {}));
    // @ts-expect-error of integers
    void (() => index.remove(['a']));
    // @ts-expect-error bits of rows mean nothing beyond one machine
    void (() => index.search([1, 2], { filter: new Uint8Array(1) }));
    // @ts-expect-error nor do arrays for results
    void (() => index.search([1, 2], { into: undefined as never as object }));
    expect(index).toBeDefined();
  });
});

describe.skipIf(NATS_MISSING)(`code for an index${NATS_NOTE}`, () => {
  let server: NatsServer;
  let cluster: SmallCluster;

  beforeAll(async () => {
    server = await startNats();
    cluster = await SmallCluster.start({
      ...{ servers: server.url, name: 'items', replicas: 1 },
      index: { kind: 'hnsw', keys: 'integer', dim: 2, metric: 'l2' },
    });
  });
  afterAll(async () => {
    await cluster?.stop();
    await server?.stop();
  });

  it('finds the same in a cluster', async () => {
    using local = new HnswIndex({ dim: 2, metric: 'l2' });
    using flat = new FlatIndex({ dim: 2, metric: 'l2' });
    const found = await use(local);
    expect(await use(flat)).toEqual(found);
    expect(await use(await cluster.connect())).toEqual(found);
  });
});
