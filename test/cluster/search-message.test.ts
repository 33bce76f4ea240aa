import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeFrame, encodeFrame } from '../../src/cluster/frame.js';
import {
  decodeSearch,
  encodeFailure,
  encodeReply,
  encodeSearch,
  failureOf,
  replyOf,
  type SearchReply,
  type SearchRequest,
  type ShardSearchOptions,
} from '../../src/cluster/search-message.js';
import { LichenArgumentError, LichenError, type LichenErrorCode } from '../../src/errors.js';
import { codeThrown } from './thrown.js';
import { anyText, keysOf } from './write-data.js';

const FORMAT = 'ERR_LICHEN_FORMAT';
const DIM = 3;

const where = fc.dictionary(
  anyText,
  fc.oneof(
    ...[fc.double({ noNaN: true }), anyText, fc.array(anyText)],
    fc.record({ gte: fc.double({ noNaN: true }), lt: fc.constantFrom(Infinity, -Infinity, 3) }),
  ),
);
const options: fc.Arbitrary<ShardSearchOptions> = fc.record(
  {
    k: fc.nat(),
    ef: fc.nat(),
    exact: fc.boolean(),
    oversample: fc.nat(),
    where,
    groupBy: anyText,
    groupSize: fc.nat(),
    score: fc.double({ noNaN: true, noDefaultInfinity: true }),
  },
  { requiredKeys: [] },
);

const request: fc.Arbitrary<SearchRequest> = fc.integer({ min: 1, max: 4 }).chain((rows) =>
  fc.record({
    id: fc.string({ minLength: 1, maxLength: 40 }),
    queries: fc.float32Array({ minLength: rows * DIM, maxLength: rows * DIM }),
    options,
    exclude: fc.option(
      fc.array(fc.nat(3), { minLength: rows, maxLength: rows }).chain((counts) => {
        let end = 0;
        const ends = Uint32Array.from(counts, (count) => (end += count));
        return keysOf(end).map((keys) => ({ keys, ends }));
      }),
      { nil: undefined },
    ),
    only: fc.option(fc.nat(4).chain(keysOf), { nil: undefined }),
    after: fc.array(fc.maxSafeNat(), { maxLength: 4 }),
    withinMs: fc.double({ min: 0, max: 600_000, noNaN: true }),
  }),
);

/** JSON has no -0, which equals 0. */
const plain = (value: unknown): unknown =>
  typeof value === 'number'
    ? value + 0
    : Array.isArray(value)
      ? value.map(plain)
      : value !== null && typeof value === 'object' && !ArrayBuffer.isView(value)
        ? Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]))
        : value;

describe('messages of searches', () => {
  it('give back what was asked, also what is infinite', () => {
    fc.assert(
      fc.property(request, (given) => {
        expect(decodeSearch(encodeSearch(given), DIM)).toEqual({
          ...given,
          options: plain(given.options),
          withinMs: given.withinMs + 0,
        });
      }),
    );
  });

  it('are refused by an index whose dimension does not divide them, cut short and lengthened', () => {
    fc.assert(
      fc.property(request, fc.nat(), (given, at) => {
        const bytes = encodeSearch(given);
        const code = (some: Uint8Array, dim = DIM) => codeThrown(() => decodeSearch(some, dim));
        expect(code(bytes, given.queries.length * 2)).toBe(FORMAT);
        expect(code(bytes.subarray(0, at % bytes.length))).toBe(FORMAT);
        expect(code(Buffer.concat([bytes, new Uint8Array(8)]))).toBe(FORMAT);
      }),
    );
  });

  it('with a header that is not right are refused, never anything else', () => {
    const names = ['id', 'options', 'exclude', 'only', 'after', 'withinMs'] as const;
    const value = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom('integer', 'string', -1, 1e308, [1e308], [0.5], {}, [], null),
    );
    const section = fc.oneof(
      fc.uint8Array({ maxLength: 24 }),
      fc.json().map((some) => Buffer.from(some)),
    );
    const good = { id: 'a', options: {}, after: [], withinMs: 1 };
    fc.assert(
      fc.property(
        fc.record(Object.fromEntries(names.map((name) => [name, value])), { requiredKeys: [] }),
        fc.array(section, { maxLength: 4 }),
        (fields, sections) => {
          const parts = [new Float32Array(DIM), ...sections];
          const bytes = encodeFrame({ ...good, ...fields }, parts);
          expect([FORMAT, undefined]).toContain(codeThrown(() => decodeSearch(bytes, DIM)));
        },
      ),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['no id', { id: '' }, []],
    ['an id of any length', { id: 'a'.repeat(257) }, []],
    ['a time without end', { withinMs: 1e300 }, []],
    ['a time that is none', { withinMs: -1 }, []],
    ['options that are none', { options: null }, []],
    ['no list of sequences', { after: {} }, []],
    ['lists that end before they begin', { exclude: 'integer' }, [2, 1]],
    ['lists longer than the keys', { exclude: 'integer' }, [1, 9]],
    ['another kind of keys', { exclude: 'row' }, [1, 1]],
  ])('are refused with %s', (_, fields, ends) => {
    const queries = new Float32Array(2 * DIM);
    const parts = ends.length === 0 ? [] : [Uint32Array.from(ends), Float64Array.of(1)];
    const good = { id: 'a', options: {}, after: [], withinMs: 1 };
    const bytes = encodeFrame({ ...good, ...fields }, [queries, ...parts]);
    expect(codeThrown(() => decodeSearch(bytes, DIM))).toBe(FORMAT);
  });
});

