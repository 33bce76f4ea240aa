import type { Random } from '../vectors/random.js';
import { addPairGradients, pairScores, type Loss, type LossStep } from './loss.js';

/** How often a negative is drawn anew that is none for the row. */
const DRAWS = 10;

/**
 * Bayesian personalized ranking (Rendle et al., UAI 2009): each pair against one of the negatives, drawn at random;
 * the loss is -log of the logistic function of the difference of their scores, divided by `temperature`.
 */
export function bprLoss(temperature: number, random: Random): Loss {
  return (_, batch): LossStep => {
    const { dim, users, negatives, pairOffsets, rowWeights, maskOffsets, maskedColumns } = batch;
    const columns = negatives.length / dim;
    const scores = pairScores(batch);
    const slopes = new Float32Array(scores.length);
    const step = {
      users: new Float32Array(users.length),
      negatives: new Float32Array(negatives.length),
      targets: new Float32Array(batch.targets.length),
    };
    let loss = 0;
    for (let row = 0; row + 1 < pairOffsets.length; row++) {
      const user = row * dim;
      const masked = maskedColumns.subarray(maskOffsets[row], maskOffsets[row + 1]);
      for (let pair = pairOffsets[row]!; pair < pairOffsets[row + 1]!; pair++) {
        let column = random.below(columns);
        for (let draw = 1; draw < DRAWS && masked.includes(column); draw++) {
          column = random.below(columns);
        }
        const negative = column * dim;
        let score = 0;
        for (let at = 0; at < dim; at++) score += users[user + at]! * negatives[negative + at]!;
        const lead = (scores[pair]! - score) / temperature;
        // log(1 + exp(-lead)), without overflow.
        const surprise = Math.max(0, -lead) + Math.log1p(Math.exp(-Math.abs(lead)));
        loss += rowWeights[row]! * surprise;
        const slope = rowWeights[row]! / ((1 + Math.exp(lead)) * temperature);
        slopes[pair] = -slope;
        for (let at = 0; at < dim; at++) {
          step.users[user + at]! += slope * negatives[negative + at]!;
          step.negatives[negative + at]! += slope * users[user + at]!;
        }
      }
    }
    addPairGradients(batch, slopes, step);
    return { loss, ...step };
  };
}
