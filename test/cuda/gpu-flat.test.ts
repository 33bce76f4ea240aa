import fc from 'fast-check';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  FlatIndex,
  GpuFlatIndex,
  HnswIndex,
  Random,
  type SearchBatchOptions,
} from '../../src/index.js';
import { SIMULATED_MODULE, SIMULATED_NOTE, simulate, STATUS } from './simulated.js';

const code = (name: string) => expect.objectContaining({ code: `ERR_LICHEN_${name}` }) as Error;

function vectors(seed: number, count: number, dim: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: count * dim }, () => random.gaussian());
}

type Storage = 'f32' | 'f16' | 'bf16' | 'i8' | 'b1';
type Metric = 'l2' | 'dot' | 'cosine';

/** The same vectors in an index of each kind. */
async function both(
  options: {
    dim: number;
    metric?: Metric;
    storage?: Storage;
    rerank?: Storage;
    deviceBytes?: number;
  },
  data: Float32Array,
) {
  const { deviceBytes, ...flat } = options;
  const metric = options.metric ?? 'l2';
  const gpu = new GpuFlatIndex({ ...flat, metric, deviceBytes });
  const cpu = new FlatIndex({ ...flat, metric });
  await Promise.all([gpu.add(data), cpu.add(data)]);
  return { gpu, cpu };
}

type Found = Awaited<ReturnType<FlatIndex['searchBatch']>>;

/** The same scores within rounding, and the same keys but where scores are as good as equal. */
function expectSame(found: Found, truth: Found, tolerance = 1e-5, leastSame = 0.97): void {
  expect([...found.counts]).toEqual([...truth.counts]);
  const most = Math.max(1, ...[...truth.scores].map(Math.abs).filter(Number.isFinite));
  for (let at = 0; at < truth.scores.length; at++) {
    // A place that was not taken.
    if (Number.isNaN(truth.scores[at]!)) continue;
    expect(Math.abs(found.scores[at]! - truth.scores[at]!)).toBeLessThanOrEqual(tolerance * most);
  }
  const keys = [...truth.keys];
  const same = keys.filter((key, at) => key === found.keys[at]).length;
  expect(same / Math.max(1, keys.length)).toBeGreaterThanOrEqual(leastSame);
}

async function expectSameSearch(
  { gpu, cpu }: Awaited<ReturnType<typeof both>>,
  queries: Float32Array,
  options: SearchBatchOptions,
) {
  const before = gpu.device;
  expectSame(await gpu.searchBatch(queries, options), await cpu.searchBatch(queries, options));
  expect(gpu.device.searches).toBeGreaterThan(before.searches);
  expect(gpu.device.fallbacks).toBe(before.fallbacks);
}

