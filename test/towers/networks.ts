import * as tf from '@tensorflow/tfjs';
import type { Interactions } from '../../src/interactions/interactions.js';
import type { DualEncoderOptions } from '../../src/towers/dual-encoder-options.js';
import type { EncoderSpec } from '../../src/towers/encoder.js';
import { twoGroups } from './planted.js';

// Else the cpu backend advertises another package with its first tensor.
tf.env().set('PROD', true);

export const USERS = 40;
export const ITEMS = 30;
export const groups = twoGroups(USERS, ITEMS, 6);

/** What is known of users and items: the group (the parity of the id) beside values that say nothing. */
function features(interactions: Interactions, side: 'users' | 'items') {
  return (rows: Int32Array): tf.Tensor2D => {
    const values = Array.from(rows, (row) => {
      const id = Number(interactions[side].idAt(row));
      return [id % 2, 1 - (id % 2), Math.sin(id), 1];
    });
    return tf.tensor2d(values, [rows.length, 4]);
  };
}

export const userInputs = features(groups, 'users');
export const itemInputs = features(groups, 'items');

export function network(seed: number, units = 4): tf.LayersModel {
  const initial = (at: number) => tf.initializers.glorotUniform({ seed: seed + at });
  return tf.sequential({
    layers: [
      tf.layers.dense({
        units: 6,
        inputShape: [4],
        activation: 'tanh',
        kernelInitializer: initial(0),
      }),
      tf.layers.dense({ units, kernelInitializer: initial(1) }),
    ],
  });
}

export const userTower = (): EncoderSpec => ({ model: network(1), inputs: userInputs });
export const itemTower = (): EncoderSpec => ({ model: network(7), inputs: itemInputs });
/** A temperature at which cosines keep being driven apart. */
export const quick: DualEncoderOptions = {
  ...{ epochs: 12, batchSize: 48, backend: 'cpu' },
  ...{ learningRate: 0.05, temperature: 0.5 },
};
