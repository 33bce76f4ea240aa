import type { Candidates } from '../cascade/stage.js';
import type { Key, KeysInput, KeysOf } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import type { Where } from '../index/where.js';
import type { DeploymentSearch } from './deployment.js';

/** A search of one request. */
export interface WantedSearch<K extends Key> {
  readonly vector: Float32Array;
  /** Results wanted. */
  readonly count: number;
  readonly where: Where | undefined;
  /** Conditions of the same text are the same. */
  readonly whereText: string;
  readonly exclude: KeysInput<K> | undefined;
}

interface Waiting<K extends Key> extends WantedSearch<K> {
  readonly resolve: (found: Candidates<K>) => void;
  readonly reject: (error: unknown) => void;
}

/** Of a batch. */
const MOST_RESULTS = 2 ** 18;

/**
 * Searches of requests that come together, such as those whose users were encoded in one batch, as one batch: a call
 * to native code and a promise cost more than many a search, and an exhaustive one reads its rows once for all of them.
 */
export class GroupedSearch<K extends Key> {
  #waiting: Waiting<K>[] = [];

  constructor(
    private readonly index: VectorIndex<K>,
    private readonly options: DeploymentSearch = {},
  ) {}

  /** The nearest, best first; scores are the higher the better, also of squared distances, which are negated. */
  find(wanted: WantedSearch<K>): Promise<Candidates<K>> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...wanted, resolve, reject });
      // When all that the promises settled now lead to has been done.
      if (this.#waiting.length === 1) process.nextTick(() => this.#search());
    });
  }

  #search(): void {
    const all = this.#waiting;
    this.#waiting = [];
    const groups = new Map<string, Waiting<K>[]>();
    for (const one of all) {
      // The largest number of a group is that of all: so they must be alike.
      const octave = Math.ceil(Math.log2(one.count));
      const name = `${octave} ${one.whereText}`;
      const group = groups.get(name);
      if (group === undefined || group.length << octave >= MOST_RESULTS) groups.set(name, [one]);
      else group.push(one);
      if (group !== undefined && groups.get(name) !== group) void this.#searchGroup(group);
    }
    for (const group of groups.values()) void this.#searchGroup(group);
  }

  async #searchGroup(group: readonly Waiting<K>[]): Promise<void> {
    try {
      const found = await this.#searchBatch(group);
      group.forEach(({ resolve }, at) => resolve(found[at]!));
    } catch (error) {
      if (group.length === 1) {
        group[0]!.reject(error);
        return;
      }
      // What is wrong with one is nothing against the others.
      for (const one of group) void this.#searchGroup([one]);
    }
  }

  async #searchBatch(group: readonly Waiting<K>[]): Promise<Candidates<K>[]> {
    const { index } = this;
    const { dim, size } = index;
    if (size === 0) return group.map(() => ({ keys: [] as unknown as KeysOf<K>, scores: [] }));
    const most = group.reduce((sum, { count }) => Math.max(sum, count), 1);
    const queries = new Float32Array(group.length * dim);
    group.forEach(({ vector }, at) => queries.set(vector, at * dim));
    const where = bothHold(this.options.where, group[0]!.where);
    const { keys, scores, counts, k } = await index.searchBatch(queries, {
      ...this.options,
      k: Math.min(most, size),
      ...(where !== undefined && { where }),
      ...this.#exclusion(group),
    });
    if (index.metric === 'l2') for (let at = 0; at < scores.length; at++) scores[at] = -scores[at]!;
    return group.map(({ count }, at) => {
      const [from, to] = [at * k, at * k + Math.min(count, counts[at]!)];
      return { keys: keys.slice(from, to) as KeysOf<K>, scores: scores.subarray(from, to) };
    });
  }

  #exclusion(group: readonly Waiting<K>[]): { exclude?: readonly ArrayLike<number>[] } {
    if (group.every(({ exclude }) => exclude === undefined)) return {};
    return { exclude: group.map(({ exclude }) => (exclude ?? []) as ArrayLike<number>) };
  }
}

/** The condition that both hold. */
export function bothHold(one: Where | undefined, other: Where | undefined): Where | undefined {
  return one !== undefined && other !== undefined ? { and: [one, other] } : (one ?? other);
}
