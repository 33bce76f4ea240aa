import { LichenArgumentError } from '../errors.js';
import type { Key, SearchBatchOptions } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import {
  itemNumbers,
  knownCount,
  requireKnownUsers,
  type KnownItems,
} from '../interactions/known-items.js';
import type { Vocabulary } from '../interactions/vocabulary.js';
import { matrixRows, type Matrix } from '../vectors/matrix.js';

/** A place of a ranking that holds no item. */
export const NO_ITEM = 0xffffffff;

/** Users a batch; a batch's results are held at once. */
const USERS_A_BATCH = 4096;

/** What {@link recommendBatch} ranks. */
export interface RecommendRequest {
  /** Item vectors. Its keys are row numbers (then row i is item i of `items`) or the ids of `items`. */
  readonly index: VectorIndex<Key>;
  /** The items' ids. */
  readonly items: Vocabulary;
  /** One vector a user: row i belongs to `users[i]`. */
  readonly queries: Matrix;
  /** Which user of `known` each query is; -1 for one without known items. Default: query i is user i. */
  readonly users?: Int32Array | Uint32Array;
  /** What users have already; not recommended again. Its items are `items`. */
  readonly known: KnownItems;
}

/** Options of {@link recommendBatch}; `k` is the number of recommendations a user. */
export type RecommendOptions = SearchBatchOptions & {
  /** Recommendations a user. */
  k: number;
};

/**
 * The `k` items of the highest score for each user, without those the user has. A user with n known items is
 * searched for the k + n nearest, so the known ones cannot crowd the others out.
 * @returns `queries.rows * k` item indices, best first; {@link NO_ITEM} where there are fewer.
 * @throws as `searchBatch`; ERR_LICHEN_DIMENSION when users and queries differ in number, ERR_LICHEN_ARGUMENT for a
 * user that `known` does not have.
 *
 * @example
 * const request = { index, items: model.items, queries: model.userVectors, known: interactions };
 * const ranked = await recommendBatch(request, { k: 20 });
 * ranked.subarray(0, 20); // items of user 0, best first
 */
export async function recommendBatch(
  request: RecommendRequest,
  options: RecommendOptions,
): Promise<Uint32Array> {
  const { index, items, queries, known } = request;
  const users = resolveUsers(request);
  const { k, onProgress, ...search } = options;
  const { offsets, itemIndices } = known;
  const countOf = (row: number): number => knownCount(known, users[row]!);
  const itemOf = itemNumbers(index, items);
  // Users with about as many known items go together, so that one k serves the batch without much waste.
  const order = Uint32Array.from(users, (_, row) => row).sort(
    (a, b) => countOf(a) - countOf(b) || a - b,
  );
  const ranked = new Uint32Array(queries.rows * k).fill(NO_ITEM);
  const size = index.size;
  const stamp = new Int32Array(items.size).fill(-1);
  for (let from = 0; from < order.length; from += USERS_A_BATCH) {
    const rows = order.subarray(from, from + USERS_A_BATCH);
    const most = countOf(rows[rows.length - 1]!);
    const wanted = Math.max(1, Math.min(size, k + most));
    const result = await index.searchBatch(matrixRows(queries, rows), { ...search, k: wanted });
    rows.forEach((row, at) => {
      const user = users[row]!;
      for (let i = 0; i < countOf(row); i++) stamp[itemIndices[offsets[user]! + i]!] = row;
      let place = 0;
      for (let i = 0; i < result.counts[at]! && place < k; i++) {
        const item = itemOf(result.keys[at * wanted + i]!);
        if (item >= 0 && stamp[item] !== row) ranked[row * k + place++] = item;
      }
    });
    onProgress?.(Math.min(order.length, from + USERS_A_BATCH), order.length);
  }
  return ranked;
}

function resolveUsers({ queries, users, known }: RecommendRequest): Int32Array | Uint32Array {
  const userCount = known.offsets.length - 1;
  const got = users?.length ?? userCount;
  if (got !== queries.rows) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `users must have one entry a query, ${queries.rows}, got ${got}`,
    );
  }
  if (users === undefined) return Uint32Array.from({ length: userCount }, (_, user) => user);
  requireKnownUsers(users, known);
  return users;
}
