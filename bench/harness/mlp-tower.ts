// A user tower as services have them: the sum of the history's vectors goes through two dense layers on TensorFlow.js.

import { compiled } from './compiled.js';
import type { TowerFunction } from '../../src/pool/user-tower.js';

/** What {@link createTower} is made from; the items' vectors lie in memory that all workers share. */
export interface MlpTowerData {
  readonly vectors: Float32Array;
  readonly dim: number;
  /** Units of the layer in the middle. */
  readonly hidden: number;
}

/** For workers of a pool. The weights are drawn so that what comes out is near what went in. */
export async function createTower({ vectors, dim, hidden }: MlpTowerData): Promise<TowerFunction> {
  const { loadTensorFlow, Random } = compiled();
  const { tf } = await loadTensorFlow('auto');
  const random = new Random(3);
  const draw = (): number => random.gaussian() / Math.sqrt(hidden);
  const into = tf.tensor2d(Float32Array.from({ length: dim * hidden }, draw), [dim, hidden]);
  const out = tf.keep(tf.transpose(into));
  return async ({ rows, history }) => {
    const { offsets, rows: items } = history!;
    const sums = new Float32Array(rows * dim);
    for (let user = 0; user < rows; user++) {
      for (let at = offsets[user]!; at < offsets[user + 1]!; at++) {
        const from = items[at]! * dim;
        for (let d = 0; d < dim; d++) sums[user * dim + d]! += vectors[from + d]!;
      }
    }
    const result = tf.tidy(() => {
      // What is added comes off again: a net as large as one that was trained, which leaves users where they are.
      const activated = tf.relu(tf.add(tf.matMul(tf.tensor2d(sums, [rows, dim]), into), 8));
      const users = tf.matMul(tf.sub(activated, 8), out);
      return tf.div(users, tf.norm(users, 'euclidean', 1, true));
    });
    const values = (await result.data()) as Float32Array;
    result.dispose();
    return values;
  };
}
