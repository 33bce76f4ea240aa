import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { storedOf } from '../../bench/harness/stored.js';
import { beamLadder, leastBeam, rising } from '../../bench/harness/curves.js';
import {
  curvesSvg,
  curveStyles,
  rateTicks,
  recallPosition,
} from '../../bench/harness/curves-svg.js';

describe('beams', () => {
  it('grow by a factor, and by one at least', () => {
    expect(beamLadder(10, 80)).toEqual([10, 14, 20, 28, 40, 57]);
    expect(beamLadder(1, 6)).toEqual([1, 2, 3, 4, 6]);
    expect(beamLadder(10, 80, 2)).toEqual([10, 20, 40, 80]);
    expect(beamLadder(8, 7)).toEqual([]);
  });

  // Recall of 1 - 1 / ef, and which beams were tried.
  const asked = () => {
    const beams: number[] = [];
    const recallAt = (ef: number): number => {
      beams.push(ef);
      return 1 - 1 / ef;
    };
    return { beams, recallAt };
  };
  const limits = { least: 1, most: 1024 };
  const known = (...beams: number[]) => beams.map((ef) => ({ ef, recall: 1 - 1 / ef }));

  it('are narrowed down to the least that reaches a recall', async () => {
    const { beams, recallAt } = asked();
    expect(await leastBeam(0.95, known(40, 10, 14), recallAt, limits)).toEqual({
      ef: 20,
      recall: 0.95,
    });
    expect(Math.min(...beams)).toBeGreaterThan(14);
    expect(Math.max(...beams)).toBeLessThan(40);
  });

  it('are sought as far as is allowed where none is known to reach it', async () => {
    const { beams, recallAt } = asked();
    const found = await leastBeam(0.99, known(10, 14), recallAt, limits);
    expect(found!.ef).toBe(100);
    expect(beams[0]).toBe(1024);
    expect(beams).toHaveLength(1 + 10);
  });

  it('are not tried where the answer is known', async () => {
    const { beams, recallAt } = asked();
    expect(await leastBeam(0.95, known(19, 20), recallAt, limits)).toEqual({
      ef: 20,
      recall: 0.95,
    });
    expect(await leastBeam(0, known(1), recallAt, limits)).toEqual({ ef: 1, recall: 0 });
    expect(beams).toEqual([]);
  });

  it('are not found for a recall that the widest does not reach', async () => {
    const { beams, recallAt } = asked();
    expect(await leastBeam(0.9995, known(10), recallAt, limits)).toBeUndefined();
    expect(beams).toEqual([1024]);
  });

  it('are found whatever is known, and asked for seldom', async () => {
    const someBeams = fc.uniqueArray(fc.integer({ min: 10, max: 1000 }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 10, max: 1000 }), someBeams, async (threshold, efs) => {
        let times = 0;
        const recallOf = (ef: number): number => (ef >= threshold ? 0.95 : 0.9);
        const recallAt = (ef: number): number => {
          times++;
          return recallOf(ef);
        };
        const points = efs.map((ef) => ({ ef, recall: recallOf(ef) }));
        const found = await leastBeam(0.95, points, recallAt, { least: 10, most: 1000 });
        expect(found).toEqual({ ef: threshold, recall: 0.95 });
        expect(times).toBeLessThanOrEqual(11);
      }),
    );
  });

  it('may be judged by promises', async () => {
    const recallAt = (ef: number): Promise<number> => Promise.resolve(ef >= 7 ? 1 : 0);
    expect(await leastBeam(0.5, [], recallAt, { least: 5, most: 9 })).toEqual({ ef: 7, recall: 1 });
  });
});

describe('a curve', () => {
  it('ends where a wider beam finds no more', () => {
    const points = [0.9, 0.95, 0.94, 0.9501, 0.96].map((recall) => ({ recall, qps: 1 }));
    expect(rising(points).map(({ recall }) => recall)).toEqual([0.9, 0.95, 0.96]);
    expect(rising([])).toEqual([]);
  });
});

