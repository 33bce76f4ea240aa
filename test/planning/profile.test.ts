import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { HnswIndex } from '../../src/index/hnsw.js';
import { openIndex } from '../../src/index/open.js';
import { inspectSnapshot } from '../../src/index/snapshot.js';
import type { Key } from '../../src/index/types.js';
import { fanOut } from '../../src/planning/fan-out.js';
import { indexFootprint, modelFootprint, predictBytes } from '../../src/planning/footprint.js';
import { measureCost } from '../../src/planning/measure.js';
import { profileInfrastructure } from '../../src/planning/profile.js';
import { serializationCosts } from '../../src/planning/serialization.js';
import { makeTrace } from '../../src/planning/trace.js';
import { TwoTowerModel } from '../../src/towers/two-tower-model.js';
import { madeVectors } from '../../src/vectors/made.js';
import { Random } from '../../src/vectors/random.js';
import { twoGroups } from '../towers/planted.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const at = temporaryFolder();

async function saved(name: string, rows: number, storage: 'f32' | 'i8' | 'i4', finer?: 'f16') {
  // As large as any with such an m, and quickly built.
  const quickly = { m: 8, efConstruction: 20 };
  const index = new HnswIndex({ dim: 64, metric: 'dot', storage, rerank: finer, ...quickly });
  await index.add(madeVectors(rows, 64, 4));
  await index.save(at(name));
  return index;
}

describe('the footprint of an index', () => {
  it.each([
    ['f32', undefined],
    ['i8', 'f16'],
    ['i4', undefined],
  ] as const)(
    'of %s and %s tells how the process grows with one ten times as large, within 5%%',
    async (storage, finer) => {
      (await saved('small.lichen', 10_000, storage, finer)).close();
      // One that was opened, without room to grow.
      using small = await openIndex<Key>(at('small.lichen'));
      const footprint = indexFootprint(small, await inspectSnapshot(at('small.lichen')));
      // Beside the parts there is only what huge pages round up.
      const parts = footprint.parts.reduce((sum, { bytes }) => sum + bytes, 0);
      expect(parts).toBeLessThanOrEqual(footprint.bytes);
      expect(footprint.bytes - parts).toBeLessThan(2 * 2 ** 20 * footprint.parts.length);
      expect(predictBytes(footprint, footprint.rows)).toBe(footprint.bytes);
      const predicted = predictBytes(footprint, 100_000);
      (await saved('large.lichen', 100_000, storage, finer)).close();
      const child = join(__dirname, 'footprint-child.ts');
      const args = ['--expose-gc', '--import', 'tsx', child, at('large.lichen')];
      const { grown, rows } = JSON.parse(
        execFileSync(process.execPath, args, { encoding: 'utf8' }),
      ) as { grown: number; rows: number };
      expect(rows).toBe(100_000);
      expect(predicted / grown).toBeGreaterThan(0.95);
      expect(predicted / grown).toBeLessThan(1.05);
    },
  );

  it('names every part of the file', async () => {
    const index = new HnswIndex<string>({
      ...{ dim: 8, metric: 'cosine', storage: 'pq', rerank: 'i8' },
      attributes: { price: 'number' },
    });
    const vectors = madeVectors(300, 8, 1);
    const keys = Array.from({ length: 300 }, (_, row) => `item-${row}`);
    await index.add(vectors, { keys, attributes: { price: new Float64Array(300) } });
    await index.save(at('parts.lichen'));
    const { parts } = indexFootprint(index, await inspectSnapshot(at('parts.lichen')));
    expect(parts.filter(({ what }) => what === 'other')).toEqual([]);
    index.close();
  });

  it('of a model counts each array once', async () => {
    const met = twoGroups(40, 30, 6);
    const model = await TwoTowerModel.train(met, { dim: 8, epochs: 1, negatives: 10 });
    const { bytes, parts, bytesPerUser } = modelFootprint(model);
    const arrays = [
      ...[model.userVectors.data, model.itemVectors.data],
      ...[model.weights.table.data, model.weights.itemSums.data],
    ];
    const buffers = new Map(arrays.map((array) => [array.buffer, array.byteLength]));
    expect(bytes).toBe([...buffers.values()].reduce((sum, one) => sum + one, 0));
    expect(parts.length).toBe(buffers.size);
    expect(bytesPerUser).toBe(32);
  });
});

