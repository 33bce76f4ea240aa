// The user tower of tests, in workers: gives the vectors of the batch, after it has done what the test tells it to do.

import type { TowerFunction } from '../../src/pool/user-tower.js';
import { ACTIONS, WORDS } from './control.js';

/** @param words of a Control */
export function createTower(words: Int32Array): TowerFunction {
  return (batch) => {
    const action = take(words);
    Atomics.add(words, WORDS.begun, 1);
    const { data } = batch.vectors!;
    switch (action) {
      case ACTIONS.exit:
        return process.exit(3);
      case ACTIONS.uncaught:
        setImmediate(() => {
          throw new Error('nobody catches this');
        });
        return new Promise(() => undefined);
      case ACTIONS.exhaust:
        return exhaust();
      case ACTIONS.fail:
        throw new TypeError('the tower is broken');
      case ACTIONS.shorten:
        return data.subarray(1);
      case ACTIONS.spoil:
        return data.map(() => NaN);
      case ACTIONS.wait:
        Atomics.wait(words, WORDS.gate, 0);
        return data;
      case ACTIONS.spin:
        for (;;) Atomics.load(words, WORDS.gate);
      default:
        return data;
    }
  };
}

function take(words: Int32Array): number {
  for (;;) {
    const left = Atomics.load(words, WORDS.times);
    if (left <= 0) return 0;
    if (Atomics.compareExchange(words, WORDS.times, left, left - 1) === left) {
      return Atomics.load(words, WORDS.action);
    }
  }
}

function exhaust(): never {
  const hoard: number[][] = [];
  for (;;) hoard.push(Array.from({ length: 1000 }, (_, at) => at + 0.5));
}
