import fc from 'fast-check';
import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { cacheability, replayedHits } from '../../src/planning/cacheability.js';
import { reuseProfile } from '../../src/planning/reuse.js';
import { makeTrace, readTrace } from '../../src/planning/trace.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const at = temporaryFolder();
const code = (name: string) => expect.objectContaining({ code: `ERR_LICHEN_${name}` }) as Error;

/** Keys in any order with gaps of fractions of milliseconds. */
const traces = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 40 })), {
    minLength: 1,
    maxLength: 80,
  })
  .map((list) => {
    let time = 3.25;
    return makeTrace(
      list.map(([key]) => key),
      list.map(([, gap]) => (time += gap / 8)),
    );
  });

describe('reuseProfile', () => {
  it('has no more hits than repeats in a cache without a limit', () => {
    const profile = reuseProfile(makeTrace(['a', 'b', 'a', 'c']));
    expect(profile.mostHits).toBeCloseTo(1 / 4, 12);
    expect(profile.hitRatio({ entries: 1e9 })).toBeCloseTo(1 / 4, 12);
    expect(profile.hitRatio({ entries: Infinity })).toBeCloseTo(1 / 4, 12);
  });

  it('never has more hits than repeats, and more with more room and more time', () => {
    const size = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constant(Infinity));
    fc.assert(
      fc.property(traces, size, fc.integer({ min: 1, max: 30 }), (trace, entries, ttlMs) => {
        const profile = reuseProfile(trace);
        const hits = profile.hitRatio({ entries, ttlMs });
        expect(hits).toBeLessThanOrEqual(profile.mostHits + 1e-12);
        expect(profile.hitRatio({ entries: entries + 1, ttlMs })).toBeGreaterThanOrEqual(
          hits - 1e-12,
        );
        expect(profile.hitRatio({ entries })).toBeGreaterThanOrEqual(hits - 1e-12);
      }),
    );
  });

  it('has distances as counting them one by one gives', () => {
    fc.assert(
      fc.property(traces, (trace) => {
        const keys = [...trace.keys];
        const expected = keys.map((key, now) => {
          const before = keys.lastIndexOf(key, now - 1);
          return now === 0 || before < 0 ? Infinity : new Set(keys.slice(before, now)).size;
        });
        expect([...reuseProfile(trace).distances]).toEqual(expected);
      }),
    );
  });

  it('takes traces of one request, one key, and samples that hold nothing', () => {
    const one = reuseProfile(makeTrace(['x']));
    expect([one.mostHits, one.hitRatio({ entries: 5 }), one.keyCount]).toEqual([0, 0, 1]);
    const same = reuseProfile(makeTrace(new Array<number>(10).fill(7)));
    expect(same.hitRatio({ entries: 1 })).toBeCloseTo(0.9, 12);
    expect(same.hitRatio({ entries: 0 })).toBe(0);
    const none = reuseProfile(makeTrace([1, 2, 1]), { sampleShare: 1e-9 });
    expect(none.hitRatio({ entries: 1 })).toBeGreaterThanOrEqual(0);
    expect(none.hitRatio({ entries: 1 })).toBeLessThanOrEqual(1);
  });
});

describe('replayedHits', () => {
  it('lets a new version empty the cache at the same times as the prediction', () => {
    // The second and third request lie on two sides of the second new version.
    const trace = makeTrace(['a', 'a', 'a'], [0, 1999.5, 2000.25]);
    const shape = { entries: 10, publishEveryMs: 1000 };
    expect(reuseProfile(trace).hitRatio(shape)).toBe(0);
    expect(replayedHits(trace, shape)).toBe(0);
  });

  it('agrees with the prediction where nothing has to leave', () => {
    const period = fc.constantFrom(0.25, 0.5, 1, 2.5, 7, 20);
    fc.assert(
      fc.property(traces, period, (trace, publishEveryMs) => {
        const shape = { entries: 10, publishEveryMs };
        expect(replayedHits(trace, shape)).toBeCloseTo(reuseProfile(trace).hitRatio(shape), 12);
      }),
    );
  });

  it.each([
    { entries: NaN },
    { entries: -1 },
    { entries: 5, ttlMs: 0 },
    { entries: 5, ttlMs: NaN },
    { entries: 5, publishEveryMs: 0 },
    { entries: 5, publishEveryMs: NaN },
    { entries: 5, publishEveryMs: -1 },
  ])('refuses %o', (shape) => {
    const trace = makeTrace(['a', 'b', 'a']);
    expect(() => replayedHits(trace, shape)).toThrow(code('ARGUMENT'));
    expect(() => reuseProfile(trace).hitRatio(shape)).toThrow(code('ARGUMENT'));
  });
});