describe('serializationCosts', () => {
  it('has the bytes that are really sent', async () => {
    const vector = madeVectors(1, 32, 3).data;
    const keys = [5, 17, 123_456];
    const scores = [0.9, 0.8, 0.7];
    const costs = await serializationCosts(
      { user: 42, vector, keys, scores },
      { batches: 1, batchMs: 1 },
    );
    const of = (what: string, format: string) =>
      costs.find((one) => one.what === what && one.format === format)!;
    expect(of('request by user', 'json').bytes).toBe(JSON.stringify({ user: 42, k: 3 }).length);
    expect(of('request by vector', 'binary').bytes).toBe(32 * 4);
    expect(of('user vector', 'binary').bytes).toBe(32 * 4);
    expect(of('user vector', 'json').bytes).toBe(JSON.stringify(Array.from(vector)).length);
    expect(of('response', 'binary').bytes).toBe(8 + 3 * (8 + 4));
    expect(of('response', 'json').bytes).toBeGreaterThan(of('response', 'binary').bytes);
    for (const { encode, decode } of costs) {
      expect(encode.us.median).toBeGreaterThan(0);
      expect(decode.us.median).toBeGreaterThan(0);
    }
    const texts = await serializationCosts(
      { user: 'u', vector, keys: ['a', 'b'], scores: [1, 2] },
      { batches: 1, batchMs: 1 },
    );
    expect(texts.some(({ what, format }) => what === 'response' && format === 'binary')).toBe(
      false,
    );
  });
});

describe('measureCost', () => {
  it('tells elapsed time and that of processors', async () => {
    // By the processor's time, whatever else the machine does.
    const spin = (micros: number) => {
      const before = process.cpuUsage();
      for (;;) {
        const { user, system } = process.cpuUsage(before);
        if (user + system >= micros) return;
      }
    };
    const { us, cpuUs } = await measureCost(() => spin(2000), { batches: 3, batchMs: 10 });
    expect(us.min).toBeGreaterThan(500);
    expect(cpuUs).toBeGreaterThanOrEqual(2000);
    const asleep = await measureCost(() => new Promise((resolve) => setTimeout(resolve, 5)), {
      ...{ batches: 2, batchMs: 10 },
    });
    expect(asleep.us.min).toBeGreaterThan(4000);
    expect(asleep.cpuUs).toBeLessThan(0.6 * asleep.us.median);
  });
});

/** A shard in a thread of its own: answers each request after the time that it is told. */
const SHARD = `
  const { parentPort } = require('node:worker_threads');
  parentPort.on('message', ({ id, ms }) => setTimeout(() => parentPort.postMessage(id), ms));
`;

