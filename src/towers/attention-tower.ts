import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import type { TensorFlow } from '../tensorflow/tensorflow.js';
import { native } from '../native.js';
import { matrix, matrixRows } from '../vectors/matrix.js';
import type { Random } from '../vectors/random.js';
import { AttentionNetwork, type AttentionShape } from './attention-network.js';
import { BagsBuilder, chosenBags, consecutiveBags, type Bags } from './bags.js';
import type { BagGradients, VectorTable } from './embedding-table.js';
import type { Examples } from './examples.js';
import type { ResolvedTwoTowerOptions } from './options.js';
import { groupSequences, type SequenceGroup } from './sequence-groups.js';
import { SparseAdam } from './sparse-adam.js';
import type { TableLayout, UserTower } from './user-tower.js';

/** Steps of the network are this much smaller than those of the table: its weights are in every step. */
const NETWORK_RATE = 0.1;

/** The tower whose vectors a self-attention network makes of the items' sums. */
export class AttentionTower implements UserTower {
  private readonly network: AttentionNetwork;
  private readonly adam: SparseAdam;
  private readonly networkRows: Int32Array;

  /** @param weights a view of the network's rows of the table. */
  constructor(
    private readonly tf: TensorFlow,
    private readonly table: VectorTable,
    private readonly layout: TableLayout,
    private readonly options: ResolvedTwoTowerOptions,
    weights: Float32Array,
    private readonly random: Random,
  ) {
    this.network = new AttentionNetwork(tf, options, weights);
    this.adam = new SparseAdam(weights, options.dim);
    this.networkRows = Int32Array.from({ length: weights.length / options.dim }, (_, row) => row);
  }

  step(
    examples: Examples,
    gradientsOf: (users: Float32Array) => Float32Array,
    learningRate: number,
  ): BagGradients {
    const { tf, layout, table } = this;
    const { dim } = table;
    const { groups, items, starts } = groupSequences(examples);
    const bags = placeBags(layout.items, items);
    const sums = table.sums(bags);
    const places = rowPlaces(examples, starts);
    const userBags = chosenBags(layout.users, examples.users);
    const ofFeatures = table.sums(userBags);
    let ofUsers: Float32Array | undefined;
    let ofInputs: Float32Array | undefined;
    tf.tidy(() => {
      const lossOf = tf.customGrad((...given: unknown[]) => {
        const outputs = given[0] as Tensor;
        const users = matrixRows(matrix(outputs.dataSync<'float32'>(), dim), places).data;
        ofFeatures.forEach((value, at) => (users[at]! += value));
        ofUsers = gradientsOf(users);
        const gradients = spreadOut(ofUsers, places, dim, outputs.size);
        return {
          value: tf.scalar(0),
          gradFunc: () => tf.tensor2d(gradients, [items.length, dim]),
        };
      });
      const forward = (...given: Tensor[]): Tensor => {
        const weights = given.slice(groups.length);
        const outputs = groups.map((_, group): Tensor => {
          const inputs = given[group] as Tensor3D;
          const vectors = this.network.apply(inputs, weights, this.dropout(inputs.shape));
          return tf.reshape(vectors, [-1, dim]);
        });
        return lossOf(outputs.length === 1 ? outputs[0]! : tf.concat(outputs, 0));
      };
      const found = tf.grads(forward)([...this.inputsOf(groups, sums), ...this.network.tensors()]);
      const ofWeights = found.slice(groups.length);
      const gradients = flat(ofWeights, this.network.weights.length);
      this.adam.step(this.networkRows, gradients, learningRate * NETWORK_RATE);
      ofInputs = flat(found.slice(0, groups.length), sums.length);
    });
    const gradients = new Float32Array(ofInputs!.length + ofUsers!.length);
    gradients.set(ofInputs!);
    gradients.set(ofUsers!, ofInputs!.length);
    return { bags: consecutiveBags([bags, userBags]), gradients };
  }

