import { beforeAll, describe, expect, it } from 'vitest';
import { PairBatches, type PairBatch } from '../../src/towers/pair-batches.js';
import { ScoreBias } from '../../src/towers/score-bias.js';
import { inBatchSoftmax, type SoftmaxBatch } from '../../src/towers/softmax-loss.js';
import { loadTensorFlow, type TensorFlow } from '../../src/tensorflow/tensorflow.js';
import { Random } from '../../src/vectors/random.js';
import { randomUserItems, randomValues } from './pairs.js';

const dim = 6;

function sample(normalize: boolean): SoftmaxBatch {
  const source = randomUserItems(12, 15, 14, 5);
  const [pairs] = new PairBatches(source, 15, 40, new Random(4)).epoch();
  const bias = new Float32Array(pairs!.users.length * pairs!.items.length);
  new ScoreBias(source, 15, { logQ: true, maskKnown: true }).fill(bias, pairs!);
  return {
    pairs: pairs!,
    dim,
    users: randomValues(pairs!.users.length * dim, 11),
    items: randomValues(pairs!.items.length * dim, 12),
    bias,
    temperature: 0.4,
    normalize,
  };
}

/** The loss from its definition in float64. */
function lossOf(batch: SoftmaxBatch, users: Float64Array, items: Float64Array): number {
  const vector = (table: Float64Array, row: number): number[] => {
    const values = [...table.subarray(row * dim, (row + 1) * dim)];
    const length = batch.normalize ? Math.hypot(...values) : 1;
    return values.map((value) => value / length);
  };
  const { users: rows, items: columns, pairOffsets, pairColumns }: PairBatch = batch.pairs;
  let loss = 0;
  for (let row = 0; row < rows.length; row++) {
    const user = vector(users, row);
    const scores = Array.from(columns, (_, column) => {
      const item = vector(items, column);
      const dot = user.reduce((sum, value, at) => sum + value * item[at]!, 0);
      return dot / batch.temperature + batch.bias[row * columns.length + column]!;
    });
    const total = Math.log(scores.reduce((sum, score) => sum + Math.exp(score), 0));
    for (let pair = pairOffsets[row]!; pair < pairOffsets[row + 1]!; pair++) {
      loss += total - scores[pairColumns[pair]!]!;
    }
  }
  return loss / pairColumns.length;
}

function numericGradient(batch: SoftmaxBatch, side: 'users' | 'items'): number[] {
  const tables = { users: Float64Array.from(batch.users), items: Float64Array.from(batch.items) };
  const table = tables[side];
  return Array.from(table, (value, at) => {
    const [below, above] = [-1e-5, 1e-5].map((shift) => {
      table[at] = value + shift;
      return lossOf(batch, tables.users, tables.items);
    });
    table[at] = value;
    return (above! - below!) / 2e-5;
  });
}

describe.each(['wasm', 'cpu'] as const)('inBatchSoftmax on %s', (backend) => {
  let tf: TensorFlow;
  beforeAll(async () => {
    ({ tf } = await loadTensorFlow(backend));
  });

  it.each([true, false])('gives loss and gradients, normalize %s', (normalize) => {
    const batch = sample(normalize);
    const step = inBatchSoftmax(tf, batch);
    const { users, items } = batch;
    expect(step.loss).toBeCloseTo(
      lossOf(batch, Float64Array.from(users), Float64Array.from(items)),
      4,
    );
    const sides = { users: step.userGradients, items: step.itemGradients };
    for (const side of ['users', 'items'] as const) {
      const expected = numericGradient(batch, side);
      expect(sides[side]).toHaveLength(expected.length);
      expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(0.01);
      expected.forEach((value, at) => expect(sides[side][at]).toBeCloseTo(value, 5));
    }
  });

  it('disposes its tensors and changes none of its arguments', () => {
    const batch = sample(true);
    const copy = structuredClone(batch);
    const before = tf.memory().numTensors;
    inBatchSoftmax(tf, batch);
    expect(tf.memory().numTensors).toBe(before);
    expect(batch).toEqual(copy);
  });

  it('survives rows of zeros and reports a loss that is NaN', () => {
    const batch = sample(true);
    const zeros = inBatchSoftmax(tf, { ...batch, users: batch.users.map(() => 0) });
    expect(zeros.loss).toBeGreaterThan(0);
    expect(zeros.userGradients.every(Number.isFinite)).toBe(true);
    const broken = inBatchSoftmax(tf, { ...batch, users: batch.users.map(() => NaN) });
    expect(broken.loss).toBeNaN();
  });
});
