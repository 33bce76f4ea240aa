import { beforeAll, describe, expect, it } from 'vitest';
import { loadTensorFlow, type TensorFlow } from '../../src/tensorflow/tensorflow.js';
import { bprLoss } from '../../src/towers/bpr-loss.js';
import { contrastiveLoss } from '../../src/towers/contrastive-loss.js';
import type { Loss, LossBatch } from '../../src/towers/loss.js';
import { cosineOf, prefixLoss } from '../../src/towers/prefix-loss.js';
import { softmaxLoss } from '../../src/towers/softmax-loss.js';
import { Random } from '../../src/vectors/random.js';
import {
  lossBatch,
  maskedPlaces,
  numericGradients,
  plainLoss,
  vectorsOf,
  type PlainLoss,
} from './loss-batch.js';

const DIM = 6;
const TEMPERATURE = 0.4;
const SIDES = ['users', 'negatives', 'targets'] as const;

/** Each pair against the negatives, weighted, and all pairs of its row. */
const softmax: PlainLoss = (pairs, negatives) => {
  const ofNegatives = negatives.map(({ score, bias }) => Math.exp(score / TEMPERATURE + bias));
  const logits = pairs.map(({ score, bias }) => score / TEMPERATURE + bias);
  const all = [...ofNegatives, ...logits.map(Math.exp)];
  const total = Math.log(all.reduce((sum, one) => sum + one, 0));
  return logits.reduce((sum, logit) => sum + total - logit, 0);
};

const CCL = { margin: 0.2, negativeWeight: 7 };

/** With the mean taken over all 9 negatives, masked ones counting as below the margin. */
const contrastive: PlainLoss = (pairs, negatives) => {
  const excess = negatives.reduce((sum, { score }) => sum + Math.max(0, score - CCL.margin), 0);
  return pairs.reduce((sum, { score }) => sum + 1 - score + (CCL.negativeWeight * excess) / 9, 0);
};

type Vectors = ReturnType<typeof vectorsOf>;

/** The vectors cut to `dim` values and made of length 1. */
function units(vectors: Vectors, dim: number): Vectors {
  const cut = (values: Float64Array): Float64Array => {
    const rows = Array.from({ length: values.length / DIM }, (_, row) => {
      const prefix = Array.from(values.subarray(row * DIM, row * DIM + dim));
      const length = Math.hypot(...prefix);
      return prefix.map((value) => value / length);
    });
    return Float64Array.from(rows.flat());
  };
  return {
    users: cut(vectors.users),
    negatives: cut(vectors.negatives),
    targets: cut(vectors.targets),
  };
}

const CASES: readonly [string, Loss, (batch: LossBatch, vectors: Vectors) => number][] = [
  ['softmax', softmaxLoss(TEMPERATURE), (batch, vectors) => plainLoss(batch, softmax, vectors)],
  ['ccl', contrastiveLoss(CCL), (batch, vectors) => plainLoss(batch, contrastive, vectors)],
  [
    'softmax of cosines',
    cosineOf(softmaxLoss(TEMPERATURE)),
    (batch, vectors) => plainLoss(batch, softmax, units(vectors, DIM)),
  ],
  [
    'ccl of cosines of prefixes',
    prefixLoss(cosineOf(contrastiveLoss(CCL)), [2, 5, DIM]),
    (batch, vectors) =>
      [2, 5, DIM].reduce(
        (sum, dim) => sum + plainLoss({ ...batch, dim }, contrastive, units(vectors, dim)) / 3,
        0,
      ),
  ],
];

