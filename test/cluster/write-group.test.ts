import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppliedIds } from '../../src/cluster/applied-ids.js';
import { ShardState, type StreamChange } from '../../src/cluster/shard-state.js';
import { WriteGroup } from '../../src/cluster/write-group.js';
import {
  encodeWrite,
  joinRows,
  type WriteMessage,
  type WriteRules,
} from '../../src/cluster/write-message.js';
import { LichenError } from '../../src/errors.js';
import { resolveSchema } from '../../src/index/attributes.js';
import { FlatIndex } from '../../src/index/flat.js';
import type { Key } from '../../src/index/types.js';
import { codeRejected } from './thrown.js';

const SCHEMA = { year: 'number', genre: 'category', tags: 'tags' } as const;
const RULES: WriteRules = { dim: 2, keys: 'integer', schema: resolveSchema(SCHEMA) };

function newState(): ShardState {
  const index = new FlatIndex<Key>({ dim: 2, metric: 'l2', attributes: SCHEMA });
  return new ShardState(index, RULES, new AppliedIds(), 0);
}

function upsert(id: string, ...keys: number[]): WriteMessage {
  const vectors = Float32Array.from(keys.flatMap((key) => [key, -key]));
  return { kind: 'upsert', id, keys: Float64Array.from(keys), vectors, columns: undefined };
}

const streamOf = (messages: readonly WriteMessage[]): StreamChange[] =>
  messages.map((message, at) => ({ seq: at + 1, data: encodeWrite(message) }));

/** Few keys and ids, so that many are there before, or twice; values that not every attribute takes. */
const message: fc.Arbitrary<WriteMessage> = fc
  .record({
    kind: fc.constantFrom('upsert', 'upsert', 'upsert', 'add', 'update', 'remove', 'setAttributes'),
    id: fc.oneof(
      { weight: 2, arbitrary: fc.uuid() },
      { weight: 1, arbitrary: fc.constantFrom('a', 'b') },
    ),
    keys: fc.uniqueArray(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 3 }),
    first: fc.oneof(
      { weight: 12, arbitrary: fc.float({ noNaN: true, noDefaultInfinity: true }) },
      { weight: 1, arbitrary: fc.constant(NaN) },
    ),
    attributes: fc.constantFrom('none', 'none', 'year', 'all', 'wrong'),
  })
  .map(({ kind, id, keys, first, attributes }) => {
    const years = Float64Array.from(keys, (key) => 1990 + key);
    const columns = {
      none: undefined,
      year: { year: years },
      all: { year: years, genre: keys.map((key) => `g${key % 2}`), tags: keys.map(() => ['t']) },
      wrong: { genre: keys.map(() => 7) },
    }[attributes];
    const hasVectors = kind !== 'remove' && kind !== 'setAttributes';
    const vectors = hasVectors ? Float32Array.from(keys.flatMap((key) => [first, key])) : undefined;
    return {
      kind: kind,
      id,
      keys: Float64Array.from(keys),
      vectors,
      columns,
    };
  });

function stateOf(state: ShardState, last: number) {
  const { index } = state;
  const keys = [...(index.keys() as unknown as Float64Array)].sort((a, b) => a - b);
  const outcomes = Array.from({ length: last }, (_, at) => state.outcomeOf(at + 1));
  return {
    keys,
    vectors: keys.map((key) => index.get(key)),
    attributes: keys.length === 0 ? {} : index.attributesOf(keys),
    // A refusal of one among several names the row by its place there, or another of them.
    outcomes: outcomes.map((one) => (one.kind === 'rejected' ? one.code : one.kind)),
    counts: { ...state.counts },
    sequence: state.sequence,
    fingerprint: state.history.fingerprint,
  };
}

