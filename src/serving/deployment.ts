import type { CascadeSearch } from '../cascade/stages.js';
import type { Stage } from '../cascade/stage.js';
import { badArgument } from '../cache/cache-limits.js';
import { LichenArgumentError, shown } from '../errors.js';
import { MAX_ROWS, requireInteger, requireOptions, toVector } from '../index/arguments.js';
import { SEARCH_OPTIONS } from '../index/search-options.js';
import type { Key, KeysInput, VectorInput } from '../index/types.js';
import { VectorIndex } from '../index/vector-index.js';
import type { Vocabulary } from '../interactions/vocabulary.js';
import { queryOf, type UserQuery } from './query.js';

export type { UserQuery } from './query.js';

/** What is known when users are encoded. */
export interface EncodeContext<F> {
  /** What `features` gave for these users. */
  readonly features: F;
  /** Fires when nobody waits for the vectors any more. */
  readonly signal: AbortSignal;
}

/** Vectors of users: `users.length * dim` values, or one for each, or an Error for one that has none. */
export type UserVectors = Float32Array | readonly (ArrayLike<number> | Error)[];

/** How the index of a deployment is searched. */
export type DeploymentSearch = Omit<CascadeSearch, 'exclude' | 'threads'>;

/** What a stage of a deployment is asked for. */
export interface RankedQuery extends UserQuery {
  /** What was searched for. */
  readonly vector: Float32Array;
}

/**
 * A model and the index of its item vectors, of one version: what belongs together and is replaced together.
 * `F` is what `features` gives.
 */
export interface Deployment<K extends Key = number, F = unknown> {
  /** Of the model. Vectors and results that are kept belong to it. */
  readonly version: string;
  /** Item vectors; closed with the deployment. */
  readonly index: VectorIndex<K>;
  /** The user tower: vectors of a batch of users. */
  readonly encode: (
    users: readonly UserQuery[],
    context: EncodeContext<F>,
  ) => PromiseLike<UserVectors> | UserVectors;
  /** What the tower wants to know of a batch of users, such as `(users) => online.get({ user: users.map(…) })`. */
  readonly features?:
    | ((
        users: readonly UserQuery[],
        context: { readonly signal: AbortSignal },
      ) => PromiseLike<F> | F)
    | undefined;
  /**
   * The vector that is searched for when a user's cannot be had in time, or at all: that of the mean user, say. Default:
   * the request fails.
   */
  readonly usualVector?: VectorInput | undefined;
  /** How the index is searched, such as `ef`; a condition here must hold besides that of a request. */
  readonly search?: DeploymentSearch | undefined;
  /** Candidates of the retrieval. Default: as many as the first stage scores; without stages, the `k` of the service. */
  readonly candidates?: number | undefined;
  /** Rank the candidates, from cheap to dear. */
  readonly stages?: readonly Stage<RankedQuery, K>[] | undefined;
  /** Keys of items that a user has already, which are not recommended. */
  readonly seen?: ((user: UserQuery) => KeysInput<K> | undefined) | undefined;
  /** Ids of the items, if keys are row numbers: row i is item i. Default: keys are ids. */
  readonly items?: Vocabulary | undefined;
  /** Users that the deployment is warmed up with, if there are no requests to repeat. */
  readonly samples?: readonly UserQuery[] | undefined;
  /** Called when the deployment was replaced and its last request has ended; the index is closed by then. */
  readonly close?: (() => PromiseLike<void> | void) | undefined;
}

const OF_A_REQUEST: readonly string[] = ['k', 'exclude', 'signal', 'threads', 'into'];
const SEARCH = SEARCH_OPTIONS.filter((name) => !OF_A_REQUEST.includes(name)) as readonly Exclude<
  (typeof SEARCH_OPTIONS)[number],
  'k' | 'exclude' | 'signal' | 'threads' | 'into'
>[];

/**
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_DIMENSION for a usual vector that does not fit, ERR_LICHEN_CLOSED for an index
 * that is closed.
 */
export function requireDeployment<K extends Key, F>(deployment: Deployment<K, F>): void {
  if (deployment === null || typeof deployment !== 'object') {
    throw badArgument(`deployment must be an object, got ${shown(deployment)}`);
  }
  const { version, index, usualVector, candidates, stages, samples, search } = deployment;
  if (deployment.encode === undefined && 'model' in deployment) {
    throw badArgument('deployment has a model: modelDeployment makes a deployment of one');
  }
  if (typeof version !== 'string' || version === '') {
    throw badArgument(
      `deployment.version must be a string that is not empty, got ${shown(version)}`,
    );
  }
  if (!(index instanceof VectorIndex)) {
    throw badArgument(`deployment.index must be a FlatIndex or an HnswIndex, got ${shown(index)}`);
  }
  // That it is open.
  void index.size;
  requireFunction('encode', deployment.encode);
  if (search !== undefined) requireOptions(search, SEARCH);
  if (samples !== undefined) {
    if (!Array.isArray(samples)) {
      throw badArgument(`deployment.samples must be an array, got ${shown(samples)}`);
    }
    (samples as readonly UserQuery[]).forEach(queryOf);
  }
  for (const name of ['features', 'seen', 'close'] as const) {
    if (deployment[name] !== undefined) requireFunction(name, deployment[name]);
  }
  if (stages !== undefined && !Array.isArray(stages)) {
    throw badArgument(`deployment.stages must be an array, got ${shown(stages)}`);
  }
  if (candidates !== undefined) requireInteger('deployment.candidates', candidates, 1, MAX_ROWS);
  if (usualVector !== undefined) {
    const vector = toVector('deployment.usualVector', usualVector, index.dim);
    if (!vector.every(Number.isFinite)) {
      throw new LichenArgumentError(
        'ERR_LICHEN_NOT_FINITE',
        'deployment.usualVector must be finite',
      );
    }
  }
}

function requireFunction(name: string, value: unknown): void {
  if (typeof value === 'function') return;
  throw badArgument(`deployment.${name} must be a function, got ${shown(value)}`);
}
