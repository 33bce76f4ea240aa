import { native } from '../native.js';
import { parseMetric } from '../vectors/metric.js';
import { requireDim, requireInteger, requireOptions } from './arguments.js';
import { adopt, openHandleOf } from './snapshot.js';
import type { IndexOptions, Key } from './types.js';
import { VectorIndex } from './vector-index.js';

/** Options of {@link HnswIndex}. */
export interface HnswOptions extends IndexOptions {
  /** Links a vector on the upper levels, twice as many on the lowest; 2 to 512. Default 16. */
  m?: number | undefined;
  /** Beam of the searches that find a new vector's links, 1 to 65,536: more makes a better graph, slower. Default 200. */
  efConstruction?: number | undefined;
  /** Decides the levels of the vectors; a whole number. Default 42. */
  seed?: number | undefined;
}

const HNSW_DEFAULTS = Object.freeze({ m: 16, efConstruction: 200, seed: 42 });

/**
 * Approximate search by a hierarchical navigable small-world graph (Malkov and Yashunin, TPAMI 2020). `m` and
 * `efConstruction` are fixed when the index is made; `ef` is chosen search by search. The vectors are kept as f32. A
 * search with a filter does not walk the graph: it scores the admitted rows exactly.
 *
 * @example
 * const index = new HnswIndex<string>({ dim: 3, metric: 'cosine' });
 * await index.add([[1, 0, 0], [0, 1, 0]], { keys: ['east', 'north'] });
 * index.searchSync([0.9, 0.1, 0], { k: 1 }).keys; // ['east']
 */
export class HnswIndex<K extends Key = number> extends VectorIndex<K> {
  /** @throws ERR_LICHEN_ARGUMENT for an option out of range and for unknown options. */
  constructor(options: HnswOptions) {
    const given = requireOptions(options, ['dim', 'metric', 'm', 'efConstruction', 'seed']);
    const { m = HNSW_DEFAULTS.m, seed = HNSW_DEFAULTS.seed } = given;
    const { efConstruction = HNSW_DEFAULTS.efConstruction } = given;
    super(
      native().createHnsw(
        requireDim(given.dim),
        parseMetric(given.metric),
        requireInteger('m', m, 2, 512),
        requireInteger('efConstruction', efConstruction, 1, 65536),
        requireInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER),
      ),
    );
  }

  /**
   * Reads an HNSW index that `save` wrote.
   * @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_FORMAT, ERR_LICHEN_UNSUPPORTED, ERR_LICHEN_MEMORY.
   */
  static async open<K extends Key = number>(path: string): Promise<HnswIndex<K>> {
    return adopt<HnswIndex<K>>(HnswIndex, await openHandleOf('hnsw', path));
  }

  /** Links a vector on the upper levels. */
  get m(): number {
    return this.describe().m!;
  }

  /** Beam of the searches that find a new vector's links. */
  get efConstruction(): number {
    return this.describe().efConstruction!;
  }
}
