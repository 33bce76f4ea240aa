import type { StreamInfo } from '@nats-io/jetstream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppliedIds } from '../../src/cluster/applied-ids.js';
import { Auditor } from '../../src/cluster/auditor.js';
import type { Cluster } from '../../src/cluster/connection.js';
import { ShardState, type StreamChange } from '../../src/cluster/shard-state.js';
import { encodeWrite, type WriteRules } from '../../src/cluster/write-message.js';
import { resolveSchema } from '../../src/index/attributes.js';
import { FlatIndex } from '../../src/index/flat.js';
import type { Key } from '../../src/index/types.js';

const RULES: WriteRules = { dim: 1, keys: 'integer', schema: resolveSchema({}) };

/** An upsert that gives keys one value. */
function upsert(id: string, keys: readonly number[], value: number): Uint8Array {
  return encodeWrite({
    ...{ kind: 'upsert', id, keys: Float64Array.from(keys), columns: undefined },
    vectors: new Float32Array(keys.length).fill(value),
  });
}

function newState(): ShardState {
  return new ShardState(new FlatIndex<Key>({ dim: 1, metric: 'l2' }), RULES, new AppliedIds(), 0);
}

async function stateOf(changes: readonly Uint8Array[]): Promise<ShardState> {
  const state = newState();
  for (const [at, bytes] of changes.entries()) await state.apply([{ seq: at + 1, data: bytes }]);
  return state;
}

const numbered = (changes: readonly Uint8Array[]): StreamChange[] =>
  changes.map((data, at) => ({ seq: at + 1, data }));

const valuesOf = ({ index }: ShardState) =>
  Object.fromEntries<number>(
    [...index.keys()]
      .map((key: Key): [string, number] => [String(key), index.get(key)![0]!])
      .sort(),
  );

describe('a replica whose server held other changes than the leader of the stream', () => {
  it('does what it has missed, but for keys of which it has done a later change', async () => {
    const [a, b, c] = [upsert('a', [1, 2], 10), upsert('b', [2, 3], 20), upsert('c', [3], 30)];
    // The leader has a, b, c; this one has read a and c, and b's place was taken by a copy.
    const state = await stateOf([a, a, c]);
    expect(state.hasAll(numbered([a, b, c]))).toBe(false);
    expect(await state.mend(() => Promise.resolve(numbered([a, b, c])))).toBe(1);
    expect(valuesOf(state)).toEqual({ 1: 10, 2: 20, 3: 30 });
    expect(state.hasAll(numbered([a, b, c]))).toBe(true);
    expect(state.counts.mended).toBe(1);
    // What is to come by the stream as well is not done twice.
    await state.apply([{ seq: 4, data: b }]);
    expect(valuesOf(state)).toEqual({ 1: 10, 2: 20, 3: 30 });
  });

  it('comes to what the leader has, whatever was missing and however often something was copied', async () => {
    const changesOf = fc.array(
      fc.record({
        keys: fc.uniqueArray(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 3 }),
        isMissing: fc.boolean(),
        copies: fc.integer({ min: 1, max: 2 }),
      }),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(changesOf, async (drawn) => {
        const changes = drawn.map(({ keys }, at) => upsert(`${at}`, keys, at));
        const held = changes.flatMap((bytes, at) =>
          new Array<Uint8Array>(drawn[at]!.copies).fill(bytes),
        );
        const state = await stateOf(changes.filter((_, at) => !drawn[at]!.isMissing));
        await state.mend(() => Promise.resolve(numbered(held)));
        expect(valuesOf(state)).toEqual(valuesOf(await stateOf(changes)));
      }),
    );
  });

  it('passes over what is damaged', async () => {
    const state = await stateOf([]);
    const held = numbered([Uint8Array.of(1, 2, 3), upsert('a', [1], 1)]);
    expect(await state.mend(() => Promise.resolve(held))).toBe(1);
    expect(valuesOf(state)).toEqual({ 1: 1 });
  });
});

describe('an auditor', () => {
  /** A stream whose leader holds some changes, and how often it was read. */
  function leaderOf(changes: readonly Uint8Array[]) {
    const reads: number[] = [];
    const infoOf = (leader: string | undefined): StreamInfo =>
      ({
        cluster: { leader },
        state: { first_seq: 1, last_seq: changes.length },
      }) as unknown as StreamInfo;
    const streams = {
      info: () => Promise.resolve(infoOf('a')),
      getMessage: (_: string, { seq }: { seq: number }) => {
        reads.push(seq);
        return Promise.resolve({ seq, data: changes[seq - 1]! });
      },
    };
    return { infoOf, reads, cluster: { manager: { streams } } as unknown as Cluster };
  }

  it('compares after a change of leaders, and not while nobody leads', async () => {
    const [a, b, c] = [upsert('a', [1], 1), upsert('b', [2], 2), upsert('c', [3], 3)];
    const { infoOf, reads, cluster } = leaderOf([a, b, c]);
    const state = await stateOf([a, a, c]);
    const auditor = new Auditor(cluster, 'stream', state);
    expect(await auditor.look(infoOf(undefined))).toBe(0);
    expect(reads).toEqual([]);
    expect(await auditor.look(infoOf('a'))).toBe(1);
    expect(valuesOf(state)).toEqual({ 1: 1, 2: 2, 3: 3 });
    // What was compared is not read again as long as the same server leads.
    reads.length = 0;
    expect(await auditor.look(infoOf('a'))).toBe(0);
    expect(reads).toEqual([]);
    expect(await auditor.look(infoOf('b'))).toBe(0);
    expect(reads).toEqual([1, 2, 3]);
  });
});
