import { readFileSync, writeFileSync } from 'node:fs';
import { HierarchicalNSW } from 'hnswlib-node';
import { describe, expect, it } from 'vitest';
import { HnswlibIndex } from '../../src/hnswlib/hnswlib-index.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import type { Key } from '../../src/index/types.js';
import { METRICS } from '../../src/vectors/metric.js';
import { clustered, exactRows, overlap } from '../index/data.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const DIM = 64;
const ROWS = 3000;
const QUERIES = 100;
const SPACES = { dot: 'ip', cosine: 'cosine', l2: 'l2' } as const;

const drawn = clustered(29, ROWS + QUERIES, DIM);
const base = drawn.subarray(0, ROWS * DIM);
const vectorAt = (row: number): Float32Array => drawn.subarray(row * DIM, (row + 1) * DIM);
const queryAt = (q: number): Float32Array => vectorAt(ROWS + q);
const label = (row: number): number => 7 * row + 3;

const file = temporaryFolder();
const code = (expected: string): unknown => expect.objectContaining({ code: expected });

function peerOf(space: 'ip' | 'cosine' | 'l2', m: number, efConstruction: number): HierarchicalNSW {
  const peer = new HierarchicalNSW(space, DIM);
  peer.initIndex(ROWS, m, efConstruction, 7);
  for (let row = 0; row < ROWS; row++) peer.addPoint([...vectorAt(row)], label(row));
  return peer;
}