const groups = fc.oneof(
  fc.constantFrom(null, Infinity, -Infinity),
  ...[fc.integer(), anyText, fc.double({ noNaN: true })],
);
const reply: fc.Arbitrary<SearchReply> = fc
  .array(fc.nat(3), { minLength: 1, maxLength: 4 })
  .chain((counts) => {
    const total = counts.reduce((sum, count) => sum + count, 0);
    const size = { minLength: total, maxLength: total };
    return fc.record({
      shard: fc.nat(1023),
      replica: fc.string(),
      sequence: fc.maxSafeNat(),
      size: fc.maxSafeNat(),
      counts: fc.constant(Uint32Array.from(counts)),
      keys: keysOf(total),
      scores: fc.float32Array(size),
      groups: fc.option(fc.array(groups, size), { nil: undefined }),
    });
  });

const read = (bytes: Uint8Array, rows: number, kind: 'integer' | 'string'): SearchReply =>
  replyOf(decodeFrame(bytes), rows, kind);
const kindOf = ({ keys }: SearchReply) => (keys instanceof Float64Array ? 'integer' : 'string');

describe('answers', () => {
  it('give back what was found, with groups that are infinite', () => {
    fc.assert(
      fc.property(reply, (given) => {
        const got = read(encodeReply(given), given.counts.length, kindOf(given));
        expect(got).toEqual({ ...given, groups: plain(given.groups) });
      }),
    );
  });

  it('to another number of queries, or with keys of another kind, are refused', () => {
    fc.assert(
      fc.property(reply, fc.integer({ min: 1, max: 9 }), (given, rows) => {
        const bytes = encodeReply(given);
        const other = kindOf(given) === 'integer' ? 'string' : 'integer';
        // One that is empty may not know.
        const code = given.keys.length === 0 ? undefined : FORMAT;
        expect(codeThrown(() => read(bytes, given.counts.length, other))).toBe(code);
        if (rows === given.counts.length) return;
        expect(codeThrown(() => read(bytes, rows, kindOf(given)))).toBe(FORMAT);
      }),
    );
  });

  it('that are none are refused, never anything else', () => {
    const value = fc.oneof(fc.jsonValue(), fc.nat(3), fc.constantFrom('integer', 'string', true));
    const names = ['shard', 'replica', 'sequence', 'size', 'keys', 'hasGroups'] as const;
    const good = { shard: 0, replica: 'a', sequence: 1, size: 1, keys: 'integer' };
    fc.assert(
      fc.property(
        fc.record(Object.fromEntries(names.map((name) => [name, value])), { requiredKeys: [] }),
        fc.array(fc.uint8Array({ maxLength: 16 }), { maxLength: 5 }),
        (fields, sections) => {
          const bytes = encodeFrame({ ...good, ...fields }, sections);
          expect([FORMAT, undefined]).toContain(codeThrown(() => read(bytes, 1, 'integer')));
        },
      ),
      { numRuns: 1000 },
    );
    // Counts whose sum is beyond what a message can hold.
    const counts = new Uint32Array(4).fill(0xffffffff);
    const bytes = encodeFrame(good, [counts, new Float32Array(), new Float64Array()]);
    expect(codeThrown(() => read(bytes, 4, 'integer'))).toBe(FORMAT);
  });
});

describe('refusals', () => {
  const codes: LichenErrorCode[] = ['ERR_LICHEN_ARGUMENT', 'ERR_LICHEN_NOT_READY'];

  it.each(codes)('keep the code %s and the message', (code) => {
    const error = failureOf(decodeFrame(encodeFailure(3, 'r', new LichenError(code, 'why'))));
    expect(error).toMatchObject({ code, message: 'why' });
    expect(error instanceof LichenArgumentError).toBe(code === 'ERR_LICHEN_ARGUMENT');
  });

  it('are of lichen whatever was thrown', () => {
    for (const thrown of [new TypeError('x'), 'x', undefined, null]) {
      const error = failureOf(decodeFrame(encodeFailure(0, 'r', thrown)));
      expect(error?.code).toBe('ERR_LICHEN_INTERNAL');
    }
    const long = failureOf(decodeFrame(encodeFailure(0, 'r', new Error('x'.repeat(10_000)))));
    expect(long!.message).toHaveLength(2000);
  });

  it('are none without a code, and damaged with one that is none', () => {
    const of = (header: object) => failureOf(decodeFrame(encodeFrame(header, [])));
    expect(of({ shard: 0 })).toBeUndefined();
    for (const code of ['', 'EIO', 'ERR_LICHEN_', 'ERR_LICHEN_x', 1, null, {}, '__proto__']) {
      expect(codeThrown(() => of({ code }))).toBe(FORMAT);
    }
    expect(of({ code: 'ERR_LICHEN_IO', message: {} })).toMatchObject({ code: 'ERR_LICHEN_IO' });
  });
});
