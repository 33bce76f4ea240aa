import { existsSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readAnnBenchmarks } from '../../src/evaluation/ann-benchmarks.js';
import { crossCandidates, parseStored } from '../../src/evaluation/candidate.js';
import type { SweepOptions } from '../../src/evaluation/sweep-options.js';
import { sweep, type SweepPoint } from '../../src/evaluation/sweep.js';
import { withHdf5, writeHdf5 } from '../../src/vectors/hdf5.js';
import { madeVectors } from '../../src/vectors/made.js';
import type { Matrix } from '../../src/vectors/matrix.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const all = madeVectors(1250, 16, 9);
const part = (from: number, to: number): Matrix => ({
  data: all.data.slice(from * 16, to * 16),
  rows: to - from,
  dim: 16,
});
const base = part(0, 1200);
const queries = part(1200, 1250);
const at = temporaryFolder();

const quick = {
  ...{ base, queries, metric: 'l2', efs: [5, 10, 40], k: 5 },
  candidates: crossCandidates(
    ['f32', 'i8+f32', 'b1+f16'].map((text) => parseStored(text)),
    ['hnsw', 'flat'],
    [8],
    [50],
  ),
  ...{ rounds: 2, secondsAPoint: 0.002, threads: 1 },
} as const satisfies Omit<SweepOptions, 'folder'>;

/** By float64, without any of our kernels. */
function exactRecall(found: (query: number) => ArrayLike<number>, k: number): number {
  let hits = 0;
  for (let query = 0; query < queries.rows; query++) {
    const distances = Array.from({ length: base.rows }, (_, row) => {
      let sum = 0;
      for (let d = 0; d < 16; d++) {
        sum += (base.data[row * 16 + d]! - queries.data[query * 16 + d]!) ** 2;
      }
      return { row, sum };
    });
    distances.sort((a, b) => a.sum - b.sum);
    const nearest = new Set(distances.slice(0, k).map(({ row }) => row));
    for (const row of Array.from(found(query))) if (nearest.has(row)) hits++;
  }
  return hits / (queries.rows * k);
}

