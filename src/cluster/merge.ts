import type { Metric } from '../vectors/metric.js';
import type { SearchReply } from './search-message.js';
import type { KeyList } from './write-message.js';

/** Results of a batch: those of query q stand from `q * k` on, `counts[q]` of them. */
export interface MergedResults {
  readonly keys: KeyList;
  readonly scores: Float32Array;
  readonly counts: Uint32Array;
}

/** How results are merged. */
export interface MergeOptions {
  readonly metric: Metric;
  /** Most results a query. */
  readonly k: number;
  readonly isInteger: boolean;
  /** With groups: most results of one value. */
  readonly groupSize: number | undefined;
}

/** Where a shard's results of the query that is being merged are. */
interface Cursor {
  readonly reply: SearchReply;
  at: number;
  end: number;
}

/**
 * The best of what the shards found, query by query. Each list is in order, so the next best is at the head of one of
 * them; with equal scores that of the shard with the lower number comes first. With groups it is exact as well: what a
 * shard left out for its group is worse than as many of that group as there may be.
 */
export function mergeReplies(
  replies: readonly SearchReply[],
  rows: number,
  { metric, k, isInteger, groupSize }: MergeOptions,
): MergedResults {
  const places = rows * k;
  const numbers = isInteger ? new Float64Array(places).fill(-1) : undefined;
  const strings = isInteger ? undefined : new Array<string>(places).fill('');
  const scores = new Float32Array(places).fill(NaN);
  const counts = new Uint32Array(rows);
  const isBetter = metric === 'l2' ? lower : higher;
  const cursors: Cursor[] = [...replies]
    .sort((one, other) => one.shard - other.shard)
    .map((reply) => ({ reply, at: 0, end: 0 }));
  for (let query = 0; query < rows; query++) {
    for (const cursor of cursors) {
      cursor.at = cursor.end;
      cursor.end += cursor.reply.counts[query]!;
    }
    const ofGroup = groupSize === undefined ? undefined : new Map<string | number, number>();
    let count = 0;
    while (count < k) {
      const best = bestOf(cursors, isBetter);
      if (best === undefined) break;
      const { reply, at } = best;
      best.at++;
      const group = ofGroup === undefined ? null : (reply.groups?.[at] ?? null);
      if (ofGroup !== undefined && group !== null) {
        const taken = ofGroup.get(group) ?? 0;
        if (taken >= groupSize!) continue;
        ofGroup.set(group, taken + 1);
      }
      const place = query * k + count++;
      if (numbers !== undefined) numbers[place] = reply.keys[at] as number;
      else strings![place] = reply.keys[at] as string;
      scores[place] = reply.scores[at]!;
    }
    counts[query] = count;
  }
  return { keys: numbers ?? strings!, scores, counts };
}

function bestOf(
  cursors: readonly Cursor[],
  isBetter: (one: number, other: number) => boolean,
): Cursor | undefined {
  let best: Cursor | undefined;
  for (const cursor of cursors) {
    if (cursor.at === cursor.end) continue;
    if (
      best === undefined ||
      isBetter(cursor.reply.scores[cursor.at]!, best.reply.scores[best.at]!)
    ) {
      best = cursor;
    }
  }
  return best;
}

function lower(one: number, other: number): boolean {
  return one < other;
}

function higher(one: number, other: number): boolean {
  return one > other;
}
