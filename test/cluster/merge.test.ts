import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeReplies } from '../../src/cluster/merge.js';
import type { SearchReply } from '../../src/cluster/search-message.js';
import { METRICS, type Metric } from '../../src/vectors/metric.js';

/** A vector as one shard scores it for one query. */
interface Scored {
  readonly shard: number;
  readonly key: number;
  readonly score: number;
  readonly group: string | number | null;
}

/** Best first; with equal scores the lower shard, and in a shard the lower key. */
function sorted(all: readonly Scored[], metric: Metric): Scored[] {
  const sign = metric === 'l2' ? 1 : -1;
  return [...all].sort((a, b) => sign * (a.score - b.score) || a.shard - b.shard || a.key - b.key);
}

/** The first `k`, at most so many of a group. */
function firstOf(list: readonly Scored[], k: number, groupSize: number | undefined): Scored[] {
  const taken = new Map<string | number, number>();
  const found = list.filter(({ group }) => {
    if (groupSize === undefined || group === null) return true;
    const count = (taken.get(group) ?? 0) + 1;
    taken.set(group, count);
    return count <= groupSize;
  });
  return found.slice(0, k);
}

interface Task {
  readonly metric: Metric;
  readonly k: number;
  readonly groupSize: number | undefined;
  readonly isInteger: boolean;
  readonly shards: number;
  /** Query by query. */
  readonly queries: readonly (readonly Scored[])[];
  /** Shards that answer, in the order of their answers. */
  readonly answering: readonly number[];
}

const scored = (shards: number): fc.Arbitrary<Scored[]> =>
  fc.uniqueArray(
    fc.record({
      shard: fc.nat(shards - 1),
      key: fc.nat(999),
      // Few values, so that many are equal.
      score: fc.oneof(fc.integer({ min: -3, max: 3 }), fc.float({ noNaN: true })),
      group: fc.constantFrom(null, 'a', 'b', '', 1, 0, Infinity),
    }),
    { selector: ({ key }) => key, maxLength: 40 },
  );

const task: fc.Arbitrary<Task> = fc.integer({ min: 1, max: 5 }).chain((shards) =>
  fc.record({
    metric: fc.constantFrom(...METRICS),
    k: fc.integer({ min: 1, max: 12 }),
    groupSize: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    isInteger: fc.boolean(),
    shards: fc.constant(shards),
    queries: fc.array(scored(shards), { minLength: 1, maxLength: 4 }),
    answering: fc.shuffledSubarray(Array.from({ length: shards }, (_, shard) => shard)),
  }),
);

const nameOf = (key: number): string => `key ${key}`;

/** What a shard answers: its own best, as many as are wanted. */
function replyOf(shard: number, { metric, k, groupSize, isInteger, queries }: Task): SearchReply {
  const lists = queries.map((all) =>
    firstOf(
      sorted(
        all.filter((one) => one.shard === shard),
        metric,
      ),
      k,
      groupSize,
    ),
  );
  const flat = lists.flat();
  return {
    ...{ shard, replica: 'r', sequence: 1, size: 1000 },
    counts: Uint32Array.from(lists, ({ length }) => length),
    keys: isInteger
      ? Float64Array.from(flat, ({ key }) => key)
      : flat.map(({ key }) => nameOf(key)),
    scores: Float32Array.from(flat, ({ score }) => score),
    groups: groupSize === undefined ? undefined : flat.map(({ group }) => group),
  };
}

describe('merging', () => {
  it('gives what sorting and grouping all of the shards that answer gives', () => {
    fc.assert(
      fc.property(task, (given) => {
        const { metric, k, groupSize, isInteger, queries, answering } = given;
        const replies = answering.map((shard) => replyOf(shard, given));
        const merged = mergeReplies(replies, queries.length, { metric, k, isInteger, groupSize });
        expect(merged.keys).toHaveLength(queries.length * k);
        expect(merged.keys instanceof Float64Array).toBe(isInteger);
        queries.forEach((all, query) => {
          const there = all.filter(({ shard }) => answering.includes(shard));
          const best = firstOf(sorted(there, metric), k, groupSize);
          const [from, count] = [query * k, merged.counts[query]!];
          expect(count).toBe(best.length);
          const keys = [...merged.keys].slice(from, from + k);
          expect(keys.slice(0, count)).toEqual(
            best.map(({ key }) => (isInteger ? key : nameOf(key))),
          );
          expect([...merged.scores.subarray(from, from + count)]).toEqual(
            best.map(({ score }) => Math.fround(score)),
          );
          // Places that are not taken.
          expect(new Set(keys.slice(count))).toEqual(
            new Set(count === k ? [] : [isInteger ? -1 : '']),
          );
          expect(merged.scores.subarray(from + count, from + k).every(Number.isNaN)).toBe(true);
        });
      }),
      { numRuns: 500 },
    );
  });

  it('of nothing gives nothing', () => {
    const { keys, scores, counts } = mergeReplies([], 2, {
      ...{ metric: 'dot', k: 3, isInteger: true, groupSize: undefined },
    });
    expect([...keys]).toEqual(new Array(6).fill(-1));
    expect(scores.every(Number.isNaN)).toBe(true);
    expect([...counts]).toEqual([0, 0]);
  });

  it('of lists that a liar did not sort ends, and takes no more than there is', () => {
    const scores = Float32Array.of(NaN, 5, NaN, -Infinity, Infinity);
    const liar: SearchReply = {
      ...{ shard: 0, replica: 'liar', sequence: 0, size: 0, groups: undefined },
      ...{ counts: Uint32Array.of(5), keys: Float64Array.of(1, 1, NaN, -1, 0.5), scores },
    };
    const options = { k: 9, isInteger: true, groupSize: undefined };
    for (const metric of METRICS) {
      const { counts } = mergeReplies([liar, { ...liar, shard: 1 }], 1, { metric, ...options });
      expect(counts[0]).toBe(9);
    }
  });
});
