import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { storedName, storedOf } from '../../bench/harness/ann-sides.js';
import { beamLadder, leastBeam } from '../../bench/harness/curves.js';
import { curvesSvg, recallPosition } from '../../bench/harness/curves-svg.js';

describe('a ladder of beams', () => {
  it('rises by about a factor and never stands still', () => {
    expect(beamLadder(10, 60)).toEqual([10, 14, 20, 28, 40, 57]);
    expect(beamLadder(1, 5, 1.1)).toEqual([1, 2, 3, 4, 5]);
    expect(beamLadder(7, 6)).toEqual([]);
  });
});

describe('the least beam that reaches a recall', () => {
  it('is found whatever is known, and asked for seldom', async () => {
    const known = fc.uniqueArray(fc.integer({ min: 10, max: 1000 }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 10, max: 1000 }), known, async (threshold, efs) => {
        let asked = 0;
        const recallOf = (ef: number): number => (ef >= threshold ? 0.95 : 0.9);
        const found = await leastBeam(
          0.95,
          efs.map((ef) => ({ ef, recall: recallOf(ef) })),
          (ef) => {
            asked++;
            return recallOf(ef);
          },
          { least: 10, most: 1000 },
        );
        expect(found).toEqual({ ef: threshold, recall: 0.95 });
        expect(asked).toBeLessThanOrEqual(11);
      }),
    );
  });

  it('may not exist', async () => {
    const limits = { least: 1, most: 64 };
    expect(await leastBeam(0.95, [{ ef: 10, recall: 0.9 }], () => 0.94, limits)).toBeUndefined();
  });
});

describe('a picture of curves', () => {
  it('widens towards a recall of 1', () => {
    const steps = [0.8, 0.9, 0.95, 0.99, 1].map(recallPosition);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect(recallPosition(1.5)).toBe(recallPosition(1));
    expect(recallPosition(0.9) - recallPosition(0.89)).toBeLessThan(
      recallPosition(0.99) - recallPosition(0.98),
    );
  });

  it('has a line and a dot for each point that is worth one, and a legend', () => {
    const svg = curvesSvg('a <title> & more', [
      {
        name: 'one',
        points: [
          { recall: 0.5, qps: 900 },
          { recall: 0.9, qps: 500 },
          { recall: 0.99, qps: 100 },
        ],
      },
      { name: 'none', points: [] },
    ]);
    expect(svg).toContain('a &#60;title&#62; &#38; more');
    expect(svg.match(/<circle/g)?.length).toBe(2);
    expect(svg.match(/<polyline/g)?.length).toBe(2);
    for (const name of ['one', 'none', '1,000', '100']) expect(svg).toContain(`>${name}</text>`);
    const [, x, y] = /points="([\d.]+),([\d.]+) /.exec(svg)!;
    expect(Number(x)).toBeCloseTo(recallPosition(0.9), 1);
    expect(Number(y)).toBeGreaterThan(66);
    expect(Number(y)).toBeLessThan(500);
  });

  it('may be empty', () => {
    expect(curvesSvg('nothing', [])).toContain('</svg>');
  });
});

it('storages are named as they are asked for', () => {
  for (const text of ['f32', 'i8+f16', 'i4+i8@30', 'b1@200']) {
    expect(storedName(storedOf(text))).toBe(text);
  }
  expect(storedOf('i8+f16@50')).toEqual({ storage: 'i8', rerank: 'f16', efConstruction: 50 });
  for (const text of ['i3', 'i8+', 'i8@', 'i8@x', 'i8@0']) expect(() => storedOf(text)).toThrow();
});
