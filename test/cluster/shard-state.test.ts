import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppliedIds } from '../../src/cluster/applied-ids.js';
import { decodeFrame, encodeFrame } from '../../src/cluster/frame.js';
import { errorOfOutcome, ShardState, toOutcome } from '../../src/cluster/shard-state.js';
import {
  encodeWrite,
  type WriteMessage,
  type WriteRules,
} from '../../src/cluster/write-message.js';
import { LichenError } from '../../src/errors.js';
import { resolveSchema } from '../../src/index/attributes.js';
import { FlatIndex } from '../../src/index/flat.js';
import { openIndex } from '../../src/index/open.js';
import type { Key } from '../../src/index/types.js';
import type { VectorIndex } from '../../src/index/vector-index.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { codeRejected, codeThrown } from './thrown.js';

const RULES: WriteRules = { dim: 1, keys: 'integer', schema: resolveSchema({ year: 'number' }) };

function newIndex(): VectorIndex<Key> {
  return new FlatIndex<Key>({ dim: 1, metric: 'l2', attributes: { year: 'number' } });
}

function newState(index = newIndex(), sequence = 0, ids = new AppliedIds()): ShardState {
  return new ShardState(index, RULES, ids, sequence);
}

let count = 0;

/** A change whose vectors are its keys. */
function change(kind: WriteMessage['kind'], keys: number[], id = `id ${count++}`): Uint8Array {
  const vectors = ['remove', 'setAttributes'].includes(kind) ? undefined : Float32Array.from(keys);
  const columns = kind === 'setAttributes' ? { year: Float64Array.from(keys) } : undefined;
  return encodeWrite({ kind, id, keys: Float64Array.from(keys), vectors, columns });
}

const keysOf = ({ index }: ShardState): number[] => [...(index.keys() as unknown as Float64Array)];

