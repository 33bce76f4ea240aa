import fc from 'fast-check';
import { LRUCache } from 'lru-cache';
import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { MemoryCache } from '../../src/cache/memory-cache.js';
import { cacheability, replayedHits } from '../../src/planning/cacheability.js';
import { reuseProfile, type CacheShape } from '../../src/planning/reuse.js';
import { makeTrace, readTrace, type Trace } from '../../src/planning/trace.js';
import { Random } from '../../src/vectors/random.js';
import { sharedData } from '../vectors/shared-data.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

/** The package lru-cache, asked request by request. */
function simulatedLru(trace: Trace, { entries, ttlMs = 0, publishEveryMs }: CacheShape): number {
  let now = 1;
  const make = () =>
    new LRUCache<number, true>({
      max: entries,
      ...(ttlMs > 0 &&
        ttlMs !== Infinity && { ttl: ttlMs, ttlResolution: 0, perf: { now: () => now } }),
    });
  let cache = make();
  let period = 0;
  let hits = 0;
  trace.keys.forEach((key, at) => {
    now = 1 + trace.times[at]!;
    const current = Math.floor((trace.times[at]! - trace.times[0]!) / (publishEveryMs ?? Infinity));
    if (publishEveryMs !== undefined && current !== period) {
      cache = make();
      period = current;
    }
    if (cache.get(key) === true) hits++;
    else cache.set(key, true);
  });
  return hits / trace.keys.length;
}

/** Few keys often, many seldom; now and then a scan. */
function zipf(seed: number, requests: number, keys: number, rate = 100): Trace {
  const random = new Random(seed);
  let scan = 0;
  return makeTrace(
    Array.from({ length: requests }, (_, at) => {
      if (scan === 0 && random.below(5000) === 0) scan = 300;
      if (scan > 0) return keys + at + scan--;
      return Math.floor(Math.exp(random.uniform() * Math.log(keys)));
    }),
    rate,
  );
}

describe('reuseProfile', () => {
  it('predicts what lru-cache answers, for any trace and size', () => {
    const keys = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(keys, fc.integer({ min: 1, max: 14 }), (list, entries) => {
        const trace = makeTrace(list);
        const predicted = reuseProfile(trace).hitRatio({ entries });
        expect(predicted).toBeCloseTo(simulatedLru(trace, { entries }), 12);
      }),
    );
  });

  it('predicts what lru-cache answers with a time to live', () => {
    const keys = fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 1, maxLength: 150 });
    const gaps = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 150, maxLength: 150 });
    fc.assert(
      fc.property(keys, gaps, fc.integer({ min: 1, max: 10 }), (list, between, entries) => {
        let time = 0;
        const times = list.map((_, at) => (time += 2 * between[at]!));
        const trace = makeTrace(list, times);
        const shape = { entries, ttlMs: 25 };
        const predicted = reuseProfile(trace).hitRatio(shape);
        expect(predicted).toBeCloseTo(simulatedLru(trace, shape), 12);
      }),
    );
  });

  it('counts distances as their definition says', () => {
    const { distances, mostHits } = reuseProfile(makeTrace(['a', 'b', 'a', 'a', 'c', 'b', 'a']));
    expect([...distances]).toEqual([Infinity, Infinity, 2, 1, Infinity, 3, 3]);
    expect(mostHits).toBeCloseTo(4 / 7, 12);
  });

  it.each([1000, 5000, 20_000])(
    'is within 2 points of lru-cache of %i entries by a tenth of the keys',
    (entries) => {
      const trace = zipf(3, 400_000, 50_000);
      const sampled = reuseProfile(trace, { sampleShare: 0.1 });
      for (const ttlMs of [Infinity, 600_000]) {
        const shape = { entries, ttlMs };
        const simulated = simulatedLru(trace, shape);
        expect(Math.abs(sampled.hitRatio(shape) - simulated)).toBeLessThan(0.02);
        expect(reuseProfile(trace).hitRatio(shape)).toBeCloseTo(simulated, 12);
      }
    },
  );

  it('lets new versions empty caches', () => {
    const trace = zipf(5, 50_000, 2000);
    const shape = { entries: 500, publishEveryMs: 20_000 };
    const predicted = reuseProfile(trace).hitRatio(shape);
    expect(Math.abs(predicted - simulatedLru(trace, shape))).toBeLessThan(0.02);
    expect(predicted).toBeLessThan(reuseProfile(trace).hitRatio({ entries: 500 }) - 0.02);
  });

  it('refuses what is no share and no cache', () => {
    const trace = makeTrace([1, 2, 1]);
    const code = { code: 'ERR_LICHEN_ARGUMENT' };
    for (const sampleShare of [0, -1, 1.1, NaN]) {
      expect(() => reuseProfile(trace, { sampleShare })).toThrow(expect.objectContaining(code));
    }
    for (const shape of [{ entries: -1 }, { entries: NaN }, { entries: 1, ttlMs: 0 }]) {
      expect(() => reuseProfile(trace).hitRatio(shape)).toThrow(expect.objectContaining(code));
    }
  });

  const scarab = sharedData('trace-scarab-recs', 'requests.1245184.i32.gz');
  it.skipIf(scarab.missing)(
    `gives the published hit ratios of LRU on a trace of a real service${scarab.note}`,
    async () => {
      const trace = await readTrace(scarab.path);
      expect([trace.keys.length, trace.keyCount]).toEqual([1_245_184, 258_368]);
      const profile = reuseProfile(trace);
      const sampled = reuseProfile(trace, { sampleShare: 0.2 });
      for (const [entries, ratio] of [
        [258, 0.1826],
        [2583, 0.3471],
        [12_918, 0.5171],
        [25_836, 0.606],
      ] as const) {
        expect(profile.hitRatio({ entries })).toBeCloseTo(ratio, 3);
        // A sample tells nothing of caches that hold a few dozen of its keys.
        if (entries < 1000) continue;
        expect(Math.abs(sampled.hitRatio({ entries }) - ratio)).toBeLessThan(0.02);
      }
    },
  );
});

