import * as tf from '@tensorflow/tfjs-core';
import * as cpu from '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  lichenFallbacks,
  registerLichenBackend,
  resetLichenFallbacks,
} from '../../src/tensorflow/lichen-backend.js';
import { inBatchSoftmax, type SoftmaxStep } from '../../src/towers/softmax-loss.js';
import { randomValues } from '../towers/pairs.js';

const ROWS = 40;
const COLUMNS = 50;
const DIM = 24;

/** A step of the towers' training on a backend. */
async function step(backend: string, normalize: boolean): Promise<SoftmaxStep> {
  await tf.setBackend(backend);
  const pairColumns = Int32Array.from({ length: ROWS * 2 }, (_, pair) => (pair * 7) % COLUMNS);
  return inBatchSoftmax(tf, {
    pairs: {
      users: Int32Array.from({ length: ROWS }, (_, row) => row),
      items: Int32Array.from({ length: COLUMNS }, (_, column) => column),
      pairOffsets: Int32Array.from({ length: ROWS + 1 }, (_, row) => 2 * row),
      pairColumns,
    },
    dim: DIM,
    users: randomValues(ROWS * DIM, 1),
    items: randomValues(COLUMNS * DIM, 2),
    bias: randomValues(ROWS * COLUMNS, 3).map((value, at) => (at % 9 === 0 ? -1e9 : value)),
    temperature: 0.5,
    normalize,
  });
}

describe('the loop of the towers', () => {
  beforeAll(() => {
    tf.env().set('PROD', true); // the cpu backend advertises another package otherwise
    registerLichenBackend(tf, cpu);
  });

  it.each([false, true])(
    'is native throughout and agrees with the cpu backend (%s)',
    async (normalize) => {
      const expected = await step('cpu', normalize);
      resetLichenFallbacks();
      const actual = await step('lichen', normalize);
      expect([...lichenFallbacks()]).toEqual([]);
      expect(actual.loss).toBeCloseTo(expected.loss, 5);
      for (const name of ['userGradients', 'itemGradients'] as const) {
        expect(actual[name].length).toBe(expected[name].length);
        actual[name].forEach((value, at) => expect(value).toBeCloseTo(expected[name][at]!, 6));
      }
    },
  );

  it('leaves no tensor behind', async () => {
    await step('lichen', true);
    const before = tf.memory();
    const data = tf.engine().backend.numDataIds();
    await step('lichen', true);
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.engine().backend.numDataIds()).toBe(data);
  });
});
