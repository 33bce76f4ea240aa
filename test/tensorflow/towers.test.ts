import { describe, expect, it } from 'vitest';
import { lichenFallbacks, resetLichenFallbacks } from '../../src/tensorflow/lichen-backend.js';
import { loadTensorFlow } from '../../src/tensorflow/tensorflow.js';
import type { TwoTowerOptions } from '../../src/towers/options.js';
import { TwoTowerModel } from '../../src/towers/two-tower-model.js';
import { twoGroups } from '../towers/planted.js';

const groups = twoGroups(40, 30, 6);
const small = { dim: 8, epochs: 2, negatives: 24, batchSize: 16 } as const;

/** Every loop of training that is lichen's own. */
const LOOPS: readonly [string, TwoTowerOptions][] = [
  ['history, softmax', {}],
  ['history, ccl', { loss: 'ccl' }],
  ['history, bpr', { loss: 'bpr' }],
  ['history in order', { ordered: true }],
  ['attention', { userTower: 'attention', dropout: 0.1 }],
  ['ids, dot product', { userTower: 'id' }],
  ['prefixes, validation', { prefixes: [2, 4], validation: 0.2 }],
];

describe.each(LOOPS)('training of %s', (_, options) => {
  it('is native throughout on the backend lichen, and leaves no tensor behind', async () => {
    const { tf } = await loadTensorFlow('lichen');
    const before = tf.memory().numTensors;
    const data = tf.engine().backend.numDataIds();
    resetLichenFallbacks();
    const { info } = await TwoTowerModel.train(groups, { ...small, ...options, backend: 'lichen' });
    expect([...lichenFallbacks()]).toEqual([]);
    expect(info.backend).toBe('lichen');
    expect(tf.memory().numTensors).toBe(before);
    expect(tf.engine().backend.numDataIds()).toBe(data);
  });

  it('comes to the same as on the cpu backend', async () => {
    const train = (backend: 'lichen' | 'cpu'): Promise<TwoTowerModel> =>
      TwoTowerModel.train(groups, { ...small, ...options, backend });
    const [native, plain] = [await train('lichen'), await train('cpu')];
    expect(native.info.loss).toBeCloseTo(plain.info.loss, 3);
    plain.itemVectors.data.forEach((value, at) =>
      expect(native.itemVectors.data[at]).toBeCloseTo(value, 2),
    );
  });
});