describe('the state of a shard', () => {
  const at = temporaryFolder();

  it('does changes one after another, in the order in which they are given', async () => {
    const state = newState();
    const changes = [
      ...[change('add', [1, 2]), change('remove', [1]), change('add', [1, 3])],
      ...[change('update', [3]), change('upsert', [3, 4]), change('setAttributes', [4])],
    ];
    const done: number[] = [];
    await Promise.all(
      changes.map((bytes, nth) =>
        state.apply([{ seq: nth + 1, data: bytes }]).then(() => done.push(nth + 1)),
      ),
    );
    expect(done).toEqual([1, 2, 3, 4, 5, 6]);
    expect(state.sequence).toBe(6);
    expect(keysOf(state).sort()).toEqual([1, 2, 3, 4]);
    expect(state.index.attributesOf([4])).toEqual({ year: Float64Array.of(4) });
    expect(state.counts).toEqual({ applied: 6, rejected: 0, duplicates: 0, mended: 0 });
    expect(state.outcomeOf(6)).toEqual({ kind: 'applied' });
    expect(state.outcomeOf(7)).toEqual({ kind: 'pending' });
  });

  it('does a change once that comes to it in two ways, and none before its turn', async () => {
    const state = newState();
    const changes = [change('add', [1]), change('remove', [1]), new Uint8Array()];
    await state.apply([{ seq: 2, data: changes[1]! }]);
    expect(state.sequence).toBe(0);
    const twice = changes.flatMap((bytes, nth) => [
      state.apply([{ seq: nth + 1, data: bytes }]),
      state.apply([{ seq: nth + 1, data: bytes }]),
    ]);
    await Promise.all([...twice, state.apply([{ seq: 1, data: changes[0]! }])]);
    expect(state.sequence).toBe(3);
    expect(state.counts).toEqual({ applied: 2, rejected: 1, duplicates: 0, mended: 0 });
  });

  it('does a copy of a change not again, and tells of it what became of the first', async () => {
    const state = newState();
    const [good, bad] = [change('add', [1], 'good'), change('remove', [9], 'bad')];
    for (const [nth, bytes] of [good, bad, change('remove', [1]), good, bad].entries()) {
      await state.apply([{ seq: nth + 1, data: bytes }]);
    }
    expect(keysOf(state)).toEqual([]);
    expect(state.counts).toEqual({ applied: 2, rejected: 1, duplicates: 2, mended: 0 });
    expect(state.outcomeOf(4)).toEqual({ kind: 'applied' });
    expect(state.outcomeOf(5)).toEqual(state.outcomeOf(2));
    expect(state.outcomeOf(5)).toMatchObject({ kind: 'rejected', code: 'ERR_LICHEN_UNKNOWN_KEY' });
  });

  it('counts refusals, remembers them, and goes on', async () => {
    const state = newState();
    await state.apply([{ seq: 1, data: change('add', [1]) }]);
    await state.apply([{ seq: 2, data: change('add', [2, 1]) }]);
    await state.apply([{ seq: 3, data: change('update', [3]) }]);
    await state.apply([{ seq: 4, data: change('upsert', [5, 5]) }]);
    await state.apply([{ seq: 5, data: change('add', [0.5]) }]);
    await state.apply([{ seq: 6, data: change('add', [NaN]) }]);
    await state.apply([{ seq: 7, data: change('add', [7]) }]);
    expect(keysOf(state)).toEqual([1, 7]);
    expect(state.counts).toEqual({ applied: 2, rejected: 5, duplicates: 0, mended: 0 });
    const codes = [2, 3, 4, 5, 6].map(
      (sequence) => errorOfOutcome(state.outcomeOf(sequence))?.code,
    );
    expect(codes).toEqual([
      ...['ERR_LICHEN_DUPLICATE_KEY', 'ERR_LICHEN_UNKNOWN_KEY', 'ERR_LICHEN_DUPLICATE_KEY'],
      ...['ERR_LICHEN_ARGUMENT', 'ERR_LICHEN_ARGUMENT'],
    ]);
    expect(errorOfOutcome(state.outcomeOf(7))).toBeUndefined();
  });

  it('skips what is damaged, counts it, and does not take it for a change', async () => {
    const state = newState();
    const good = change('add', [1], 'a');
    const torn = [new Uint8Array(), good.subarray(9), Buffer.from('garbage'), encodeFrame({}, [])];
    let sequence = 0;
    for (const bytes of torn) await state.apply([{ seq: ++sequence, data: bytes }]);
    const other = { kind: 'add', id: 'b', columns: undefined } as const;
    // Keys of another kind, which would be those of an empty index from then on; too many values.
    const strings = encodeWrite({ ...other, keys: ['1'], vectors: Float32Array.of(1) });
    const wide = encodeWrite({
      ...other,
      keys: Float64Array.of(1),
      vectors: Float32Array.of(1, 2),
    });
    await state.apply([{ seq: ++sequence, data: strings }]);
    await state.apply([{ seq: ++sequence, data: wide }]);
    expect(state.counts).toEqual({ applied: 0, rejected: 6, duplicates: 0, mended: 0 });
    expect(state.outcomeOf(2)).toMatchObject({ kind: 'rejected', code: 'ERR_LICHEN_FORMAT' });
    await state.apply([{ seq: ++sequence, data: good }]);
    expect(keysOf(state)).toEqual([1]);
    expect(state.sequence).toBe(7);
  });

  it('never stops at what a stranger has written', async () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom('add', 'remove', true, 1, null, ['year']),
    );
    const names = ['kind', 'id', 'rows', 'hasVectors', 'isInteger', 'columns'] as const;
    const section = fc.oneof(
      fc.constantFrom<ArrayBufferView>(
        Float64Array.of(1),
        Float32Array.of(NaN),
        Buffer.from('[1]'),
      ),
      fc.uint8Array({ maxLength: 16 }),
    );
    const good = { kind: 'add', rows: 1, hasVectors: true, isInteger: true, columns: null };
    const state = newState();
    let sequence = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.record(Object.fromEntries(names.map((name) => [name, value])), { requiredKeys: [] }),
        fc.array(section, { maxLength: 3 }),
        async (fields, rest) => {
          const parts = [Float64Array.of(1), Float32Array.of(1), ...rest];
          const id = `stranger ${sequence}`;
          await state.apply([
            { seq: ++sequence, data: encodeFrame({ ...good, id, ...fields }, parts, true) },
          ]);
          expect(state.outcomeOf(sequence).kind).not.toBe('pending');
        },
      ),
      { numRuns: 500 },
    );
    const { applied, rejected, duplicates } = state.counts;
    expect(applied + rejected + duplicates).toBe(sequence);
  });

  it('stops at a failure that the others would not have, and has not done that change', async () => {
    const index = newIndex();
    const state = newState(index);
    await state.apply([{ seq: 1, data: change('add', [1]) }]);
    const add = index.add.bind(index);
    index.add = () => Promise.reject(new LichenError('ERR_LICHEN_MEMORY', 'there is none'));
    const second = change('add', [2], 'second');
    expect(await codeRejected(state.apply([{ seq: 2, data: second }]))).toBe('ERR_LICHEN_MEMORY');
    expect(state.sequence).toBe(1);
    expect(state.outcomeOf(2)).toEqual({ kind: 'pending' });
    index.add = () => Promise.reject(new TypeError('a defect'));
    await expect(state.apply([{ seq: 2, data: second }])).rejects.toThrow(TypeError);
    expect(state.counts).toEqual({ applied: 1, rejected: 0, duplicates: 0, mended: 0 });
    // What is saved now must not have its id for done: whoever loads it does the change.
    index.add = add;
    const { sequence, ids } = await state.save(at('stopped'), undefined);
    const loaded = newState(
      await openIndex<Key>(at('stopped')),
      sequence,
      AppliedIds.fromBytes(ids),
    );
    await loaded.apply([{ seq: 2, data: second }]);
    expect(keysOf(loaded)).toEqual([1, 2]);
    expect(loaded.counts).toEqual({ applied: 1, rejected: 0, duplicates: 0, mended: 0 });
  });

  it('tells when a change is there, and when it does not come in time', async () => {
    const state = newState(newIndex(), 5);
    expect(await state.reaches(5, 0)).toBe(true);
    expect(await state.reaches(-1, 0)).toBe(true);
    for (const ms of [0, -1, NaN, 1]) expect(await state.reaches(6, ms)).toBe(false);
    const found: number[] = [];
    const waiting = [7, 6, 6].map((sequence) =>
      state.reaches(sequence, 60_000).then((is) => is && found.push(sequence)),
    );
    await state.apply([{ seq: 6, data: change('add', [6]) }]);
    await Promise.all(waiting.slice(1));
    expect(found).toEqual([6, 6]);
    await state.apply([{ seq: 7, data: new Uint8Array() }]);
    await waiting[0];
    expect(found).toEqual([6, 6, 7]);
  });

  it('remembers the last 10,000 refusals', async () => {
    const state = newState();
    for (let sequence = 1; sequence <= 10_001; sequence++) {
      await state.apply([{ seq: sequence, data: new Uint8Array() }]);
    }
    expect(state.outcomeOf(1)).toEqual({ kind: 'unknown' });
    expect(state.outcomeOf(2)).toMatchObject({ kind: 'rejected' });
    expect(state.counts.rejected).toBe(10_001);
  });
});