describe.skipIf(SIMULATED_MODULE === undefined)(`GpuFlatIndex${SIMULATED_NOTE}`, () => {
  afterEach(() => simulate());

  describe.each(['f32', 'f16', 'bf16', 'i8', 'b1'] as const)('%s', (storage) => {
    it.each([
      ['l2', 1, 32],
      ['l2', 20, 40],
      ['dot', 65, 17],
      ['cosine', 3, 200],
    ] as const)(
      'finds what FlatIndex finds: %s, %i queries, dim %i',
      async (metric, count, dim) => {
        const indexes = await both({ dim, metric, storage }, vectors(1, 1500, dim));
        await expectSameSearch(indexes, vectors(2, count, dim), { k: 10 });
      },
    );
  });

  it('does so for any size, k and filter', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          storage: fc.constantFrom<Storage>('f32', 'f16', 'bf16', 'i8', 'b1'),
          metric: fc.constantFrom<Metric>('l2', 'dot', 'cosine'),
          dim: fc.integer({ min: 1, max: 150 }),
          rows: fc.integer({ min: 1, max: 1400 }),
          count: fc.integer({ min: 1, max: 20 }),
          k: fc.integer({ min: 1, max: 60 }),
          seed: fc.nat(),
          share: fc.constantFrom(1, 0.5, 0.02),
        }),
        async ({ storage, metric, dim, rows, count, k, seed, share }) => {
          const indexes = await both({ dim, metric, storage }, vectors(seed, rows, dim));
          const random = new Random(seed);
          const admitted = Array.from({ length: rows }, (_, row) => row).filter(
            () => random.uniform() < share,
          );
          const options = {
            k: Math.min(k, rows),
            ...(share < 1 && { filter: indexes.cpu.filter(admitted) }),
          };
          const gpuOptions = {
            ...options,
            ...(share < 1 && { filter: indexes.gpu.filter(admitted) }),
          };
          const queries = vectors(seed + 1, count, dim);
          expectSame(
            await indexes.gpu.searchBatch(queries, gpuOptions),
            await indexes.cpu.searchBatch(queries, options),
            1e-4,
          );
          // Of floats that lie near to each other the processor finds the nearest.
          if (storage === 'i8' || storage === 'b1') expect(indexes.gpu.device.fallbacks).toBe(0);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('searches for one query, at once and not, and for what is within a score', async () => {
    const { gpu, cpu } = await both({ dim: 24 }, vectors(3, 900, 24));
    const query = vectors(4, 1, 24);
    const truth = cpu.searchSync(query, { k: 5 });
    for (const found of [gpu.searchSync(query, { k: 5 }), await gpu.search(query, { k: 5 })]) {
      expect([...found.keys]).toEqual([...truth.keys]);
    }
    const score = truth.scores[4]!;
    expect((await gpu.searchWithin(query, { score })).keys).toEqual(
      (await cpu.searchWithin(query, { score })).keys,
    );
  });

  it('brings what was added, replaced, removed and compacted', async () => {
    const dim = 16;
    const indexes = await both({ dim, storage: 'f16' }, vectors(5, 700, dim));
    const queries = vectors(6, 9, dim);
    const check = () => expectSameSearch(indexes, queries, { k: 8 });
    await check();
    const { gpu, cpu } = indexes;
    for (const index of [gpu, cpu]) await index.add(vectors(7, 300, dim));
    await check();
    expect(gpu.device.rows).toBe(1000);
    const keys = Array.from({ length: 200 }, (_, at) => 3 * at);
    for (const index of [gpu, cpu]) await index.update(vectors(8, 200, dim), { keys });
    await check();
    for (const index of [gpu, cpu]) await index.remove(keys.slice(0, 150));
    await check();
    for (const index of [gpu, cpu]) await index.compact();
    await check();
    // An add that is undone: what comes in its place is not what was there.
    const controller = new AbortController();
    controller.abort();
    await expect(gpu.add(vectors(9, 50, dim), { signal: controller.signal })).rejects.toThrow();
    for (const index of [gpu, cpu]) await index.add(vectors(10, 50, dim));
    await check();
    for (const index of [gpu, cpu]) index.close();
    expect(() => gpu.device).toThrow(code('CLOSED'));
  });

  it('scores anew by a finer type, and excludes', async () => {
    const dim = 64;
    const indexes = await both({ dim, storage: 'b1', rerank: 'f32' }, vectors(11, 1200, dim));
    await expectSameSearch(indexes, vectors(12, 12, dim), { k: 10 });
    await expectSameSearch(indexes, vectors(12, 12, dim), { k: 10, exact: true });
    const exclude = [[1, 2, 3], [], [900]];
    const found = await indexes.gpu.searchBatch(vectors(12, 3, dim), { k: 10, exclude });
    expectSame(found, await indexes.cpu.searchBatch(vectors(12, 3, dim), { k: 10, exclude }));
  });

  it('searches in passes what the device has no room for', async () => {
    const dim = 32;
    const data = vectors(13, 1500, dim);
    for (const storage of ['f32', 'i8'] as const) {
      const indexes = await both({ dim, storage, deviceBytes: 60_000 }, data);
      await expectSameSearch(indexes, vectors(14, 18, dim), { k: 12 });
      const { rows, residentRows, bytes } = indexes.gpu.device;
      expect(rows).toBe(1500);
      expect(residentRows).toBeGreaterThan(100);
      expect(residentRows).toBeLessThan(1500);
      expect(bytes).toBeLessThanOrEqual(60_000);
    }
  });

  it('is right in whatever order the rows lie', async () => {
    const dim = 8;
    const query = vectors(15, 1, dim);
    // Each nearer than all before it, so that no limit that earlier rows gave keeps one away.
    const rows = 12_000;
    const data = new Float32Array(rows * dim);
    for (let row = 0; row < rows; row++) {
      for (let d = 0; d < dim; d++) data[row * dim + d] = query[d]! + (rows - row) / rows;
    }
    const ordered = await both({ dim, storage: 'i8' }, data);
    // They are as near as rounding tells, and so no keys are compared.
    expectSame(
      await ordered.gpu.searchBatch(query, { k: 10 }),
      await ordered.cpu.searchBatch(query, { k: 10 }),
      1e-5,
      0,
    );
    expect(ordered.gpu.device.fallbacks).toBe(0);
    // And all equally near: the lower rows are found.
    const equal = await both({ dim, storage: 'i8' }, new Float32Array(rows * dim).fill(0.5));
    const found = await equal.gpu.search(query, { k: 20 });
    expect([...found.keys]).toEqual(Array.from({ length: 20 }, (_, at) => at));
    expect(equal.gpu.device.fallbacks).toBe(0);
  });

  it('leaves to the processor where rounding could hide the nearest', async () => {
    const dim = 8;
    const query = vectors(15, 1, dim);
    // Far nearer to each other than 11 bits tell.
    const data = Float32Array.from({ length: 3000 * dim }, (_, at) => {
      return query[at % dim]! + (3000 - Math.floor(at / dim)) / 30_000_000;
    });
    const { gpu, cpu } = await both({ dim }, data);
    const found = await gpu.search(query, { k: 10 });
    expect([...found.keys]).toEqual([...(await cpu.search(query, { k: 10 })).keys]);
    expect(gpu.device).toMatchObject({ searches: 1, fallbacks: 1 });
  });

  it('takes values of any size', async () => {
    const dim = 20;
    for (const scale of [1e-20, 1e15, 1e30]) {
      const data = vectors(16, 500, dim).map((value) => value * scale);
      const { gpu, cpu } = await both({ dim, storage: 'bf16' }, data);
      const queries = vectors(17, 5, dim).map((value) => value * scale);
      const [found, truth] = [
        await gpu.searchBatch(queries, { k: 5 }),
        await cpu.searchBatch(queries, { k: 5 }),
      ];
      expect([...found.keys]).toEqual([...truth.keys]);
    }
    const { gpu, cpu } = await both({ dim, storage: 'f16', metric: 'dot' }, vectors(18, 500, dim));
    const queries = vectors(19, 5, dim).map((value) => value * 1e9);
    expectSame(await gpu.searchBatch(queries, { k: 5 }), await cpu.searchBatch(queries, { k: 5 }));
  });

  it('leaves to the processor what is too large for it, with the same results', async () => {
    const { gpu, cpu } = await both({ dim: 4, storage: 'i8' }, vectors(20, 5000, 4));
    const queries = vectors(21, 2, 4);
    const found = await gpu.searchBatch(queries, { k: 4500 });
    expectSame(found, await cpu.searchBatch(queries, { k: 4500 }));
    expect(gpu.device.fallbacks).toBe(2);
  });

  it('gives the nearest neighbours of all rows, as exact search does', async () => {
    const dim = 12;
    const { gpu, cpu } = await both({ dim }, vectors(22, 150, dim));
    const lists = await gpu.neighbors(6);
    expect(lists.k).toBe(6);
    expect([...lists.rows]).toEqual([...(await cpu.neighbors(6)).rows]);
    for (const row of [0, 17, 149]) {
      const { keys } = await cpu.search(cpu.get(row)!, { k: 7 });
      expect([...lists.rows.subarray(6 * row, 6 * row + 6)]).toEqual([...keys].slice(1));
    }
    const graph = new HnswIndex({ dim, metric: 'l2' });
    await graph.add(vectors(22, 150, dim), { neighbors: lists });
    const query = vectors(23, 1, dim);
    expect([...(await graph.search(query, { k: 5 })).keys]).toEqual([
      ...(await cpu.search(query, { k: 5 })).keys,
    ]);
    await cpu.remove([5]);
    const { rows } = await cpu.neighbors(6);
    expect([...rows.subarray(30, 36)]).toEqual(new Array(6).fill(0xffffffff));
    expect([...rows]).not.toContain(5);
    await expect(cpu.neighbors(0)).rejects.toThrow(code('ARGUMENT'));
    await expect(cpu.neighbors(1025)).rejects.toThrow(code('ARGUMENT'));
    const few = new FlatIndex({ dim, metric: 'l2' });
    await few.add(vectors(1, 2, dim));
    expect([...(await few.neighbors(3)).rows]).toEqual([
      1,
      2 ** 32 - 1,
      2 ** 32 - 1,
      0,
      2 ** 32 - 1,
      2 ** 32 - 1,
    ]);
  });

  it('opens files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lichen-gpu-'));
    try {
      const path = join(folder, 'index.lichen');
      const data = vectors(23, 300, 16);
      const { gpu, cpu } = await both({ dim: 16, storage: 'i8' }, data);
      await gpu.save(path);
      const opened = await GpuFlatIndex.open(path, { deviceBytes: 1 << 20 });
      expect(opened).toBeInstanceOf(GpuFlatIndex);
      await expectSameSearch({ gpu: opened, cpu }, vectors(24, 4, 16), { k: 3 });
      const pq = new FlatIndex({ dim: 16, metric: 'l2', storage: 'pq' });
      await pq.add(data);
      await pq.save(path);
      await expect(GpuFlatIndex.open(path)).rejects.toThrow(code('UNSUPPORTED'));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('refuses bad options and types that devices have not', () => {
    expect(() => new GpuFlatIndex({ dim: 8, metric: 'l2', storage: 'pq' })).toThrow(
      code('UNSUPPORTED'),
    );
    expect(() => new GpuFlatIndex({ dim: 8, metric: 'l2', storage: 'i4' })).toThrow(
      code('UNSUPPORTED'),
    );
    expect(() => new GpuFlatIndex({ dim: 8, metric: 'l2', device: 1 })).toThrow(code('NO_DEVICE'));
    expect(() => new GpuFlatIndex({ dim: 8, metric: 'l2', device: -1 })).toThrow(code('ARGUMENT'));
    expect(() => new GpuFlatIndex({ dim: 8, metric: 'l2', deviceBytes: 1.5 })).toThrow(
      code('ARGUMENT'),
    );
    expect(() => new GpuFlatIndex(null as never)).toThrow(code('ARGUMENT'));
  });

  describe('when the device fails', () => {
    const dim = 16;
    const queries = vectors(26, 3, dim);
    let indexes: Awaited<ReturnType<typeof both>>;
    beforeAll(async () => {
      indexes = await both({ dim }, vectors(25, 400, dim));
    });
    afterAll(() => indexes.gpu.close());

    it('searches on the processor for want of memory, wherever that shows', async () => {
      const { gpu, cpu } = indexes;
      const truth = await cpu.searchBatch(queries, { k: 5 });
      for (let calls = 0; calls < 40; calls += 3) {
        simulate(2 ** 30, calls, STATUS.memory);
        expectSame(await gpu.searchBatch(queries, { k: 5 }), truth);
      }
      const { fallbacks } = gpu.device;
      expect(fallbacks).toBeGreaterThan(0);
      simulate();
      expectSame(await gpu.searchBatch(queries, { k: 5 }), truth);
      expect(gpu.device.fallbacks).toBe(fallbacks);
    });

    it('says so when it is lost, and is well when the device is', async () => {
      const { gpu, cpu } = indexes;
      for (let calls = 0; calls < 12; calls++) {
        simulate(2 ** 30, calls, STATUS.lost);
        await expect(gpu.searchBatch(queries, { k: 5 })).rejects.toThrow(code('DEVICE_LOST'));
      }
      simulate();
      expectSame(
        await gpu.searchBatch(queries, { k: 5 }),
        await cpu.searchBatch(queries, { k: 5 }),
      );
    });
  });

  it('answers many searches at once', async () => {
    const { gpu, cpu } = await both({ dim: 16, storage: 'bf16' }, vectors(27, 600, 16));
    await Promise.all(
      Array.from({ length: 12 }, async (_, at) => {
        const queries = vectors(100 + at, 1 + (at % 5), 16);
        expectSame(
          await gpu.searchBatch(queries, { k: 4 }),
          await cpu.searchBatch(queries, { k: 4 }),
        );
      }),
    );
    expect(gpu.device).toMatchObject({ searches: 33, fallbacks: 0 });
  });
});
