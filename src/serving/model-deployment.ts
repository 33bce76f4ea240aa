import { badArgument } from '../cache/cache-limits.js';
import type { Stage } from '../cascade/stage.js';
import { LichenArgumentError, shown } from '../errors.js';
import { requireOptions } from '../index/arguments.js';
import type { Key, KeysInput } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import type { KnownItems } from '../interactions/known-items.js';
import { KnownKeys } from '../pool/exclusion.js';
import type { FeatureValues } from '../towers/features.js';
import { TwoTowerModel } from '../towers/two-tower-model.js';
import type { Deployment, DeploymentSearch, RankedQuery } from './deployment.js';
import type { UserQuery } from './query.js';

/** Options of {@link modelDeployment}. */
export interface ModelDeploymentOptions<K extends Key> {
  /** Makes the vectors of users. */
  readonly model: TwoTowerModel;
  /** Of the model's item vectors: its keys are row numbers, or ids of the model's items. */
  readonly index: VectorIndex<K>;
  /** Default: the model version that is written on the index, else `unversioned`. */
  readonly version?: string | undefined;
  /** What the model's users have already: not recommended to them. */
  readonly known?: KnownItems | undefined;
  /** As in {@link Deployment}. */
  readonly search?: DeploymentSearch | undefined;
  /** As in {@link Deployment}. */
  readonly candidates?: number | undefined;
  /** As in {@link Deployment}. */
  readonly stages?: readonly Stage<RankedQuery, K>[] | undefined;
  /** As in {@link Deployment}. */
  readonly close?: (() => PromiseLike<void> | void) | undefined;
}

const OPTIONS = [
  ...(['model', 'index', 'version', 'known', 'search', 'candidates', 'stages', 'close'] as const),
] as const;
const SAMPLES = 64;

/**
 * A two-tower model as a deployment. A user of the model has the vector that training gave, unless the request has a
 * history: that, or any other user, is encoded by it. A user of whom nothing is known gets what the mean user gets, and
 * so does everybody when the tower cannot answer. `context.features` are values of user features.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_DIMENSION for an index that does not go with the model.
 *
 * @example
 * const recommender = new Recommender();
 * await recommender.deploy(await modelDeployment({ model, index, known: interactions }));
 */
export async function modelDeployment<K extends Key = number>(
  options: ModelDeploymentOptions<K>,
): Promise<Deployment<K>> {
  const { model, index, known, version, ...rest } = requireOptions(options, OPTIONS);
  if (!(model instanceof TwoTowerModel)) {
    throw badArgument(`model must be a TwoTowerModel, got ${shown(model)}`);
  }
  if (index?.dim !== model.dim) {
    const message = `index: dim is ${model.dim} in the model, got ${index?.dim}`;
    throw new LichenArgumentError('ERR_LICHEN_DIMENSION', message);
  }
  const usual = await model.encodeNewUsers([{ history: [] }]);
  const knownKeys = known && new KnownKeys({ ...known, items: model.items }, index);
  const knownUsers = known && known.offsets.length - 1;
  if (knownUsers !== undefined && knownUsers < model.users.size) {
    const message = `known must be of the model's ${model.users.size} users, got ${knownUsers}`;
    throw new LichenArgumentError('ERR_LICHEN_DIMENSION', message);
  }
  const { users } = model;
  const samples = Math.min(SAMPLES, users.size);
  const numberOf = ({ user }: UserQuery): number => (user === undefined ? -1 : users.indexOf(user));
  return {
    ...rest,
    version: version ?? index.label.modelVersion ?? 'unversioned',
    index,
    items: model.items,
    usualVector: usual,
    encode: (queries) => encode(model, usual, queries, numberOf),
    ...(knownKeys && {
      seen: (query: UserQuery) => {
        const user = numberOf(query);
        return user < 0 ? undefined : (knownKeys.of(Int32Array.of(user)).keys as KeysInput<K>);
      },
    }),
    samples: Array.from({ length: samples }, (_, at) => ({
      user: users.idAt(Math.floor((at * users.size) / samples)),
    })),
  };
}

async function encode(
  model: TwoTowerModel,
  usual: Float32Array,
  queries: readonly UserQuery[],
  numberOf: (query: UserQuery) => number,
): Promise<Float32Array> {
  const { dim } = model;
  const { data } = model.userVectors;
  const vectors = new Float32Array(queries.length * dim);
  const anew: number[] = [];
  queries.forEach((query, at) => {
    const isTold = query.history !== undefined || query.context?.['features'] !== undefined;
    const user = isTold ? -1 : numberOf(query);
    if (isTold) anew.push(at);
    else vectors.set(user < 0 ? usual : data.subarray(user * dim, (user + 1) * dim), at * dim);
  });
  if (anew.length === 0) return vectors;
  const encoded = await model.encodeNewUsers(
    anew.map((at) => {
      const { history = [], context } = queries[at]!;
      return { history, features: context?.['features'] as FeatureValues | undefined };
    }),
  );
  anew.forEach((at, row) => vectors.set(encoded.subarray(row * dim, (row + 1) * dim), at * dim));
  return vectors;
}