describe('saved states', () => {
  const at = temporaryFolder();

  it('go on from where they were', async () => {
    const state = newState();
    const twice = change('add', [2], 'twice');
    const refused = change('remove', [8], 'refused');
    for (const [nth, bytes] of [change('add', [1]), twice, refused].entries()) {
      await state.apply([{ seq: nth + 1, data: bytes }]);
    }
    const saved = await state.save(at('a'), 'm1');
    expect(saved).toMatchObject({ sequence: 3, size: 2 });
    expect(saved.bytes).toBe((await readFile(at('a'))).length);
    const index = await openIndex<Key>(at('a'));
    expect(index.label).toEqual({ modelVersion: 'm1', snapshotVersion: 3 });
    const loaded = newState(index, saved.sequence, AppliedIds.fromBytes(saved.ids));
    expect(loaded.sequence).toBe(3);
    expect(keysOf(loaded)).toEqual(keysOf(state));
    // What became of changes before is not in a file.
    expect(loaded.outcomeOf(3)).toEqual({ kind: 'unknown' });
    for (const one of [state, loaded]) {
      await one.apply([{ seq: 4, data: twice }]);
      await one.apply([{ seq: 5, data: refused }]);
      await one.apply([{ seq: 6, data: change('add', [3], 'third') }]);
      expect(keysOf(one)).toEqual([1, 2, 3]);
      expect(one.counts.duplicates).toBe(2);
    }
    // But what became of the first of copies is.
    expect(loaded.outcomeOf(4)).toEqual({ kind: 'applied' });
    for (const one of [state, loaded]) {
      expect(one.outcomeOf(5)).toMatchObject({ kind: 'rejected', code: 'ERR_LICHEN_UNKNOWN_KEY' });
    }
  });

  it('hold whole changes, those given before and none given after', async () => {
    const state = newState();
    const all = [
      state.apply([{ seq: 1, data: change('add', [1, 2]) }]),
      state.apply([{ seq: 2, data: change('add', [3]) }]),
    ];
    const saving = state.save(at('b'), undefined);
    all.push(state.apply([{ seq: 3, data: change('add', [4]) }]), state.compact(), state.idle());
    expect((await saving).sequence).toBe(2);
    await Promise.all(all);
    expect((await openIndex(at('b'))).size).toBe(3);
    expect(state.sequence).toBe(3);
  });

  it('that cannot be written keep nothing from going on', async () => {
    const state = newState();
    await state.apply([{ seq: 1, data: change('add', [1]) }]);
    const saving = state.save(at('nowhere/a'), undefined);
    expect(await codeRejected(saving)).toBe('ERR_LICHEN_NOT_FOUND');
    await state.apply([{ seq: 2, data: change('add', [2]) }]);
    expect(keysOf(state)).toEqual([1, 2]);
  });
});

describe('outcomes', () => {
  const told = (outcome: unknown) => toOutcome(decodeFrame(encodeFrame({ outcome }, [])));

  it('are read as they were told', () => {
    const refused = { kind: 'rejected', code: 'ERR_LICHEN_UNKNOWN_KEY', message: 'why' };
    for (const outcome of [
      { kind: 'applied' },
      { kind: 'pending' },
      { kind: 'unknown' },
      refused,
    ]) {
      expect(told(outcome)).toEqual(outcome);
    }
    expect(errorOfOutcome(told(refused))).toMatchObject({ code: refused.code, message: 'why' });
  });

  it('are refused where they are none', () => {
    const others = [undefined, null, 1, 'applied', [], {}, { kind: 'done' }, { kind: null }];
    const codes = [undefined, 'ERR_LICHEN_MEMORY', 'EIO', '__proto__', {}];
    for (const outcome of [...others, ...codes.map((code) => ({ kind: 'rejected', code }))]) {
      expect(codeThrown(() => told(outcome))).toBe('ERR_LICHEN_FORMAT');
    }
  });
});
