import { holdOutLast, holdOutShare, type Split } from '../interactions/hold-out.js';
import type { Interactions } from '../interactions/interactions.js';
import type { Vocabulary } from '../interactions/vocabulary.js';
import type { LoadedTensorFlow } from '../tensorflow/tensorflow.js';
import { Random } from '../vectors/random.js';
import { matrix, type Matrix } from '../vectors/matrix.js';
import { BagsBuilder } from './bags.js';
import { bagSums, EmbeddingTable, randomTable } from './embedding-table.js';
import type { TowerWeights } from './new-vectors.js';
import type { UserItems } from './pair-batches.js';
import { fillUnknownUsers, finishTable, finishVectors, itemSums } from './finish.js';
import {
  tableLayout,
  tableRows,
  towerSchema,
  type TowerFeatures,
  type TowerSchema,
} from './layout.js';
import type { ResolvedTwoTowerOptions, TwoTowerOptions } from './options.js';
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
  const { users, items } = interactions;
  const schema = towerSchema(options.userTower, users, items, features);
  const layout = tableLayout(schema, features);
  const random = new Random(options.seed);
  const values = randomTable(tableRows(schema).total, options.dim, INITIAL_SPREAD, random.fork());
  if (initial !== undefined) takeRows(values, schema, { users, items }, initial, options.dim);
  const table = new EmbeddingTable(values, options.dim, options.weightDecay);
  const parts = options.validation > 0 ? validationSplit(interactions, options) : undefined;
  const source = userItems(parts?.train ?? interactions);
  const trainer = new TwoTowerTrainer(
    loaded.tf,
    { ...source, itemCount: items.size },
    table,
    layout,
    options,
  );
  let best: Float32Array | undefined;
  const validator =
    parts &&
    new HeldBackValidator(
      parts,
      random.fork(),
      () => towersOf(table, layout, source, options),
      () => (best = values.slice()),
    );
  const outcome = await runEpochs(trainer, loaded, options, controls, validator);
  if (best !== undefined) values.set(best);
  finishTable(table, source, schema);
  return { outcome, towers: finished(table, layout, userItems(interactions), schema, options) };
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

function finished(
  table: EmbeddingTable,
  layout: TableLayout,
  known: UserItems,
  schema: TowerSchema,
  options: ResolvedTwoTowerOptions,
): TrainedTowers['towers'] {
  const { users: userVectors, items: itemVectors } = towersOf(table, layout, known, options);
  const unknownUser = fillUnknownUsers(userVectors, options.normalize);
  const weights = {
    table: matrix(table.values, table.dim),
    itemSums: itemSums(table, layout),
    schema,
    options,
    unknownUser,
  };
  return { userVectors, itemVectors, weights };
}

/** The vectors of all users, seen by all of their items, and of all items. */
function towersOf(
  table: EmbeddingTable,
  layout: TableLayout,
  known: UserItems,
  options: ResolvedTwoTowerOptions,
): { users: Matrix; items: Matrix } {
  const { dim } = table;
  const builder = new BagsBuilder();
  for (let user = 0; user + 1 < known.offsets.length; user++) {
    if (options.userTower !== 'id') {
      const history = known.items.subarray(known.offsets[user], known.offsets[user + 1]);
      addHistory(builder, layout.items, history, options);
    }
    builder.addBag(layout.users, user, 1);
    builder.close();
  }
  const users = matrix(bagSums(table.values, dim, builder.finish()), dim);
  const items = itemSums(table, layout);
  return {
    users: finishVectors(users, options.normalize),
    items: finishVectors(items, options.normalize),
  };
}