describe('sweep', () => {
  it('measures every index at every beam, recall against all vectors', async () => {
    const { points, ...facts } = await sweep({ ...quick, folder: at('all') });
    expect(facts).toMatchObject({ rows: 1200, dim: 16, queries: 50, k: 5, rounds: 2 });
    expect(points.length).toBe(3 * 3 + 3);
    for (const point of points) {
      expect(point.qps.count).toBe(2);
      expect(point.qps.min).toBeGreaterThan(0);
      expect(point.p50us.median).toBeLessThanOrEqual(point.p99us.median);
      expect(point.recall.low).toBeLessThanOrEqual(point.recall.mean);
      expect(point.recall.high).toBeGreaterThanOrEqual(point.recall.mean);
      expect(point.bytesPerVector).toBeGreaterThan(16 / 8);
    }
    const flat = points.find(({ name }) => name === 'flat f32')!;
    expect(flat.recall.mean).toBe(1);
    expect(flat.ef).toBeUndefined();
    const graph = points.filter(({ name }) => name.startsWith('hnsw f32'));
    expect(graph.map(({ ef }) => ef)).toEqual([5, 10, 40]);
    expect(graph[2]!.recall.mean).toBeGreaterThan(0.95);
    // 16 values of 4 bytes, and of one more where they are kept twice.
    expect(flat.bytesPerVector).toBeGreaterThanOrEqual(64);
    const twice = points.find(({ name }) => name === 'flat i8+f32')!;
    expect(twice.bytesPerVector).toBeGreaterThanOrEqual(80);
    expect(points.some(({ isFastest }) => isFastest)).toBe(true);
    // Nothing has more recall than 1, so of those that have it the fastest is on the front.
    const whole = points.filter(({ recall }) => recall.mean === 1);
    const fastest = whole.reduce((a, b) => (b.qps.median > a.qps.median ? b : a));
    expect(fastest.isFastest).toBe(true);
  });

  it('goes on where it was interrupted, and adds what is new', async () => {
    const folder = at('again');
    const controller = new AbortController();
    let seen = 0;
    const interrupted = sweep({
      ...{ ...quick, folder, signal: controller.signal },
      onProgress: (what) => {
        if (what === 'measuring' && ++seen === 5) controller.abort();
      },
    });
    await expect(interrupted).rejects.toMatchObject({ code: 'ERR_LICHEN_ABORTED' });
    const journal = join(folder, 'sweep.jsonl');
    const before = readFileSync(journal, 'utf8');
    expect(before.split('\n').filter((line) => line.includes('"round"')).length).toBe(5);
    const index = join(folder, 'flat-f32.index');
    const built = statSync(index).mtimeMs;
    // A line that was being written when the machine went down.
    truncateSync(journal, Buffer.byteLength(before) - 7);
    const { points } = await sweep({ ...quick, folder });
    expect(points.length).toBe(12);
    expect(statSync(index).mtimeMs).toBe(built);
    const after = readFileSync(journal, 'utf8');
    const torn = before.slice(0, before.trimEnd().lastIndexOf('\n') + 1);
    expect(after.startsWith(torn)).toBe(true);
    for (const line of after.trimEnd().split('\n')) JSON.parse(line);
    const more = await sweep({ ...quick, folder, efs: [5, 10, 40, 80], rounds: 3 });
    expect(more.points.length).toBe(15);
    expect(more.points.every(({ qps }) => qps.count === 3)).toBe(true);
    const recallOf = (list: readonly SweepPoint[], name: string) =>
      list.find((point) => point.name === name && point.ef === 10)?.recall;
    const name = 'hnsw f32 m8 efc50';
    expect(recallOf(more.points, name)).toEqual(recallOf(points, name));
  });

  it('refuses a folder of another sweep, and damaged records', async () => {
    const folder = at('again');
    const other = sweep({ ...quick, folder, queries: part(0, 50) });
    await expect(other).rejects.toMatchObject({ code: 'ERR_LICHEN_FORMAT' });
    const journal = join(folder, 'sweep.jsonl');
    const lines = readFileSync(journal, 'utf8').split('\n');
    const { writeFileSync } = await import('node:fs');
    writeFileSync(journal, [lines[0], '{"type":', ...lines.slice(1)].join('\n'));
    await expect(sweep({ ...quick, folder })).rejects.toMatchObject({
      code: 'ERR_LICHEN_FORMAT',
      message: expect.stringMatching(/line 2 is no record/) as string,
    });
  });

  it('includes other libraries, judged in the same way', async () => {
    const folder = at('peers');
    const { points } = await sweep({
      ...{ ...quick, folder, candidates: quick.candidates.slice(0, 1) },
      ...{ peers: ['hnswlib', 'usearch'] as const, efs: [40] },
    });
    expect(points.map(({ library }) => library)).toEqual(['lichen', 'hnswlib', 'usearch']);
    for (const { recall, qps } of points) {
      expect(recall.mean).toBeGreaterThan(0.9);
      expect(qps.median).toBeGreaterThan(0);
    }
    const name = 'hnswlib-node';
    const { default: hnswlib } = (await import(name)) as {
      default: {
        HierarchicalNSW: new (
          space: string,
          dim: number,
        ) => {
          readIndexSync(file: string): void;
          setEf(ef: number): void;
          searchKnn(query: number[], k: number): { neighbors: number[] };
        };
      };
    };
    const index = new hnswlib.HierarchicalNSW('l2', 16);
    index.readIndexSync(join(folder, 'hnswlib-m8-efc50.index'));
    index.setEf(40);
    const recall = exactRecall((query) => {
      const vector = queries.data.subarray(query * 16, (query + 1) * 16);
      return index.searchKnn([...vector], 5).neighbors;
    }, 5);
    expect(points[1]!.recall.mean).toBeCloseTo(recall, 10);
  });

  it('writes runs as ann-benchmarks reads them', async () => {
    const folder = at('runs');
    const result = await sweep({
      ...{ ...quick, folder: at('for-runs'), efs: [10] },
      annBenchmarks: { folder, dataset: 'made-16' },
    });
    const name = 'jsfive';
    const jsfive = (await import(name)) as {
      File: new (
        bytes: ArrayBuffer,
        name: string,
      ) => {
        get(name: string): { shape: number[]; value: number[] };
      };
    };
    const path = join(folder, 'made-16', '5', 'lichen', 'hnsw_f32_8_50_10.hdf5');
    expect(existsSync(path)).toBe(true);
    const bytes = readFileSync(path);
    const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    const file = new jsfive.File(buffer, 'run');
    const names = ['algo', 'dataset', 'distance', 'count', 'run_count', 'batch_mode', 'name'];
    // So many attributes that jsfive does not read them.
    const attributes = await withHdf5(path, (one) => names.map((key) => one.attribute(key)));
    expect(attributes.slice(0, 3)).toEqual(['lichen', 'made-16', 'euclidean']);
    expect(attributes.slice(3, 6).map(Number)).toEqual([5, 2, 0]);
    expect(attributes[6]).toBe('hnsw f32 m8 efc50 ef10');
    const neighbours = file.get('neighbors');
    expect(neighbours.shape).toEqual([50, 5]);
    expect(file.get('times').shape).toEqual([50]);
    const point = result.points.find((one) => one.name === 'hnsw f32 m8 efc50')!;
    const keys = neighbours.value;
    const recall = exactRecall((query) => keys.slice(query * 5, query * 5 + 5), 5);
    expect(point.recall.mean).toBeCloseTo(recall, 10);
    const distances = file.get('distances').value;
    const [row] = keys;
    let square = 0;
    for (let d = 0; d < 16; d++) square += (base.data[row! * 16 + d]! - queries.data[d]!) ** 2;
    expect(distances[0]).toBeCloseTo(Math.sqrt(square), 5);
    const dot = sweep({ ...quick, metric: 'dot', folder, annBenchmarks: { folder, dataset: 'x' } });
    await expect(dot).rejects.toMatchObject({ code: 'ERR_LICHEN_UNSUPPORTED' });
  });

  it('takes the neighbours of a data set of ann-benchmarks for the truth', async () => {
    const path = at('made.hdf5');
    const neighbours = Int32Array.from({ length: 50 * 5 }, (_, place) => place % 5);
    await writeHdf5(path, {
      attributes: { distance: 'euclidean' },
      datasets: [
        { name: 'train', data: base.data, shape: [1200, 16] },
        { name: 'test', data: queries.data, shape: [50, 16] },
        { name: 'neighbors', data: neighbours, shape: [50, 5] },
      ],
    });
    const data = await readAnnBenchmarks(path);
    expect(data).toMatchObject({ metric: 'l2', base: { rows: 1200 }, queries: { rows: 50 } });
    // The truth is wrong on purpose: what is nearer than it counts as found.
    const { points } = await sweep({
      ...{ ...quick, ...data, truth: data.neighbours, folder: at('given') },
      candidates: quick.candidates.slice(0, 1),
    });
    expect(points[0]!.recall.mean).toBe(1);
    await writeHdf5(path, { attributes: { distance: 'hamming' }, datasets: [] });
    await expect(readAnnBenchmarks(path)).rejects.toMatchObject({ code: 'ERR_LICHEN_UNSUPPORTED' });
  });

  it.each([
    [{ candidates: [] }, 'ARGUMENT'],
    [{ efs: [2] }, 'ARGUMENT'],
    [{ k: 0 }, 'ARGUMENT'],
    [{ k: 1201 }, 'ARGUMENT'],
    [{ rounds: 0 }, 'ARGUMENT'],
    [{ utilization: 1 }, 'ARGUMENT'],
    [{ peers: ['annoy'] }, 'ARGUMENT'],
    [{ queries: { data: new Float32Array(8), rows: 1, dim: 8 } }, 'DIMENSION'],
    [{ queries: { data: new Float32Array(0), rows: 0, dim: 16 } }, 'EMPTY'],
    [{ truth: { data: new Int32Array(50 * 3), rows: 50, dim: 3 } }, 'DIMENSION'],
    [{ truth: { data: new Int32Array(50 * 5).fill(1200), rows: 50, dim: 5 } }, 'ARGUMENT'],
  ])('refuses %o', async (wrong, code) => {
    const folder = at('refused');
    const options = { ...quick, folder, ...wrong } as unknown as SweepOptions;
    await expect(sweep(options)).rejects.toMatchObject({ code: `ERR_LICHEN_${code}` });
    expect(existsSync(folder)).toBe(false);
  });
});

describe('parseStored', () => {
  it('reads what the command line takes', () => {
    expect(parseStored('i4/128+f16@50:12')).toEqual({
      ...{ storage: 'i4', pca: 128, rerank: 'f16', efConstruction: 50, m: 12 },
    });
    expect(parseStored('f32')).toMatchObject({ storage: 'f32', rerank: undefined });
  });

  it.each(['', 'f33', 'f32+i8', 'f16/8', 'i8+', 'i8/0', 'i8 +f16', 'i8+f16:0'])(
    'refuses %o',
    (text) => {
      expect(() => parseStored(text)).toThrow(
        expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
      );
    },
  );

  it('crosses without saying anything twice', () => {
    const stored = ['f32', 'i8', 'f32'].map((text) => parseStored(text));
    expect(crossCandidates(stored, ['hnsw', 'flat'], [8, 16], [100, 200]).length).toBe(2 * 4 + 2);
  });
});
