import { makeIndex } from '../evaluation/candidate.js';
import { LichenError, shown, throwIfAborted } from '../errors.js';
import type { AttributeSchema, AttributesInput } from '../index/attributes.js';
import type { VectorIndex } from '../index/vector-index.js';
import type { Where } from '../index/where.js';
import { listQuality } from '../ranking/ranking-metrics.js';
import { matrixRow, type Matrix } from '../vectors/matrix.js';
import type { Metric } from '../vectors/metric.js';
import { indexKey, type Design } from './design.js';

/** A request, and what turned out to be relevant to it. */
export interface DesignRequest {
  /** The row of the user's vector. */
  readonly user: number;
  /** Rows of items that were met later. */
  readonly relevant: Iterable<number>;
  /** Rows of items that are not wanted. */
  readonly exclude?: Uint32Array | undefined;
  /** A condition on attributes, where items have some. */
  readonly where?: Where | undefined;
}

/** Attributes of all items, in the order of rows. */
export interface DesignItemAttributes {
  /** Names and kinds. */
  readonly schema: AttributeSchema;
  /** Values by name, one an item. */
  readonly values: AttributesInput;
}

/** Scores of items for a user, one an item, the higher the better. */
export type DesignRanker = (
  user: number,
  items: Uint32Array,
) => ArrayLike<number> | Promise<ArrayLike<number>>;

/** What designs are made of. */
export interface DesignParts {
  readonly items: Matrix;
  readonly users: Matrix;
  readonly metric: Metric;
  readonly k: number;
  readonly ranker: DesignRanker | undefined;
  readonly attributes: DesignItemAttributes | undefined;
}

/** What a design did with some requests, in their order. */
export interface DesignMeasurement {
  /** nDCG@k of each. */
  readonly ndcg: number[];
  /** Microseconds of the search and of the ranker, each. */
  readonly searchUs: number[];
  readonly rankUs: number[];
}

/** Builds what designs share, once, and lets them serve requests. */
export class DesignBench {
  private readonly indexes = new Map<string, VectorIndex>();
  private readonly prefixes = new Map<string, Matrix>();

  constructor(private readonly parts: DesignParts) {}

  /** Memory of the design's index; 0 without one. */
  async bytesOf(design: Design, signal?: AbortSignal): Promise<number> {
    return this.searches(design) ? (await this.indexOf(design, signal)).bytes : 0;
  }

  /** Serves requests one after another, with the times taken, and adds what came of it. */
  async serve(
    design: Design,
    requests: readonly DesignRequest[],
    into: DesignMeasurement,
    signal?: AbortSignal,
  ): Promise<void> {
    const { k } = this.parts;
    const index = this.searches(design) ? await this.indexOf(design, signal) : undefined;
    const users = this.prefixOf('users', design.dim);
    for (const request of requests) {
      throwIfAborted(signal, 'measuring');
      const started = performance.now();
      const vector = matrixRow(users, request.user);
      let found = index === undefined ? this.all() : search(index, vector, design, request, k);
      const searched = performance.now();
      if (design.candidates > 0) found = await this.ranked(request, found);
      into.searchUs.push((searched - started) * 1000);
      into.rankUs.push((performance.now() - searched) * 1000);
      into.ndcg.push(listQuality(found, request.relevant, k).ndcg);
    }
  }

  /** A ranker over all items needs a search only to keep to conditions. */
  private searches({ candidates }: Design): boolean {
    return candidates !== Infinity || this.parts.attributes !== undefined;
  }

  /** Frees the indexes of designs that are not among these. */
  keepOnly(designs: readonly Design[]): void {
    const kept = new Set(designs.map(indexKey));
    for (const [key, index] of this.indexes) {
      if (kept.has(key)) continue;
      index.close();
      this.indexes.delete(key);
    }
  }

  close(): void {
    this.keepOnly([]);
  }

  private async indexOf(design: Design, signal: AbortSignal | undefined): Promise<VectorIndex> {
    const key = indexKey(design);
    const there = this.indexes.get(key);
    if (there !== undefined) return there;
    const { dim } = design;
    const { metric, attributes } = this.parts;
    const made = makeIndex(design.index, { dim, metric, attributes: attributes?.schema });
    try {
      const items = this.prefixOf('items', dim);
      await made.add(items, { signal, attributes: attributes?.values });
    } catch (error) {
      made.close();
      throw error;
    }
    this.indexes.set(key, made);
    return made;
  }

  private prefixOf(which: 'items' | 'users', dim: number): Matrix {
    const whole = this.parts[which];
    if (dim === whole.dim) return whole;
    const key = `${which} ${dim}`;
    const there = this.prefixes.get(key);
    if (there !== undefined) return there;
    const data = new Float32Array(whole.rows * dim);
    for (let row = 0; row < whole.rows; row++) {
      data.set(matrixRow(whole, row).subarray(0, dim), row * dim);
    }
    const made = { data, rows: whole.rows, dim };
    this.prefixes.set(key, made);
    return made;
  }

  private all(): Uint32Array {
    return Uint32Array.from({ length: this.parts.items.rows }, (_, row) => row);
  }

  private async ranked({ user, exclude }: DesignRequest, found: Uint32Array): Promise<Uint32Array> {
    const { ranker, k } = this.parts;
    const given: unknown = ranker!(user, found);
    const scores = (given instanceof Promise ? await given : given) as ArrayLike<unknown> | null;
    if (typeof scores?.length !== 'number' || scores.length !== found.length) {
      throw new LichenError(
        'ERR_LICHEN_DIMENSION',
        `ranker must give a score for each of ${found.length} items, got ${scores?.length ?? shown(scores)}`,
      );
    }
    const values = new Float64Array(found.length);
    for (let at = 0; at < found.length; at++) {
      const score = scores[at];
      if (typeof score !== 'number' || Number.isNaN(score)) {
        const message = `ranker must give numbers, got ${shown(score)} for item ${found[at]}`;
        throw new LichenError('ERR_LICHEN_NOT_FINITE', message);
      }
      values[at] = score;
    }
    const order = Uint32Array.from(values, (_, at) => at).sort((a, b) => values[b]! - values[a]!);
    // A search has left them out already.
    const without = new Set(found.length === this.parts.items.rows ? exclude : undefined);
    const kept = order.filter((at) => !without.has(found[at]!));
    return kept.subarray(0, k).map((at) => found[at]!);
  }
}

function search(
  index: VectorIndex,
  vector: Float32Array,
  { candidates, ef }: Design,
  { exclude, where }: DesignRequest,
  k: number,
): Uint32Array {
  const wanted = Math.min(index.size, Math.max(k, candidates));
  const { keys } = index.searchSync(vector, {
    k: wanted,
    ...(ef !== undefined && { ef }),
    ...(exclude !== undefined && exclude.length > 0 && { exclude }),
    ...(where !== undefined && { where }),
  });
  return Uint32Array.from(keys);
}
