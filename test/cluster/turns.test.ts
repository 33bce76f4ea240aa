import { setImmediate as immediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Turns } from '../../src/cluster/turns.js';

describe('turns', () => {
  it('let four begin at a time, in the order of coming, and the first at once', async () => {
    const turns = new Turns();
    const begun: number[] = [];
    const work = async (at: number): Promise<void> => {
      const turn = turns.next();
      if (turn !== undefined) await turn;
      begun.push(at);
    };
    const all = Array.from({ length: 11 }, (_, at) => work(at));
    expect(begun).toEqual([0, 1, 2, 3]);
    const counts: number[] = [];
    while (begun.length < 11) {
      await immediate();
      counts.push(begun.length);
    }
    await Promise.all(all);
    expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(counts).toEqual([8, 11]);
    await immediate();
    await immediate();
    expect(turns.next()).toBeUndefined();
  });

  it('keep their order when more come meanwhile', async () => {
    const turns = new Turns();
    const begun: number[] = [];
    const work = async (at: number): Promise<void> => {
      const turn = turns.next();
      if (turn !== undefined) await turn;
      begun.push(at);
      if (at < 20) await work(at + 20);
    };
    await Promise.all(Array.from({ length: 20 }, (_, at) => work(at)));
    expect(begun.filter((at) => at < 20)).toEqual(Array.from({ length: 20 }, (_, at) => at));
    expect([...begun].sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, at) => at));
  });
});
