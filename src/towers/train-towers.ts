import { LichenArgumentError } from '../errors.js';
import { holdOutLast, holdOutShare, type Split } from '../interactions/hold-out.js';
import type { Interactions } from '../interactions/interactions.js';
import type { Vocabulary } from '../interactions/vocabulary.js';
import { requireGradients } from '../tensorflow/gradients.js';
import type { LoadedTensorFlow, TensorFlow } from '../tensorflow/tensorflow.js';
import { initializeNetwork } from './attention-network.js';
import { attend } from './attention-tower.js';
import { Random } from '../vectors/random.js';
import { matrix, type Matrix } from '../vectors/matrix.js';
import { BagsBuilder } from './bags.js';
import { EmbeddingTable, randomTable, type VectorTable } from './embedding-table.js';
import { InteractionGraph } from './interaction-graph.js';
import type { TowerWeights } from './new-vectors.js';
import type { UserItems } from './pair-batches.js';
import { fillUnknownUsers, finishTable, finishVectors, historySums, itemSums } from './finish.js';
import {
  tableLayout,
  tableRows,
  towerSchema,
  type TowerFeatures,
  type TowerSchema,
} from './layout.js';
import type { ResolvedTwoTowerOptions, TwoTowerOptions } from './options.js';
import { SmoothedTable } from './smoothed-table.js';
import { TwoTowerTrainer } from './trainer.js';
import { runEpochs, type TrainingOutcome } from './training.js';
import { addHistory, type TableLayout } from './user-tower.js';
import { HeldBackValidator } from './validator.js';
import { takeRows } from './warm-start.js';

/** Standard deviation of a table's first values. */
const INITIAL_SPREAD = 0.1;

/** A model to start from. */
export interface InitialTowers {
  readonly users: Vocabulary;
  readonly items: Vocabulary;
  readonly weights: TowerWeights;
}

/** What a training gives. */
export interface TrainedTowers {
  readonly outcome: TrainingOutcome;
  readonly towers: {
    readonly userVectors: Matrix;
    readonly itemVectors: Matrix;
    readonly weights: TowerWeights;
  };
}

/** Trains towers and gives their vectors; see `TwoTowerModel.train`. */
export async function trainTowers(
  loaded: LoadedTensorFlow,
  interactions: Interactions,
  options: ResolvedTwoTowerOptions,
  controls: Pick<TwoTowerOptions, 'signal' | 'onProgress'>,
  features: TowerFeatures,
  initial: InitialTowers | undefined,
): Promise<TrainedTowers> {
  const { users, items, itemIndices } = interactions;
  const schema = towerSchema(options, users, items, features);
  if (options.graphLayers > 0 && schema.itemFeatures.length + schema.userFeatures.length > 0) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      'graphLayers must be 0 with features: the graph smooths ids alone',
    );
  }
  const layout = tableLayout(schema, features, options, itemIndices);
  const random = new Random(options.seed);
  const rows = tableRows(schema, options.dim);
  const values = randomTable(rows.total, options.dim, INITIAL_SPREAD, random.fork());
  const network = values.subarray(rows.network * options.dim);
  if (schema.network !== undefined) {
    await requireGradients(loaded.tf);
    initializeNetwork(network, options, random.fork());
  }
  if (initial !== undefined) takeRows(values, schema, { users, items }, initial, options.dim);
  const plain = new EmbeddingTable(values, options.dim, options.weightDecay);
  const parts = options.validation > 0 ? validationSplit(interactions, options) : undefined;
  const source = userItems(parts?.train ?? interactions);
  const table = options.graphLayers === 0 ? plain : smoothedTable(values, source, schema, options);
  const trainer = new TwoTowerTrainer(
    loaded.tf,
    { ...source, itemCount: items.size },
    table,
    layout,
    network,
    options,
  );
  if (trainer.stepsPerEpoch === 0) {
    throw new LichenArgumentError(
      'ERR_LICHEN_EMPTY',
      `interactions: no user has two items, of which a user tower of kind ${options.userTower} learns; try id`,
    );
  }
  const vectors = (from: VectorTable, known: UserItems): Towers =>
    towersOf(loaded.tf, from, layout, network, known, options);
  let best: Float32Array | undefined;
  const validator =
    parts &&
    new HeldBackValidator(
      parts,
      random.fork(),
      () => vectors(table, source),
      () => (best = values.slice()),
    );
  const outcome = await runEpochs(trainer, loaded, options, controls, validator);
  if (best !== undefined) values.set(best);
  const known = userItems(interactions);
  if (options.graphLayers > 0) {
    // What is kept are the smoothed rows, which need the graph no more.
    const graph = new InteractionGraph(known, schema.items);
    values.set(graph.smooth(values, options.dim, options.graphLayers));
  }
  finishTable(plain, source, schema);
  const { users: userVectors, items: itemVectors } = vectors(plain, known);
  const unknownUser = fillUnknownUsers(userVectors, options.normalize);
  const sums = historySums(plain, layout);
  const weights = {
    table: matrix(values, options.dim),
    itemSums: sums,
    schema,
    options,
    unknownUser,
  };
  return { outcome, towers: { userVectors, itemVectors, weights } };
}

function smoothedTable(
  values: Float32Array,
  source: UserItems,
  { items }: TowerSchema,
  { dim, weightDecay, graphLayers }: ResolvedTwoTowerOptions,
): SmoothedTable {
  return new SmoothedTable(
    values,
    dim,
    weightDecay,
    new InteractionGraph(source, items),
    graphLayers,
  );
}

function userItems({ offsets, itemIndices }: Interactions): UserItems {
  return { offsets, items: itemIndices };
}

function validationSplit(
  interactions: Interactions,
  { ordered, validation, seed }: ResolvedTwoTowerOptions,
): Split {
  return ordered ? holdOutLast(interactions) : holdOutShare(interactions, validation, seed);
}

interface Towers {
  readonly users: Matrix;
  readonly items: Matrix;
}

/** The vectors of all users, seen by all of their items, and of all items. */
function towersOf(
  tf: TensorFlow,
  table: VectorTable,
  layout: TableLayout,
  network: Float32Array,
  known: UserItems,
  options: ResolvedTwoTowerOptions,
): Towers {
  const { dim } = table;
  const items = itemSums(table, layout);
  const histories = Array.from({ length: known.offsets.length - 1 }, (_, user) =>
    known.items.subarray(known.offsets[user], known.offsets[user + 1]),
  );
  const builder = new BagsBuilder();
  histories.forEach((history, user) => {
    if (options.userTower === 'history') addHistory(builder, layout.history, history, options);
    builder.addBag(layout.users, user, 1);
    builder.close();
  });
  const users = matrix(table.sums(builder.finish()), dim);
  if (options.userTower === 'attention') {
    const attended = attend(tf, options, network, items.data, histories);
    attended.forEach((value, at) => (users.data[at]! += value));
  }
  return {
    users: finishVectors(users, options.normalize),
    items: finishVectors(items, options.normalize),
  };
}
