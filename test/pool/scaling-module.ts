// A user tower that is made and asked asynchronously: the user's number, times a weight that is shared, in each value.

import { setImmediate } from 'node:timers/promises';
import type { TowerFunction } from '../../src/pool/user-tower.js';

export async function createTower({
  scale,
  dim,
}: {
  scale: Float32Array;
  dim: number;
}): Promise<TowerFunction> {
  await setImmediate();
  return async ({ rows, users }) => {
    await setImmediate();
    const values = { length: rows * dim };
    return Float32Array.from(values, (_, at) => scale[0]! * users![Math.floor(at / dim)]!);
  };
}
