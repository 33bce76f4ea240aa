import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isFlat, trendOf } from '../../bench/soak/flatness.js';
import { DIM, Stock } from '../../bench/soak/stock.js';
import { growthOf, look, type Holdings } from '../../bench/soak/watch.js';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { Random } from '../../src/vectors/random.js';

const ROOT = join(__dirname, '..', '..');
const MEBIBYTE = 2 ** 20;

/** Half an hour of looks, every ten seconds: a base, growth an hour, and noise above what is held. */
function looks(base: number, anHour: number): { seconds: number; value: number }[] {
  const random = new Random(3);
  return Array.from({ length: 180 }, (_, at) => ({
    seconds: 10 * at,
    value: base + (anHour * at) / 360 + 20 * MEBIBYTE * random.uniform(),
  }));
}

describe('whether memory is flat', () => {
  it('is told by the slope and its spread', () => {
    const base = 300 * MEBIBYTE;
    const flat = trendOf(looks(base, 0));
    expect(flat.hours).toBeCloseTo(0.497, 3);
    expect(flat.low).toBeLessThan(0);
    expect(flat.high).toBeGreaterThan(0);
    expect(isFlat(flat, base)).toBe(true);
    const leak = trendOf(looks(base, 60 * MEBIBYTE));
    expect(Math.abs(leak.slope / MEBIBYTE - 60)).toBeLessThan(10);
    expect(leak.low).toBeLessThan(leak.slope);
    expect(isFlat(leak, base)).toBe(false);
    // Growth for certain, but of next to nothing.
    expect(isFlat({ slope: 10, low: 5 * MEBIBYTE, high: 15, hours: 0.5 }, base)).toBe(true);
    expect(isFlat({ slope: 10, low: 50 * MEBIBYTE, high: 15, hours: 1 }, 100 * base)).toBe(true);
    expect(() => trendOf(looks(base, 0).slice(0, 2))).toThrow(/too few/);
  });

  it('is told by what is held, of large blocks and small ones', () => {
    for (const rows of [1000, 200_000]) {
      const vectors = new Float32Array(16 * rows).fill(1);
      const before = look(0).held;
      const index = new FlatIndex({ dim: 16, metric: 'l2' });
      index.addSync(vectors);
      const { bytes } = index;
      expect(bytes).toBeGreaterThanOrEqual(64 * rows);
      // Of all threads of this process, of which others may take some as well.
      expect(Math.abs(look(0).held - before - bytes)).toBeLessThan(0.1 * bytes + MEBIBYTE);
      index.close();
      expect(Math.abs(look(0).held - before)).toBeLessThan(0.1 * bytes + MEBIBYTE);
    }
  });

  it('is told of handles, files and shares as well', () => {
    const some = (files: number, timers: number): Holdings => ({
      ...{ handles: { Timeout: timers }, files, shares: { shares: 0 } },
    });
    expect(growthOf(some(20, 1), some(19, 1))).toEqual([]);
    expect(growthOf(some(20, 1), some(21, 3))).toEqual([
      'open handles, Timeout: 1 at the start, 3 at the end',
      'open files: 20 at the start, 21 at the end',
    ]);
    const none = { ...some(20, 0), handles: {} };
    expect(growthOf(none, some(20, 1))).toHaveLength(1);
  });
});

describe('what answers are held against', () => {
  it('finds fault with what was never there, has gone, or is not finite', async () => {
    const attributes = { shelf: 'category', price: 'number' } as const;
    const index = new HnswIndex({ dim: DIM, metric: 'cosine', attributes });
    const stock = new Stock(index, 50, new Random(1));
    await stock.upsert([1, 2, 3, 4]);
    await stock.remove([2]);
    const found = (keys: number[], scores: number[]) => () =>
      stock.check(
        'search',
        2,
        { keys: Float64Array.from(keys), scores: Float32Array.from(scores) },
        3,
      );
    expect(found([1, 3], [0.9, 0.9])).not.toThrow();
    expect(found([1, 2], [0.9, 0.8])).toThrow(/key 2 was found/);
    expect(found([1, 9], [0.9, 0.8])).toThrow(/key 9 was found/);
    expect(found([1, 3], [0.9, NaN])).toThrow(/a score is NaN/);
    expect(found([1, 3], [0.8, 0.9])).toThrow(/scores rise/);
    expect(found([1, 1], [0.8, 0.8])).toThrow(/a key twice/);
    expect(found([1, 3, 4, 1], [0.8, 0.8, 0.8, 0.8])).toThrow(/4 keys/);
    // It was there when the search began.
    const [keys, scores] = [Float64Array.of(2), Float32Array.of(0.5)];
    expect(() => stock.check('search', 1, { keys, scores }, 3)).not.toThrow();
    stock.spotCheck();
    expect(stock.recall).toBe(1);
    expect(() => stock.compare('same', index)).not.toThrow();
    index.removeSync([1]);
    expect(() => stock.compare('less', index)).toThrow(/2 of 3 vectors/);
    index.addSync([new Float32Array(DIM).fill(-1)], { keys: [1] });
    expect(() => stock.compare('other', index)).toThrow(/key 1 is another/);
    expect(() => stock.spotCheck()).toThrow(/key 1 scores/);
    index.close();
  });
});

it('a soak of seconds finds nothing', () => {
  const args = ['--minutes', '0.04', '--rows', '1000', '--json'];
  const run = spawnSync(process.execPath, ['--import', 'tsx', 'bench/soak/main.ts', ...args], {
    ...{ cwd: ROOT, encoding: 'utf8' },
  });
  expect(run.stdout + run.stderr).toContain('"failures":[]');
  const { operations, recall } = JSON.parse(run.stdout) as {
    operations: Record<string, number>;
    recall: number;
  };
  expect(Object.keys(operations)).toHaveLength(18);
  for (const [name, count] of Object.entries(operations)) expect(count, name).toBeGreaterThan(0);
  expect(recall).toBeGreaterThan(0.9);
  expect(run.status).toBe(0);
}, 60_000);
