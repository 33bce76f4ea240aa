import type { Vocabulary } from '../interactions/vocabulary.js';
import { BagsBuilder, singleRows, type Bags } from './bags.js';
import {
  featureBags,
  schemaOf,
  totalRows,
  type FeatureColumns,
  type FeatureSchema,
} from './features.js';
import { networkRows, type AttentionShape } from './attention-network.js';
import type { ResolvedTwoTowerOptions, UserTowerKind } from './options.js';
import type { TableLayout } from './user-tower.js';

/**
 * What a model remembers of the rows of its table: first one an item, then one a user if users are ids, then features,
 * then a network.
 */
export interface TowerSchema {
  readonly userTower: UserTowerKind;
  readonly items: number;
  readonly users: number;
  readonly itemFeatures: readonly FeatureSchema[];
  readonly userFeatures: readonly FeatureSchema[];
  /** Of the user tower `attention`. */
  readonly network?: Omit<AttentionShape, 'dim'>;
}

/** Features to train with. */
export interface TowerFeatures {
  /** One value an item, in the order of `interactions.items`. */
  readonly itemFeatures?: FeatureColumns | undefined;
  /** One value a user, in the order of `interactions.users`. */
  readonly userFeatures?: FeatureColumns | undefined;
}

/** Where the table's parts begin, in rows. */
export interface TableRows {
  readonly users: number;
  readonly itemFeatures: number;
  readonly userFeatures: number;
  readonly network: number;
  /** Rows in all. */
  readonly total: number;
}

/** Where the parts of a table begin. */
export function tableRows(schema: TowerSchema, dim: number): TableRows {
  const itemFeatures = schema.items + (schema.userTower === 'id' ? schema.users : 0);
  const userFeatures = itemFeatures + totalRows(schema.itemFeatures);
  const network = userFeatures + totalRows(schema.userFeatures);
  const ofNetwork = schema.network === undefined ? 0 : networkRows({ ...schema.network, dim });
  return { users: schema.items, itemFeatures, userFeatures, network, total: network + ofNetwork };
}

/** The schema of towers over these users, items and features; throws as {@link schemaOf} does. */
export function towerSchema(
  { userTower, layers, maxHistory }: ResolvedTwoTowerOptions,
  users: Vocabulary,
  items: Vocabulary,
  { itemFeatures = {}, userFeatures = {} }: TowerFeatures,
): TowerSchema {
  return {
    userTower,
    items: items.size,
    users: users.size,
    itemFeatures: schemaOf(itemFeatures, 'itemFeatures', items.size),
    userFeatures: schemaOf(userFeatures, 'userFeatures', users.size),
    ...(userTower === 'attention' && { network: { layers, maxHistory } }),
  };
}

/** What each item and each user is made of. An item's id comes first. */
export function tableLayout(
  schema: TowerSchema,
  features: TowerFeatures,
  { dim, historyPower }: Pick<ResolvedTwoTowerOptions, 'dim' | 'historyPower'>,
  interactions: Uint32Array,
): TableLayout {
  const rows = tableRows(schema, dim);
  const { itemFeatures = {}, userFeatures = {} } = features;
  const items = joined(
    singleRows(Int32Array.from({ length: schema.items }, (_, item) => item)),
    featureBags(itemFeatures, schema.itemFeatures, rows.itemFeatures, schema.items, 'itemFeatures'),
  );
  return {
    items,
    history: schema.userTower === 'history' ? byRarity(items, interactions, historyPower) : items,
    users: joined(
      schema.userTower === 'id'
        ? singleRows(Int32Array.from({ length: schema.users }, (_, user) => rows.users + user))
        : emptyBags(schema.users),
      featureBags(
        userFeatures,
        schema.userFeatures,
        rows.userFeatures,
        schema.users,
        'userFeatures',
      ),
    ),
  };
}

/** Items' bags, weighted by their counts to the power of `-power`; what was never met weighs as if once. */
function byRarity(items: Bags, interactions: Uint32Array, power: number): Bags {
  if (power === 0) return items;
  const counts = new Float64Array(items.offsets.length - 1);
  for (const item of interactions) counts[item]!++;
  const builder = new BagsBuilder();
  counts.forEach((count, item) => {
    builder.addBag(items, item, Math.max(1, count) ** -power);
    builder.close();
  });
  return builder.finish();
}

function emptyBags(count: number): Bags {
  return {
    offsets: new Int32Array(count + 1),
    rows: new Int32Array(0),
    weights: new Float32Array(0),
  };
}

/** Bag by bag, first what is in one and then what is in the other. */
function joined(first: Bags, second: Bags): Bags {
  const builder = new BagsBuilder();
  for (let bag = 0; bag + 1 < first.offsets.length; bag++) {
    builder.addBag(first, bag, 1);
    builder.addBag(second, bag, 1);
    builder.close();
  }
  return builder.finish();
}