describe('cacheability', () => {
  it('takes one request, and a limit of any size', () => {
    const { points, repeats } = cacheability(makeTrace(['x']));
    expect(repeats).toBe(0);
    expect(points.every(({ hits, lruHits }) => hits === 0 && lruHits === 0)).toBe(true);
    const trace = makeTrace(['a', 'b', 'a', 'b']);
    const [whole] = cacheability(trace, { entries: [Infinity], ttlsMs: [Infinity] }).points;
    expect([whole!.lruHits, whole!.hits]).toEqual([0.5, 0.5]);
  });

  it.each([
    { entries: [NaN] },
    { entries: [-1] },
    { ttlsMs: [0] },
    { ttlsMs: [-5] },
    { publishEveryMs: 0 },
    { sampleShare: 0 },
    { sampleShare: 2 },
    { entryBytes: NaN },
    { entryBytes: -1 },
  ])('refuses %o', (options) => {
    expect(() => cacheability(makeTrace(['a', 'b', 'a']), options)).toThrow(code('ARGUMENT'));
  });
});

describe('readTrace', () => {
  it.each([
    ['an empty time', 'x,2.5\ny,\nz,4\n'],
    ['empty times only', 'x,\ny,\n'],
    ['a time beyond numbers', 'x 1\ny 1e306\n'],
    ['infinite times', 'x 1\ny Infinity\n'],
    ['a time in words after the first line', 'x 1\ny NaN\n'],
    ['no time on the last line', 'x 1\ny'],
  ])('takes no %s for a time', async (name, text) => {
    const path = at(`${name.replaceAll(' ', '-')}.csv`);
    writeFileSync(path, text);
    await expect(readTrace(path)).rejects.toThrow(code('FORMAT'));
  });

  it('keeps keys apart that look alike, and names of anything', async () => {
    const path = at('names.txt');
    writeFileSync(path, '__proto__\nconstructor\n__proto__\n1\n01\n1.0\n');
    expect([...(await readTrace(path)).keys]).toEqual([0, 1, 0, 2, 3, 4]);
  });

  it('keeps the order of what came at one time', async () => {
    const path = at('ties.txt');
    writeFileSync(path, Array.from({ length: 500 }, (_, n) => `${n} ${n % 2}\n`).join(''));
    const { keys, times } = await readTrace(path);
    // Keys are numbered in the order in which requests come.
    expect([...keys]).toEqual(Array.from({ length: 500 }, (_, n) => n));
    expect([...times].filter((time) => time === 0).length).toBe(250);
  });

  it.each([NaN, 0, -1, Infinity])('refuses a rate of %f', async (rate) => {
    const path = at('rate.txt');
    writeFileSync(path, 'a\nb\n');
    await expect(readTrace(path, { rate })).rejects.toThrow(code('ARGUMENT'));
  });

  it('is given up when asked', async () => {
    const path = at('abort.txt');
    writeFileSync(path, 'a\nb\n');
    const signal = AbortSignal.abort();
    await expect(readTrace(path, { signal })).rejects.toThrow(code('ABORTED'));
    await expect(readTrace(at('none.i32'))).rejects.toThrow(code('NOT_FOUND'));
  });
});
