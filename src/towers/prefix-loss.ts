import type { TensorFlow } from '../tensorflow/tensorflow.js';
import type { Loss, LossBatch, LossStep } from './loss.js';
import { pullBackUnit, unitRows } from './unit-rows.js';

/** The vectors of a batch, and their gradients. */
const SIDES = ['users', 'negatives', 'targets'] as const;

/**
 * `loss` of the cosine of the vectors, whatever their lengths.
 */
export function cosineOf(loss: Loss): Loss {
  return (tf, batch) => {
    const [users, negatives, targets] = SIDES.map((side) => unitRows(batch[side], batch.dim));
    const step = loss(tf, {
      ...batch,
      users: users!.unit,
      negatives: negatives!.unit,
      targets: targets!.unit,
    });
    return {
      loss: step.loss,
      users: pullBackUnit(step.users, users!),
      negatives: pullBackUnit(step.negatives, negatives!),
      targets: pullBackUnit(step.targets, targets!),
    };
  };
}

/**
 * The mean of `loss` over the first values of the vectors, as many as each of `prefixes` says: so prefixes of a vector are
 * good vectors (Matryoshka representation learning, Kusupati et al., NeurIPS 2022).
 */
export function prefixLoss(loss: Loss, prefixes: readonly number[]): Loss {
  return (tf, batch) => {
    const total = {
      users: new Float32Array(batch.users.length),
      negatives: new Float32Array(batch.negatives.length),
      targets: new Float32Array(batch.targets.length),
    };
    let sum = 0;
    for (const prefix of prefixes) {
      const step = lossOfPrefix(tf, loss, batch, prefix);
      sum += step.loss;
      for (const side of SIDES)
        addPrefix(total[side], batch.dim, step[side], prefix, prefixes.length);
    }
    return { loss: sum / prefixes.length, ...total };
  };
}

function lossOfPrefix(tf: TensorFlow, loss: Loss, batch: LossBatch, prefix: number): LossStep {
  const [users, negatives, targets] = SIDES.map((side) => prefixOf(batch[side], batch.dim, prefix));
  return loss(tf, {
    ...batch,
    dim: prefix,
    users: users!,
    negatives: negatives!,
    targets: targets!,
  });
}

/** The first `prefix` of every `dim` values. */
export function prefixOf(values: Float32Array, dim: number, prefix: number): Float32Array {
  const rows = values.length / dim;
  const cut = new Float32Array(rows * prefix);
  for (let row = 0; row < rows; row++) {
    cut.set(values.subarray(row * dim, row * dim + prefix), row * prefix);
  }
  return cut;
}

function addPrefix(
  total: Float32Array,
  dim: number,
  part: Float32Array,
  prefix: number,
  share: number,
): void {
  for (let row = 0; row < total.length / dim; row++) {
    for (let at = 0; at < prefix; at++) {
      total[row * dim + at]! += part[row * prefix + at]! / share;
    }
  }
}