describe('fan-out to real threads', () => {
  it('has the p99 that is predicted from one of them, within 15%', async () => {
    const shards = 4;
    const random = new Random(17);
    // 10 ms and an exponential tail of 20: what a shard takes, drawn anew for every request. What threads and timers take
    // beside is little of that.
    const draw = () => 10 - 20 * Math.log(1 - random.uniform());
    const workers = Array.from({ length: shards }, () => new Worker(SHARD, { eval: true }));
    try {
      const waiting = workers.map(() => new Map<number, () => void>());
      workers.forEach((worker, shard) =>
        worker.on('message', (id: number) => waiting[shard]!.get(id)!()),
      );
      let next = 0;
      const ask = (shard: number): Promise<number> => {
        const id = next++;
        const started = performance.now();
        return new Promise((resolve) => {
          waiting[shard]!.set(id, () => {
            waiting[shard]!.delete(id);
            resolve((performance.now() - started) * 1000);
          });
          workers[shard]!.postMessage({ id, ms: draw() });
        });
      };
      await Promise.all(workers.map((_, shard) => ask(shard)));
      // One shard, then all of them, many requests at a time since they only wait.
      const alone: number[] = [];
      const together: number[] = [];
      for (let round = 0; round < 20; round++) {
        const one = Array.from({ length: 200 }, (_, request) => ask(request % shards));
        alone.push(...(await Promise.all(one)));
        const all = Array.from({ length: 200 }, async () => {
          const answers = workers.map((_, shard) => ask(shard));
          return Math.max(...(await Promise.all(answers)));
        });
        together.push(...(await Promise.all(all)));
      }
      const predicted = fanOut(alone, shards);
      const measured = fanOut(together, 1);
      expect(predicted.p99us / measured.p99us).toBeGreaterThan(0.85);
      expect(predicted.p99us / measured.p99us).toBeLessThan(1.15);
      expect(predicted.p50us / measured.p50us).toBeGreaterThan(0.85);
      expect(predicted.p50us / measured.p50us).toBeLessThan(1.15);
    } finally {
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
  });
});

describe('profileInfrastructure', () => {
  it('tells all five of a model, an index and a trace', async () => {
    const met = twoGroups(60, 40, 8);
    const model = await TwoTowerModel.train(met, { dim: 8, epochs: 1, negatives: 10 });
    using index = new HnswIndex({ dim: 8, metric: 'dot' });
    await index.add(model.itemVectors);
    await index.save(at('model.lichen'));
    const trace = makeTrace(Array.from({ length: 2000 }, (_, request) => (request * 7919) % 40));
    const profile = await profileInfrastructure({
      ...{ index: at('model.lichen'), model, trace, k: 5, ef: 20, shards: [1, 4] },
      ...{ memoryLimits: [1024, 2 ** 30], caches: { entries: [10, 40], ttlsMs: [Infinity] } },
    });
    expect(profile.footprint.index.rows).toBe(40);
    expect(profile.footprint.model?.users).toBe(60);
    expect(profile.shardsByMemory).toEqual([
      { memoryBytes: 1024, shards: Math.ceil(index.bytes / 1024) },
      { memoryBytes: 2 ** 30, shards: 1 },
    ]);
    expect(profile.coordination.map(({ shards }) => shards)).toEqual([1, 4]);
    expect(profile.coordination[0]!.tailGrowth).toBe(1);
    expect(profile.coordination[1]!.tailGrowth).toBeGreaterThanOrEqual(1);
    expect(profile.stages.map(({ stage }) => stage)).toEqual([
      ...['decode the request', 'vector of a known user', 'vector of a new user, 20 items'],
      ...['search', 'encode the response'],
    ]);
    const { userVectors, results } = profile.cacheability!;
    expect(userVectors.points[1]!.lruHits).toBeCloseTo(1960 / 2000, 10);
    expect(userVectors.points[0]!.lruHits).toBe(0);
    expect(results.points[0]!.bytes).toBeGreaterThan(0);
  });

  it('searches for vectors of the index itself where nothing else is there', async () => {
    using index = await saved('alone.lichen', 500, 'i8');
    const profile = await profileInfrastructure({ index: at('alone.lichen') });
    expect(profile.footprint.model).toBeUndefined();
    expect(profile.cacheability).toBeUndefined();
    expect(profile.search.count).toBe(5 * 500);
    expect(index.size).toBe(500);
  });

  it('refuses what does not fit', async () => {
    (await saved('fits.lichen', 300, 'f32')).close();
    const index = at('fits.lichen');
    const queries = madeVectors(3, 16, 1);
    await expect(profileInfrastructure({ index, queries })).rejects.toMatchObject({
      code: 'ERR_LICHEN_DIMENSION',
    });
    await expect(profileInfrastructure({ index, k: 301 })).rejects.toMatchObject({
      code: 'ERR_LICHEN_ARGUMENT',
    });
    await expect(profileInfrastructure({ index, shards: [0] })).rejects.toMatchObject({
      code: 'ERR_LICHEN_ARGUMENT',
    });
    await expect(profileInfrastructure({ index: at('none.lichen') })).rejects.toMatchObject({
      code: 'ERR_LICHEN_NOT_FOUND',
    });
    const empty = new HnswIndex({ dim: 4, metric: 'dot' });
    await empty.save(at('empty.lichen'));
    await expect(profileInfrastructure({ index: at('empty.lichen') })).rejects.toMatchObject({
      code: 'ERR_LICHEN_EMPTY',
    });
    empty.close();
  });
});
