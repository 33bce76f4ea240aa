import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ClusterIndex } from '../../src/cluster/index.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { NATS_MISSING, NATS_NOTE, startNats, type NatsServer } from '../servers/nats.js';
import { ATTRIBUTES, queriesOf, rowsOf } from './search-data.js';
import { SmallCluster } from './small-cluster.js';
import { codeRejected } from './thrown.js';

const DIM = 4;

let server: NatsServer;

describe.skipIf(NATS_MISSING)(`replicas that begin again${NATS_NOTE}`, () => {
  const rows = rowsOf(200, DIM, (at) => at);
  let cluster: SmallCluster;
  let index: ClusterIndex;

  beforeAll(async () => {
    server = await startNats();
    cluster = await SmallCluster.start({
      ...{ servers: server.url, name: 'items', shards: 2 },
      index: { kind: 'hnsw', keys: 'integer', dim: DIM, metric: 'dot', attributes: ATTRIBUTES },
    });
    index = await cluster.connect();
  });
  afterAll(async () => {
    await cluster?.stop();
    await server?.stop();
  });

  it('have what they had, and what came meanwhile', async () => {
    using local = new HnswIndex({ dim: DIM, metric: 'dot', attributes: ATTRIBUTES });
    const { keys, vectors, attributes } = rows;
    await index.add(vectors, { keys, attributes });
    await local.add(vectors, { keys, attributes });
    await cluster.settled();
    await Promise.all(cluster.nodes.map((node) => node.close()));
    const changed = queriesOf(2, DIM);
    await index.upsert(changed, { keys: [3, 4] });
    await local.upsert(changed, { keys: [3, 4] });
    await cluster.restart();
    await cluster.settled();
    const queries = queriesOf(20, DIM, 1);
    const options = { k: 10, exact: true, where: { genre: ['jazz', 'rock'] } };
    const [found, own] = [
      await index.searchBatch(queries, { ...options, partial: 'refuse' }),
      await local.searchBatch(queries, options),
    ];
    expect([found.keys, found.scores]).toEqual([own.keys, own.scores]);
  });

  it('know which changes were done before, and what became of them', async () => {
    const again = { keys: [1000], idempotencyKey: 'before' };
    const vector = new Float32Array(DIM);
    await index.add(vector, again);
    const refused = () => index.remove([999_999], { idempotencyKey: 'refused', deadline: 5000 });
    expect(await codeRejected(refused())).toBe('ERR_LICHEN_UNKNOWN_KEY');
    await cluster.settled();
    await cluster.restart();
    // It would be refused if it were done again.
    await index.add(vector, { ...again, deadline: 5000 });
    expect(await codeRejected(refused())).toBe('ERR_LICHEN_UNKNOWN_KEY');
  });
});