describe('cacheability', () => {
  it('tells what a cache of lichen really answers, also by a sample', () => {
    const trace = zipf(9, 300_000, 30_000);
    const replay = (entries: number, ttlMs: number) => {
      let now = 0;
      const cache = new MemoryCache<number, number>({
        ...{ maxEntries: entries, now: () => now },
        ...(ttlMs !== Infinity && { ttlMs }),
      });
      let hits = 0;
      trace.keys.forEach((key, at) => {
        now = trace.times[at]!;
        if (cache.get(key) !== undefined) hits++;
        else cache.set(key, at);
      });
      return hits / trace.keys.length;
    };
    const options = { entries: [1000, 10_000], ttlsMs: [Infinity, 300_000] };
    const whole = cacheability(trace, { ...options, sampleShare: 1, entryBytes: 400 });
    const sampled = cacheability(trace, { ...options, sampleShare: 0.2 });
    expect(whole.points.length).toBe(4);
    expect(whole.points.some(({ isRough }) => isRough)).toBe(false);
    expect(sampled.points.map(({ isRough }) => isRough)).toEqual([false, false, false, false]);
    const [tiny] = cacheability(trace, { ...options, entries: [50], sampleShare: 0.2 }).points;
    expect(tiny!.isRough).toBe(true);
    whole.points.forEach(({ entries, ttlMs, hits, bytes }, at) => {
      expect(bytes).toBe(entries * 400);
      const real = replay(entries, ttlMs);
      expect(hits).toBeCloseTo(real, 12);
      expect(Math.abs(sampled.points[at]!.hits - real)).toBeLessThan(0.02);
    });
    expect(whole.repeats).toBeGreaterThan(whole.points[1]!.hits);
  });

  it('has nothing to give without room', () => {
    expect(replayedHits(zipf(1, 100, 10), { entries: 0 })).toBe(0);
  });
});

describe('readTrace', () => {
  const at = temporaryFolder();
  const write = (name: string, text: string | Buffer) => {
    writeFileSync(at(name), text);
    return at(name);
  };

  it('reads keys, and times where there are some, in their order', async () => {
    const plain = await readTrace(write('keys.txt', 'a\n\n# no request\nb\na\n'), { rate: 10 });
    expect([...plain.keys]).toEqual([0, 1, 0]);
    expect([...plain.times]).toEqual([0, 100, 200]);
    const timed = await readTrace(write('timed.csv', 'user,time\nx,2.5\ny,1\nx,4\n'));
    expect([...timed.keys]).toEqual([0, 1, 1]);
    expect([...timed.times]).toEqual([1000, 2500, 4000]);
    const packed = write('packed.tsv.gz', gzipSync('7\t0\n8\t1\n7\t2\n'));
    expect([...(await readTrace(packed)).keys]).toEqual([0, 1, 0]);
    const numbers = Buffer.from(Int32Array.of(5, -5, 5).buffer);
    expect([...(await readTrace(write('raw.i32', numbers))).keys]).toEqual([0, 1, 0]);
  });

  it.each([
    ['none.txt', '', 'EMPTY'],
    ['some.txt', 'a 1\nb\n', 'FORMAT'],
    ['odd.txt', 'a 1\nb soon\n', 'FORMAT'],
    ['torn.i32', Buffer.from([1, 2, 3]), 'FORMAT'],
  ])('refuses %s', async (name, content, code) => {
    await expect(readTrace(write(name, content))).rejects.toMatchObject({
      code: `ERR_LICHEN_${code}`,
    });
  });

  it('refuses times that go back or do not fit', () => {
    const code = (name: string) => expect.objectContaining({ code: `ERR_LICHEN_${name}` }) as Error;
    expect(() => makeTrace([1, 2], [5, 4])).toThrow(code('ARGUMENT'));
    expect(() => makeTrace([1, 2], [5])).toThrow(code('DIMENSION'));
    expect(() => makeTrace([1], [NaN])).toThrow(code('ARGUMENT'));
    expect(() => makeTrace([1], 0)).toThrow(code('ARGUMENT'));
    expect(() => makeTrace([])).toThrow(code('EMPTY'));
  });
});