describe('the picture of curves', () => {
  it('has a scale of recall that widens towards 1', () => {
    const places = [0.8, 0.9, 0.95, 0.99, 1].map(recallPosition);
    expect(places).toEqual([...places].sort((a, b) => a - b));
    const halfWay = (places[0]! + places[4]!) / 2;
    expect(recallPosition(0.9)).toBeLessThan(halfWay);
    expect(recallPosition(0.98)).toBeLessThan(halfWay);
    expect(recallPosition(0.99)).toBeGreaterThan(halfWay);
    expect(recallPosition(1 + 1e-9)).toBe(places[4]);
  });

  it('has rates of one, two and five about those that are shown', () => {
    expect(rateTicks([130, 2100])).toEqual([100, 200, 500, 1000, 2000, 5000]);
    expect(rateTicks([200])).toEqual([200, 500]);
    expect(rateTicks([])).toEqual([100, 200, 500, 1000, 2000]);
    expect(rateTicks([0.06, 0.1])).toEqual([0.05, 0.1, 0.2]);
  });

  it('gives the curves of a library shades and dashes, and each library a colour', () => {
    const names = ['a f32', 'a i8', 'b-node', 'b C++', 'a i4'];
    const styles = curveStyles(names);
    expect(new Set(styles.map(({ colour }) => colour)).size).toBe(names.length);
    const dashes = styles.map(({ line }) => /dasharray="([^"]*)"/.exec(line)?.[1]);
    expect(dashes[0]).toBeUndefined();
    expect(dashes[2]).toBeUndefined();
    expect(dashes[1]).toBe(dashes[3]);
    expect(new Set([dashes[0], dashes[1], dashes[4]]).size).toBe(3);
    expect(curveStyles(['c', 'd'])).toEqual(curveStyles(['x f32', 'y f32']));
  });

  const at = (...pairs: [number, number][]) => pairs.map(([recall, qps]) => ({ recall, qps }));

  it('draws every point in its range, in the order of the legend', () => {
    const svg = curvesSvg('one <two> & three', [
      { name: 'first', points: at([0.5, 9000], [0.85, 5000], [0.99, 1000], [0.99, 100]) },
      { name: 'second', points: at([0.9, 3000], [1, 0]) },
      { name: 'third', points: at([0.7, 3000]) },
    ]);
    expect(svg).toContain('one &#60;two&#62; &#38; three');
    expect(svg.match(/<circle /g)).toHaveLength(3);
    const lines = [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(([, points]) =>
      points!.split(' ').map((point) => point.split(',').map(Number)),
    );
    expect(lines.map(({ length }) => length)).toEqual([2, 1]);
    const [[left, high], [right, low]] = lines[0] as [[number, number], [number, number]];
    expect(left).toBeLessThan(right);
    expect(high).toBeLessThan(low);
    const order = ['>first<', '>second<', '>third: below 0.8<'].map((text) => svg.indexOf(text));
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(order).not.toContain(-1);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  it('names its axes and keeps what is written inside', () => {
    const names = [
      'a name that is long enough to need room',
      ...Array.from('bcdefghijklmnopqrstuvwxyz'),
    ];
    const svg = curvesSvg(
      'title',
      names.map((name, rank) => ({ name, points: at([0.9, 100 + rank]) })),
    );
    expect(svg).toMatch(/>recall \(.*\)</);
    expect(svg).toContain('>queries a second, one thread<');
    const [width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!.slice(1).map(Number);
    const places = [...svg.matchAll(/<text x="([\d.]+)" y="([\d.]+)"/g)];
    expect(places.length).toBeGreaterThan(names.length);
    for (const [, x, y] of places) {
      expect(Number(x)).toBeLessThan(width!);
      expect(Number(y)).toBeLessThan(height!);
    }
    const short = curvesSvg('title', [{ name: 'b', points: at([0.9, 100]) }]);
    expect(width).toBeGreaterThan(Number(/viewBox="0 0 (\d+)/.exec(short)![1]));
  });

  it('is there without curves', () => {
    expect(curvesSvg('nothing', [])).not.toMatch(/NaN|Infinity|undefined/);
  });
});

it('storages are named as they are asked for', () => {
  for (const text of ['f32', 'i8+f16', 'i4+i8@30', 'b1@200', 'i4/9:8']) {
    expect(storedOf(text).text).toBe(text);
  }
  expect(storedOf('f32')).toEqual({ text: 'f32', storage: 'f32' });
  expect(storedOf('i4/128+f16@50:12')).toMatchObject({
    ...{ storage: 'i4', pca: 128, rerank: 'f16', efConstruction: 50, m: 12 },
  });
  for (const text of [
    'i3',
    'i8+',
    'i8@',
    'i8@x',
    'i8@0',
    'i8/',
    'i8/0',
    'i8:',
    'i8:0',
    'i8+f16/2',
  ]) {
    expect(() => storedOf(text)).toThrow();
  }
});
