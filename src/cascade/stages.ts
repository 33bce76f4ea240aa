import type { LayersModel, Tensor } from '@tensorflow/tfjs';
import { LichenArgumentError, shown } from '../errors.js';
import { EmbeddingStore } from '../index/embedding-store.js';
import type { Key, SearchOptions, VectorInput } from '../index/types.js';
import { VectorIndex } from '../index/vector-index.js';
import type { Candidates, Retrieval, Stage, StageContext, StageCost } from './stage.js';

interface CommonOptions {
  /** Candidates when there is time. */
  readonly candidates: number;
  /** See {@link Stage}. */
  readonly leastCandidates?: number | undefined;
  /** What it is thought to cost until it has been measured. Default: nothing. */
  readonly cost?: StageCost | undefined;
}

/** Options of {@link indexRetrieval}. */
export interface IndexRetrievalOptions<Q, K extends Key> extends CommonOptions {
  /** Default `retrieval`. */
  readonly name?: string | undefined;
  /** What is searched. */
  readonly index: VectorIndex<K>;
  /** What is searched for. */
  readonly vector: (query: Q, context: StageContext) => VectorInput | PromiseLike<VectorInput>;
  /** How, such as `ef`, `filter`, `exclude`: for all requests, or by request. */
  readonly search?: CascadeSearch | ((query: Q) => CascadeSearch) | undefined;
  /** See {@link Retrieval}. */
  readonly fallback?: ((query: Q, count: number) => Candidates<K>) | undefined;
}

/** Options of the search of {@link indexRetrieval}. */
export type CascadeSearch = Omit<SearchOptions, 'k' | 'signal' | 'into'>;

/**
 * The nearest of an index as candidates.
 * @throws ERR_LICHEN_ARGUMENT for an index or a function that is none.
 *
 * @example
 * const retrieval = indexRetrieval({ index, candidates: 1000, vector: (user: User) => user.vector });
 */
export function indexRetrieval<Q, K extends Key = number>({
  name = 'retrieval',
  index,
  vector,
  search,
  ...common
}: IndexRetrievalOptions<Q, K>): Retrieval<Q, K> {
  if (!(index instanceof VectorIndex)) {
    throw bad(`index must be a FlatIndex or an HnswIndex, got ${shown(index)}`);
  }
  requireFunction('vector', vector);
  return {
    ...common,
    name,
    retrieve: async (query, count, context) => {
      const options = typeof search === 'function' ? search(query) : search;
      const k = Math.max(1, Math.min(count, index.size));
      const wanted = await vector(query, context);
      return index.search(wanted, { ...options, k, signal: context.signal });
    },
  };
}

/** Options of {@link storeStage}. */
export interface StoreStageOptions<Q, K extends Key> extends CommonOptions {
  /** The name of the stage in reports. */
  readonly name: string;
  /** Vectors of more values, or in a finer storage type, than those that candidates came from. */
  readonly store: EmbeddingStore;
  /** The query as a vector of `store`. */
  readonly vector: (query: Q, context: StageContext) => VectorInput | PromiseLike<VectorInput>;
  /** The store's row of a key. Default: integer keys are rows. */
  readonly row?: ((key: K) => number) | undefined;
}

/**
 * Scores by the dot product, cosine or (negative) squared distance of vectors, on this thread.
 * @throws ERR_LICHEN_ARGUMENT for a store or a function that is none.
 *
 * @example
 * const finer = new EmbeddingStore({ dim: 64, metric: 'dot', storage: 'f16' });
 * const stage = storeStage({ name: 'finer', candidates: 200, store: finer, vector: (user: User) => user.vector });
 */
export function storeStage<Q, K extends Key = number>({
  name,
  store,
  vector,
  row = (key) => key as number,
  ...common
}: StoreStageOptions<Q, K>): Stage<Q, K> {
  if (!(store instanceof EmbeddingStore)) {
    throw bad(`store must be an EmbeddingStore, got ${shown(store)}`);
  }
  requireFunction('vector', vector);
  const sign = store.metric === 'l2' ? -1 : 1;
  return {
    ...common,
    name,
    score: async (query, { keys }, context) => {
      const rows = new Uint32Array(keys.length);
      for (let at = 0; at < rows.length; at++) rows[at] = row(keys[at] as K);
      const { scores } = store.score(await vector(query, context), rows);
      if (sign < 0) for (let at = 0; at < scores.length; at++) scores[at] = -scores[at]!;
      return scores;
    },
  };
}

/** Options of {@link layersStage}. */
export interface LayersStageOptions<Q, K extends Key> extends CommonOptions {
  /** The name of the stage in reports. */
  readonly name: string;
  /** Gives one value a row. */
  readonly model: Pick<LayersModel, 'predict'>;
  /** The model's inputs, a row a candidate; they are disposed of afterwards. */
  readonly inputs: (query: Q, candidates: Candidates<K>) => Tensor | Tensor[];
}

/**
 * Scores by a model of TensorFlow.js, on its current backend and this thread.
 *
 * @example
 * const stage = layersStage({
 *   ...{ name: 'network', candidates: 100, model: layers },
 *   inputs: (user: User, { keys }) => tf.tensor2d(featuresOf(keys), [keys.length, 20]),
 * });
 */
export function layersStage<Q, K extends Key = number>({
  name,
  model,
  inputs,
  ...common
}: LayersStageOptions<Q, K>): Stage<Q, K> {
  requireFunction('model.predict', model?.predict);
  requireFunction('inputs', inputs);
  return {
    ...common,
    name,
    score: async (query, candidates) => {
      const given = inputs(query, candidates);
      const output = model.predict(given);
      const [first] = [output].flat();
      try {
        return await first!.data();
      } finally {
        for (const tensor of [given, output].flat()) tensor.dispose();
      }
    },
  };
}

function requireFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw bad(`${name} must be a function, got ${shown(value)}`);
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