describe('an index of the graph of hnswlib', () => {
  it.each(METRICS)('finds what hnswlib finds, in whatever storage: %s', async (metric) => {
    // A poor graph, so that one built anew would find much more.
    const peer = peerOf(SPACES[metric], 3, 4);
    const path = file(`${metric}.hnsw`);
    peer.writeIndexSync(path);
    const recall = (search: (query: Float32Array) => ArrayLike<number>): number => {
      let sum = 0;
      for (let q = 0; q < QUERIES; q++) {
        const truth = exactRows(base, queryAt(q), metric, 10).map(({ row }) => label(row));
        sum += overlap(search(queryAt(q)), truth) / QUERIES;
      }
      return sum;
    };
    for (const storage of ['f32', 'i8'] as const) {
      const rerank = storage === 'i8' ? 'f32' : undefined;
      using index = await HnswIndex.fromHnswlib(path, { dim: DIM, metric, storage, rerank });
      expect([index.size, index.m, index.efConstruction]).toEqual([ROWS, 3, 4]);
      expect([index.storage, index.rerank]).toEqual([storage, rerank]);
      for (const ef of [10, 30]) {
        peer.setEf(ef);
        const theirs = recall((query) => peer.searchKnn([...query], 10).neighbors);
        const ours = recall((query) => index.searchSync(query, { k: 10, ef }).keys);
        expect(theirs).toBeLessThan(0.95);
        expect(Math.abs(ours - theirs), `${storage}, ef ${ef}`).toBeLessThan(0.03);
      }
      const built = new HnswIndex({ dim: DIM, metric, m: 16 });
      built.addSync(base, { keys: Float64Array.from({ length: ROWS }, (_, row) => label(row)) });
      expect(recall((query) => built.searchSync(query, { k: 10, ef: 30 }).keys)).toBeGreaterThan(
        0.97,
      );
    }
  });

  it('is an index like others: it changes, is saved, and leaves out what was deleted', async () => {
    const peer = peerOf('l2', 8, 50);
    for (let row = 0; row < 100; row++) peer.markDelete(label(row));
    const path = file('deleted.hnsw');
    peer.writeIndexSync(path);
    const index = await HnswIndex.fromHnswlib(path, {
      ...{ dim: DIM, metric: 'l2', attributes: { year: 'number' } },
    });
    expect([index.size, index.dead]).toEqual([ROWS - 100, 100]);
    expect(index.has(label(99))).toBe(false);
    expect(index.searchSync(vectorAt(5), { k: 1 }).keys[0]).not.toBe(label(5));
    index.addSync([vectorAt(5)], { keys: [label(5)], attributes: { year: [1959] } });
    expect(index.searchSync(vectorAt(5), { k: 1 }).keys[0]).toBe(label(5));
    await index.compact();
    expect([index.size, index.dead]).toEqual([ROWS - 99, 0]);
    await index.save(file('imported.lichen'));
    const opened = await HnswIndex.open(file('imported.lichen'));
    for (const row of [5, 200, 2999]) {
      expect(opened.searchSync(vectorAt(row), { k: 3 })).toEqual(
        index.searchSync(vectorAt(row), { k: 3 }),
      );
      expect(opened.searchSync(vectorAt(row), { k: 1 }).keys[0]).toBe(label(row));
    }
  });

  it.each([
    ['row', undefined],
    ['integer', [5, 1, 9, 700]],
    ['string', ['x', 'ü', 'key', '"']],
  ] as const)('has the keys of an HnswlibIndex: %s', async (kind, keys) => {
    const path = file(`adapter-${kind}.hnsw`);
    const adapter = new HnswlibIndex<Key>({ dim: 2, metric: 'cosine', m: 5 });
    const some = [
      [1, 0],
      [0, 1],
      [1, 1],
      [-1, 0.5],
    ];
    adapter.addSync(some, { ...(keys !== undefined && { keys: keys as never }) });
    const names = [...(adapter.keys() as unknown as Iterable<Key>)];
    adapter.remove(names[1]!);
    const stop = (done: number): void => {
      if (done > 0) throw new Error('stop');
    };
    const more = Array.from({ length: 600 }, (_, at) => [at, 1]);
    const ofMore = more.map((_, at) => (kind === 'string' ? `more ${at}` : 1000 + at));
    await expect(
      adapter.add(more, {
        ...(kind !== 'row' && { keys: ofMore as never }),
        onProgress: stop,
      }),
    ).rejects.toThrow('stop');
    await adapter.save(path);
    const index = await HnswIndex.fromHnswlib<Key>(path);
    expect([index.dim, index.metric, index.size]).toEqual([2, 'cosine', 3]);
    expect(index.keys()).toEqual(adapter.keys());
    expect(index.keyKind).toBe(kind);
    expect(index.searchSync([1, 1], { k: 3 }).keys).toEqual(
      adapter.searchSync([1, 1], { k: 3 }).keys,
    );
  });

  it('may be empty', async () => {
    const peer = new HierarchicalNSW('ip', DIM);
    peer.initIndex(10, 4, 20, 7);
    peer.writeIndexSync(file('empty.hnsw'));
    const index = await HnswIndex.fromHnswlib(file('empty.hnsw'), { dim: DIM, metric: 'dot' });
    expect([index.size, index.m]).toEqual([0, 4]);
    await index.add(base);
    expect(index.size).toBe(ROWS);
  });

  it('is not made of bad input', async () => {
    const path = file('bad.hnsw');
    peerOf('l2', 4, 10).writeIndexSync(path);
    const from = (options?: object, at = path): Promise<unknown> =>
      HnswIndex.fromHnswlib(at, options);
    await expect(from()).rejects.toEqual(code('ERR_LICHEN_ARGUMENT'));
    await expect(from({ dim: DIM, metric: 'l2', m: 4 })).rejects.toEqual(
      code('ERR_LICHEN_ARGUMENT'),
    );
    await expect(from({ dim: 63, metric: 'l2' })).rejects.toEqual(code('ERR_LICHEN_DIMENSION'));
    const shape = { dim: DIM, metric: 'l2' };
    await expect(from(shape, file('none.hnsw'))).rejects.toEqual(code('ERR_LICHEN_NOT_FOUND'));
    await expect(from({ ...shape, signal: AbortSignal.abort() })).rejects.toEqual(
      code('ERR_LICHEN_ABORTED'),
    );
    writeFileSync(file('cut.hnsw'), readFileSync(path).subarray(0, 100_000));
    await expect(from(shape, file('cut.hnsw'))).rejects.toEqual(code('ERR_LICHEN_FORMAT'));
  });
});
