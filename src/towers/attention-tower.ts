import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import type { TensorFlow } from '../tensorflow/tensorflow.js';
import { matrix, matrixRows } from '../vectors/matrix.js';
import type { Random } from '../vectors/random.js';
import { AttentionNetwork, type AttentionShape } from './attention-network.js';
import { BagsBuilder, chosenBags, consecutiveBags, type Bags } from './bags.js';
import type { BagGradients, EmbeddingTable } from './embedding-table.js';
import type { Examples } from './examples.js';
import type { ResolvedTwoTowerOptions } from './options.js';
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
    private readonly table: EmbeddingTable,
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
    const padded = paddedSequences(examples);
    const bags = sequenceBags(layout.items, padded);
    const sums = table.sums(bags);
    const places = rowPlaces(examples, padded.places);
    const userBags = chosenBags(layout.users, examples.users);
    const ofFeatures = table.sums(userBags);
    let ofUsers: Float32Array | undefined;
    let ofInputs: Float32Array | undefined;
    tf.tidy(() => {
      const shape: [number, number, number] = [padded.count, padded.places, dim];
      const lossOf = tf.customGrad((...given: unknown[]) => {
        const outputs = given[0] as Tensor;
        const users = matrixRows(matrix(outputs.dataSync<'float32'>(), dim), places).data;
        ofFeatures.forEach((value, at) => (users[at]! += value));
        ofUsers = gradientsOf(users);
        const gradients = spreadOut(ofUsers, places, dim, outputs.size);
        return {
          value: tf.scalar(0),
          gradFunc: () => tf.tensor3d(gradients, shape),
        };
      });
      const forward = (inputs: Tensor, ...weights: Tensor[]): Tensor =>
        lossOf(this.network.apply(inputs as Tensor3D, weights, this.dropout(shape)));
      const [input, ...ofWeights] = tf.grads(forward)([
        tf.tensor3d(sums, shape),
        ...this.network.tensors(),
      ]);
      const gradients = new Float32Array(this.network.weights.length);
      let at = 0;
      for (const gradient of ofWeights) {
        gradients.set(gradient.dataSync<'float32'>(), at);
        at += gradient.size;
      }
      this.adam.step(this.networkRows, gradients, learningRate * NETWORK_RATE);
      ofInputs = input!.dataSync<'float32'>().slice();
    });
    const gradients = new Float32Array(ofInputs!.length + ofUsers!.length);
    gradients.set(ofInputs!);
    gradients.set(ofUsers!, ofInputs!.length);
    return { bags: consecutiveBags([bags, userBags]), gradients };
  }

  private dropout(shape: [number, number, number]): (() => Tensor3D) | undefined {
    const { tf, random } = this;
    const { dropout } = this.options;
    if (dropout === 0) return undefined;
    const kept = 1 / (1 - dropout);
    return () => {
      const mask = new Float32Array(shape[0] * shape[1] * shape[2]);
      for (let at = 0; at < mask.length; at++) mask[at] = random.uniform() < dropout ? 0 : kept;
      return tf.tensor3d(mask, shape);
    };
  }
}

/** Sequences of one length: `items[s * places + p]` is item p of sequence s, -1 past its end. */
interface PaddedSequences {
  readonly count: number;
  readonly places: number;
  readonly items: Int32Array;
}

function paddedSequences({ sequenceOffsets, sequenceItems }: Examples): PaddedSequences {
  const count = sequenceOffsets.length - 1;
  let places = 1;
  for (let at = 0; at < count; at++) {
    places = Math.max(places, sequenceOffsets[at + 1]! - sequenceOffsets[at]!);
  }
  const items = new Int32Array(count * places).fill(-1);
  for (let at = 0; at < count; at++) {
    items.set(sequenceItems.subarray(sequenceOffsets[at], sequenceOffsets[at + 1]), at * places);
  }
  return { count, places, items };
}

/** A bag for each place of each sequence; none past its end. */
function sequenceBags(items: Bags, { items: sequence }: PaddedSequences): Bags {
  if (!sequence.includes(-1)) return chosenBags(items, sequence);
  const builder = new BagsBuilder();
  for (const item of sequence) {
    if (item >= 0) builder.addBag(items, item, 1);
    builder.close();
  }
  return builder.finish();
}

/** Which place of the padded sequences each row is. */
function rowPlaces({ rowSequences, rowLengths }: Examples, places: number): Int32Array {
  return rowSequences.map((sequence, row) => sequence * places + rowLengths[row]! - 1);
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
