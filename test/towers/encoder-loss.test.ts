import '@tensorflow/tfjs';
import type { Tensor2D, Variable } from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadTensorFlow, type TensorFlow } from '../../src/tensorflow/tensorflow.js';
import {
  pairWeights,
  softmaxLoss,
  type SoftmaxLossOptions,
} from '../../src/towers/encoder-loss.js';
import { PairBatches, type PairBatch } from '../../src/towers/pair-batches.js';
import { ScoreBias } from '../../src/towers/score-bias.js';
import { Random } from '../../src/vectors/random.js';
import { randomUserItems, randomValues } from './pairs.js';

const dim = 6;

/** The loss from its definition in float64. */
function lossOf(
  batch: PairBatch,
  bias: Float32Array,
  users: Float64Array,
  items: Float64Array,
  { temperature, normalize, prefixes }: SoftmaxLossOptions,
): number {
  const width = batch.items.length;
  let total = 0;
  for (const prefix of prefixes) {
    const vector = (table: Float64Array, row: number): number[] => {
      const values = [...table.subarray(row * dim, row * dim + prefix)];
      const length = normalize ? Math.hypot(...values) : 1;
      return values.map((value) => value / length);
    };
    for (let row = 0; row < batch.users.length; row++) {
      const user = vector(users, row);
      const scores = Array.from(batch.items, (_, column) => {
        const item = vector(items, column);
        const dot = user.reduce((sum, value, at) => sum + value * item[at]!, 0);
        return dot / temperature + bias[row * width + column]!;
      });
      const log = Math.log(scores.reduce((sum, score) => sum + Math.exp(score), 0));
      for (let pair = batch.pairOffsets[row]!; pair < batch.pairOffsets[row + 1]!; pair++) {
        total += (log - scores[batch.pairColumns[pair]!]!) / batch.pairColumns.length;
      }
    }
  }
  return total / prefixes.length;
}

describe.each(['wasm', 'cpu'] as const)('softmaxLoss on %s', (backend) => {
  let tf: TensorFlow;
  beforeAll(async () => {
    ({ tf } = await loadTensorFlow(backend));
  });

  it.each([
    [true, [dim]],
    [false, [dim]],
    [true, [2, 3, dim]],
    [false, [1, dim]],
  ])('gives loss and gradients, normalize %s, prefixes %j', (normalize, prefixes) => {
    const source = randomUserItems(8, 9, 6, 5);
    const [batch] = new PairBatches(source, 9, 40, new Random(4)).epoch();
    const [rows, columns] = [batch!.users.length, batch!.items.length];
    const bias = new Float32Array(rows * columns);
    new ScoreBias(source, 9, { logQ: true, maskKnown: true }).fill(bias, batch!);
    const options = { temperature: 0.4, normalize, prefixes };
    const tables = [
      Float64Array.from(randomValues(rows * dim, 11)),
      Float64Array.from(randomValues(columns * dim, 12)),
    ] as const;
    const reference = (): number => lossOf(batch!, bias, tables[0], tables[1], options);

    const before = tf.memory().numTensors;
    const variables = tables.map((table) =>
      tf.tidy(() => tf.variable(tf.tensor2d(Float32Array.from(table), [table.length / dim, dim]))),
    ) as unknown as [Variable & Tensor2D, Variable & Tensor2D];
    const { value, grads } = tf.tidy(() => {
      const tile = {
        bias: tf.tensor2d(bias, [rows, columns]),
        weights: tf.tensor2d(pairWeights(batch!), [rows, columns]),
      };
      return tf.variableGrads(
        () => softmaxLoss(tf, variables[0], variables[1], tile, options),
        variables,
      );
    });
    expect(value.dataSync()[0]).toBeCloseTo(reference(), 4);
    tables.forEach((table, side) => {
      const got = grads[variables[side]!.name]!.dataSync();
      const expected = Array.from(table, (kept, at) => {
        const [below, above] = [-1e-5, 1e-5].map((shift) => {
          table[at] = kept + shift;
          return reference();
        });
        table[at] = kept;
        return (above! - below!) / 2e-5;
      });
      expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(0.01);
      expected.forEach((gradient, at) => expect(got[at]).toBeCloseTo(gradient, 4));
    });
    tf.dispose([value, grads, ...variables]);
    expect(tf.memory().numTensors).toBe(before);
  });
});
