import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import type { NeighborLists } from '../../src/index/types.js';
import { METRICS, type Metric } from '../../src/vectors/metric.js';
import { clustered, exactRows, overlap } from './data.js';

const DIM = 16;
const ROWS = 4000;
const QUERIES = 100;
const K = 10;
const NONE = 0xffffffff;

const folder = mkdtempSync(join(tmpdir(), 'lichen-neighbors-'));
afterAll(() => rmSync(folder, { recursive: true }));

const drawn = clustered(23, ROWS + QUERIES, DIM, 40);
const vectors = drawn.subarray(0, ROWS * DIM);
const queries = drawn.subarray(ROWS * DIM);
const queryAt = (q: number): Float32Array => queries.subarray(q * DIM, (q + 1) * DIM);

async function exactLists(data: Float32Array, metric: Metric, k: number): Promise<NeighborLists> {
  const flat = new FlatIndex({ dim: DIM, metric });
  flat.addSync(data);
  const { keys } = await flat.searchBatch(data, { k });
  return { rows: Uint32Array.from(keys), k };
}

describe('an hnsw index that is started from lists of neighbors', () => {
  it.each(METRICS)('finds as much as one that searched for them: %s', async (metric) => {
    const options = { dim: DIM, metric, m: 8, efConstruction: 60 } as const;
    const neighbors = await exactLists(vectors, metric, 24);
    const truth = Array.from({ length: QUERIES }, (_, q) =>
      exactRows(vectors, queryAt(q), metric, K).map(({ row }) => row),
    );
    for (const storage of [{}, { storage: 'i8', rerank: 'f16' }] as const) {
      const searched = new HnswIndex({ ...options, ...storage });
      searched.addSync(vectors);
      const started = new HnswIndex({ ...options, ...storage });
      const seen: number[] = [];
      await started.add(vectors, { neighbors, onProgress: (done) => void seen.push(done) });
      expect(seen.at(-1)).toBeGreaterThanOrEqual(ROWS);
      for (const ef of [12, 40, 160]) {
        const [expected, found] = [searched, started].map((index) => {
          const shares = truth.map((rows, q) =>
            overlap(index.searchSync(queryAt(q), { k: K, ef }).keys, rows),
          );
          return shares.reduce((sum, share) => sum + share, 0) / QUERIES;
        });
        expect(found).toBeGreaterThan(expected! - 0.03);
      }
      expect(started.calibration.length).toBeGreaterThan(0);
    }
  });

  it('grows, shrinks and is saved as any other', async () => {
    const neighbors = await exactLists(vectors, 'l2', 16);
    const index = new HnswIndex({ dim: DIM, metric: 'l2', m: 6, efConstruction: 30 });
    const names = Array.from({ length: ROWS }, (_, row) => row * 7);
    await index.add(vectors, { keys: names, neighbors });
    await index.add(queries, { keys: Array.from({ length: QUERIES }, (_, q) => -1 - q) });
    await index.remove(names.slice(0, 1500));
    expect(index.dead).toBe(0);
    const path = join(folder, 'grown');
    await index.save(path);
    const opened = await HnswIndex.open(path, { map: true, verify: 'full' });
    for (let q = 0; q < QUERIES; q++) {
      expect(opened.searchSync(queryAt(q), { k: 1 }).keys[0]).toBe(-1 - q);
    }
  });

  it('makes a sound graph of any lists', async () => {
    const small = clustered(24, 60, DIM, 3);
    const path = join(folder, 'any');
    const row = fc.oneof(fc.nat(59), fc.constantFrom(0, 7));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(row, { maxLength: 8 }), { minLength: 60, maxLength: 60 }),
        fc.constantFrom(...METRICS),
        async (lists, metric) => {
          const rows = new Uint32Array(60 * 8).fill(NONE);
          lists.forEach((list, at) => rows.set(list, at * 8));
          using index = new HnswIndex({ dim: DIM, metric, m: 2, efConstruction: 6 });
          await index.add(small, { neighbors: { rows, k: 8 } });
          await index.save(path);
          using opened = await HnswIndex.open(path, { map: true, verify: 'full' });
          const { keys } = opened.searchSync(small.subarray(0, DIM), { k: 60 });
          expect(new Set(keys).size).toBe(60);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('journals the vectors alone', async () => {
    const path = join(folder, 'journaled');
    await new HnswIndex({ dim: DIM, metric: 'l2' }).save(path);
    const neighbors = await exactLists(vectors, 'l2', 8);
    const index = await HnswIndex.open(path, { durability: 'none' });
    // The second waits its turn, and so has copies of its own.
    const first = index.add(vectors, { neighbors, threads: 1 });
    const second = index.add(vectors, { neighbors });
    await first;
    await expect(second).rejects.toMatchObject({ code: 'ERR_LICHEN_ARGUMENT' });
    index.close();
    const again = await HnswIndex.open(path, { durability: 'none' });
    expect(again.size).toBe(ROWS);
    expect(again.searchSync(vectors.subarray(0, DIM), { k: 1 }).keys[0]).toBe(0);
    again.close();
  });

  it('is as before when it is given up', async () => {
    const neighbors = await exactLists(vectors, 'l2', 8);
    const index = new HnswIndex({ dim: DIM, metric: 'l2' });
    const controller = new AbortController();
    const aborted = index.add(vectors, { neighbors, threads: 1, signal: controller.signal });
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'ERR_LICHEN_ABORTED' });
    expect(index.size).toBe(0);
    await index.add(vectors, { neighbors });
    expect(index.size).toBe(ROWS);
  });

  it('refuses lists that do not fit', async () => {
    const two = [
      [1, 0],
      [0, 1],
    ];
    const make = () => new HnswIndex({ dim: 2, metric: 'l2' });
    const rows = Uint32Array.of(1, NONE, 0, NONE);
    const wrong: [unknown, RegExp][] = [
      [null, /neighbors must be an object of rows and k, got null/],
      [rows, /neighbors.k must be an integer from 1 to 1024, got undefined/],
      [{ rows, k: 0 }, /neighbors.k must be an integer from 1 to 1024, got 0/],
      [{ rows: new Uint32Array(2050), k: 1025 }, /neighbors.k must be/],
      [{ rows: [1, 0], k: 1 }, /neighbors.rows must be a Uint32Array/],
      [{ rows: Int32Array.of(1, 0), k: 1 }, /neighbors.rows must be a Uint32Array/],
      [{ rows, k: 1 }, /must hold 1 row numbers for each of 2 vectors, got 4/],
      [{ rows: Uint32Array.of(1, NONE, 2, NONE), k: 2 }, /rows\[2\] must be a row below 2, got 2/],
      [{ rows: Uint32Array.of(NONE, 1, 0, 1), k: 2 }, /rows\[1\] stands behind the end/],
    ];
    for (const [neighbors, message] of wrong) {
      const index = make();
      const refusal = {
        code: 'ERR_LICHEN_ARGUMENT',
        message: expect.stringMatching(message) as string,
      };
      await expect(index.add(two, { neighbors: neighbors as never })).rejects.toMatchObject(
        refusal,
      );
      expect(() => index.addSync(two, { neighbors: neighbors as never })).toThrow(
        expect.objectContaining(refusal),
      );
      expect(index.size).toBe(0);
    }
    const neighbors = { rows, k: 2 };
    const refused = { code: 'ERR_LICHEN_ARGUMENT' };
    const index = make();
    index.addSync(two, { neighbors, keys: [5, 6] });
    await expect(index.add(two, { neighbors, keys: [7, 8] })).rejects.toMatchObject(refused);
    await expect(index.upsert(two, { neighbors, keys: [5, 6] } as never)).rejects.toMatchObject(
      refused,
    );
    await index.remove([5, 6]);
    if (index.dead > 0) {
      await expect(index.add(two, { neighbors })).rejects.toMatchObject(refused);
      await index.compact();
    }
    await index.add(two, { neighbors, keys: [7, 8] });
    expect([...index.searchSync([1, 0], { k: 2 }).keys]).toEqual([7, 8]);
    const flat = new FlatIndex({ dim: 2, metric: 'l2' });
    await expect(flat.add(two, { neighbors } as never)).rejects.toMatchObject(refused);
  });
});