describe.each(['lichen', 'wasm', 'cpu'] as const)('losses on %s', (backend) => {
  let tf: TensorFlow;
  beforeAll(async () => {
    ({ tf } = await loadTensorFlow(backend));
  });

  it.each(CASES)('gives %s and its gradients', (_, loss, plain) => {
    const batch = lossBatch(DIM);
    const step = loss(tf, batch);
    expect(step.loss).toBeCloseTo(plain(batch, vectorsOf(batch)), 4);
    const expected = numericGradients(vectorsOf(batch), (vectors) => plain(batch, vectors));
    for (const side of SIDES) {
      expect(step[side]).toHaveLength(expected[side].length);
      expect(Math.max(...expected[side].map(Math.abs))).toBeGreaterThan(0.01);
      expected[side].forEach((value, at) => expect(step[side][at]).toBeCloseTo(value, 4));
    }
  });

  it.each(CASES)('disposes the tensors of %s and changes none of its arguments', (_, loss) => {
    const batch = lossBatch(DIM);
    const copy = structuredClone(batch);
    const before = tf.memory().numTensors;
    loss(tf, batch);
    expect(tf.memory().numTensors).toBe(before);
    expect(batch).toEqual(copy);
  });

  it('survives rows of zeros and great scores, and reports a loss that is NaN', () => {
    const batch = lossBatch(DIM);
    const loss = cosineOf(softmaxLoss(TEMPERATURE));
    const zeros = loss(tf, { ...batch, users: batch.users.map(() => 0) });
    expect(zeros.loss).toBeGreaterThan(0);
    expect(zeros.users.every(Number.isFinite)).toBe(true);
    const great = softmaxLoss(0.001)(tf, batch);
    expect(Number.isFinite(great.loss)).toBe(true);
    for (const side of SIDES) expect(great[side].every(Number.isFinite)).toBe(true);
    expect(loss(tf, { ...batch, users: batch.users.map(() => NaN) }).loss).toBeNaN();
  });
});

describe('bprLoss', () => {
  it('gives the gradients of its loss, each pair against a negative that is not masked', async () => {
    const { tf } = await loadTensorFlow('cpu');
    // One negative a row is not masked, so the draw is known.
    const batch = lossBatch(DIM);
    const columns = batch.negatives.length / DIM;
    const open = [4, 0, 2, 8, 1];
    const masks = maskedPlaces(5, columns, (row, column) => column !== open[row]);
    const known = { ...batch, ...masks };
    const bpr: PlainLoss = (pairs, [negative]) =>
      pairs.reduce(
        (sum, { score }) => sum + Math.log(1 + Math.exp((negative!.score - score) / TEMPERATURE)),
        0,
      );
    // So many draws that the open one is always met.
    const step = bprLoss(TEMPERATURE, patientRandom(open, columns))(tf, known);
    const plain = (vectors: Vectors): number => plainLoss(known, bpr, vectors);
    expect(step.loss).toBeCloseTo(plain(vectorsOf(known)), 5);
    const expected = numericGradients(vectorsOf(known), plain);
    for (const side of SIDES) {
      expected[side].forEach((value, at) => expect(step[side][at]).toBeCloseTo(value, 5));
    }
  });

  it('draws again where the negative is masked', async () => {
    const { tf } = await loadTensorFlow('cpu');
    const batch = lossBatch(DIM);
    const columns = batch.negatives.length / DIM;
    const masks = maskedPlaces(5, columns, (_, column) => column < 4);
    const loss = bprLoss(TEMPERATURE, new Random(1));
    for (let time = 0; time < 50; time++) {
      const { negatives } = loss(tf, { ...batch, ...masks });
      // Ten masked draws in a row come once in 4,000 pairs; they may add, but seldom.
      const ofMasked = negatives.subarray(0, 4 * DIM).filter((value) => value !== 0).length;
      expect(ofMasked).toBe(0);
    }
  });
});

/** A source whose draws below `columns` go through the open columns of the rows with pairs, pair by pair. */
function patientRandom(open: readonly number[], columns: number): Random {
  const random = new Random(1);
  const rows = [0, 0, 2, 3, 3, 3, 4];
  let pair = 0;
  random.below = (bound) => {
    expect(bound).toBe(columns);
    return open[rows[pair++]!]!;
  };
  return random;
}