  /** A tensor for each group, of shape [sequences, places, dim]. */
  private inputsOf(groups: readonly SequenceGroup[], sums: Float32Array): Tensor3D[] {
    const { dim } = this.table;
    let from = 0;
    return groups.map(({ sequences, places }) => {
      const part = sums.subarray(from, from + sequences * places * dim);
      from += part.length;
      return this.tf.tensor3d(part, [sequences, places, dim]);
    });
  }

  private dropout(shape: [number, number, number]): (() => Tensor3D) | undefined {
    const { tf, random } = this;
    const { dropout } = this.options;
    if (dropout === 0) return undefined;
    return () => {
      const mask = new Float32Array(shape[0] * shape[1] * shape[2]);
      native().dropoutMask(random.uint32(), dropout, mask);
      return tf.tensor3d(mask, shape);
    };
  }
}

/** The values of tensors one after the other, `size` together. */
function flat(tensors: readonly Tensor[], size: number): Float32Array {
  const values = new Float32Array(size);
  let at = 0;
  for (const tensor of tensors) {
    values.set(tensor.dataSync<'float32'>(), at);
    at += tensor.size;
  }
  return values;
}

/** A bag for each place; none past the end of a sequence. */
function placeBags(items: Bags, places: Int32Array): Bags {
  if (!places.includes(-1)) return chosenBags(items, places);
  const builder = new BagsBuilder();
  for (const item of places) {
    if (item >= 0) builder.addBag(items, item, 1);
    builder.close();
  }
  return builder.finish();
}

/** Which place each row is. */
function rowPlaces({ rowSequences, rowLengths }: Examples, starts: Int32Array): Int32Array {
  return rowSequences.map((sequence, row) => starts[sequence]! + rowLengths[row]! - 1);
}

function spreadOut(
  rows: Float32Array,
  places: Int32Array,
  dim: number,
  size: number,
): Float32Array {
  const values = new Float32Array(size);
  places.forEach((place, row) =>
    values.set(rows.subarray(row * dim, (row + 1) * dim), place * dim),
  );
  return values;
}

/** Sequences a batch of {@link attend}. */
const SEQUENCES_A_BATCH = 256;

/**
 * What the network makes of histories at their ends: `histories.length * dim` values; an empty history gives zeros.
 * @param itemSums a row an item.
 */
export function attend(
  tf: TensorFlow,
  shape: AttentionShape,
  weights: Float32Array,
  itemSums: Float32Array,
  histories: readonly ArrayLike<number>[],
): Float32Array {
  const { dim, maxHistory } = shape;
  const network = new AttentionNetwork(tf, shape, weights);
  const vectors = new Float32Array(histories.length * dim);
  // Those of about one length go together, so that there is little to pad.
  const order = Array.from(histories.keys())
    .filter((at) => histories[at]!.length > 0)
    .sort((a, b) => histories[a]!.length - histories[b]!.length);
  for (let from = 0; from < order.length; from += SEQUENCES_A_BATCH) {
    const batch = order.slice(from, from + SEQUENCES_A_BATCH);
    const places = Math.min(maxHistory, histories[batch.at(-1)!]!.length);
    const inputs = new Float32Array(batch.length * places * dim);
    batch.forEach((history, row) => {
      const items = histories[history]!;
      const first = Math.max(0, items.length - maxHistory);
      for (let at = first; at < items.length; at++) {
        const item = items[at]! * dim;
        inputs.set(itemSums.subarray(item, item + dim), (row * places + at - first) * dim);
      }
    });
    tf.tidy(() => {
      const given = tf.tensor3d(inputs, [batch.length, places, dim]);
      const outputs = network.apply(given, network.tensors()).dataSync<'float32'>();
      batch.forEach((history, row) => {
        const last = row * places + Math.min(places, histories[history]!.length) - 1;
        vectors.set(outputs.subarray(last * dim, (last + 1) * dim), history * dim);
      });
    });
  }
  return vectors;
}