describe('changes that are done together', () => {
  it('come to what they come to one by one', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { minLength: 1, maxLength: 40 }),
        fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 8 }),
        fc.array(fc.nat(39), { maxLength: 2 }),
        async (messages, sizes, damaged) => {
          const changes = streamOf(messages);
          for (const at of damaged) changes[at]?.data.fill(0, 0, 4);
          const apart = newState();
          for (const one of changes) await apart.apply([one]);
          const together = newState();
          for (let at = 0, turn = 0; at < changes.length; turn++) {
            const size = sizes[turn % sizes.length]!;
            // What comes a second time is left alone.
            await together.apply(changes.slice(Math.max(0, at - 1), at + size));
            at += size;
          }
          expect(stateOf(together, changes.length)).toEqual(stateOf(apart, changes.length));
        },
      ),
      { numRuns: 150 },
    );
  });

  it('are one change of the index, as long as no key and no id is in two of them', async () => {
    const state = newState();
    const { index } = state;
    const seen: number[][] = [];
    const real = index.upsert.bind(index);
    index.upsert = (vectors, options) => {
      seen.push([...(options.keys as Float64Array)]);
      return real(vectors, options);
    };
    await state.apply(
      streamOf([
        ...[upsert('a', 1, 2), upsert('b', 3), upsert('c', 2, 4), upsert('d', 5)],
        ...[upsert('d', 6), upsert('e', 7), { ...upsert('f', 8), columns: {} }],
      ]),
    );
    expect(seen).toEqual([[1, 2, 3], [2, 4, 5], [7], [8]]);
    expect(state.counts).toEqual({ applied: 6, rejected: 0, duplicates: 1, mended: 0 });
    expect(index.size).toBe(7);
  });

  it('are refused one by one, and only those that would be by themselves', async () => {
    const state = newState();
    const bad = { ...upsert('bad', 2), vectors: Float32Array.of(NaN, 0) };
    await state.apply(streamOf([upsert('a', 1), bad, upsert('c', 3)]));
    expect([1, 2, 3].map((sequence) => state.outcomeOf(sequence))).toMatchObject([
      { kind: 'applied' },
      { kind: 'rejected', code: 'ERR_LICHEN_NOT_FINITE' },
      { kind: 'applied' },
    ]);
    expect(state.index.size).toBe(2);
  });

  it('are none of them done when memory is short', async () => {
    const state = newState();
    const real = state.index.upsert.bind(state.index);
    state.index.upsert = () =>
      Promise.reject(new LichenError('ERR_LICHEN_MEMORY', 'there is none'));
    const changes = streamOf([upsert('a', 1), upsert('b', 2)]);
    expect(await codeRejected(state.apply(changes))).toBe('ERR_LICHEN_MEMORY');
    expect(state.sequence).toBe(0);
    state.index.upsert = real;
    await state.apply(changes);
    expect(state.sequence).toBe(2);
    expect(state.counts.applied).toBe(2);
  });

  it('are 128 rows at most, unless one alone has more', () => {
    const keys = (from: number, count: number) =>
      Array.from({ length: count }, (_, at) => from + at);
    const group = new WriteGroup();
    expect(group.takes(upsert('many', ...keys(0, 500)))).toBe(true);
    expect(group.takes(upsert('more', 500))).toBe(false);
    const small = new WriteGroup();
    for (let at = 0; at < 128; at++) expect(small.takes(upsert(`${at}`, at))).toBe(true);
    expect(small.takes(upsert('128', 128))).toBe(false);
    expect(small.joined().keys).toEqual(Float64Array.from(keys(0, 128)));
  });

  it('keep texts texts, and rows in order', () => {
    const one = (id: string, key: string, year: number): WriteMessage => ({
      ...{ kind: 'upsert', id, keys: [key], vectors: Float32Array.of(year, 0) },
      columns: { year: Float64Array.of(year), genre: [key] },
    });
    expect(joinRows([one('a', 'x', 1), one('b', 'y', 2)])).toEqual({
      ...{ kind: 'upsert', id: 'a', keys: ['x', 'y'], vectors: Float32Array.of(1, 0, 2, 0) },
      columns: { year: Float64Array.of(1, 2), genre: ['x', 'y'] },
    });
  });
});
