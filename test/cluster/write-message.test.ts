import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFrame } from '../../src/cluster/frame.js';
import {
  applyWrite,
  decodeWrite,
  encodeWrite,
  pickColumns,
  pickKeys,
  pickVectors,
  toColumns,
  WRITE_KINDS,
  type WriteMessage,
  type WriteRules,
} from '../../src/cluster/write-message.js';
import { resolveSchema, type AttributesInput } from '../../src/index/attributes.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import type { Key } from '../../src/index/types.js';
import { codeRejected, codeThrown } from './thrown.js';
import { anyText, columnsOf, keysOf, SCHEMA } from './write-data.js';

const FORMAT = 'ERR_LICHEN_FORMAT';
const DIM = 3;
const RULES: WriteRules = { dim: DIM, keys: 'integer', schema: SCHEMA };

function rulesFor({ keys }: WriteMessage): WriteRules {
  return { ...RULES, keys: keys instanceof Float64Array ? 'integer' : 'string' };
}

const message: fc.Arbitrary<WriteMessage> = fc.integer({ min: 1, max: 5 }).chain((rows) => {
  const size = { minLength: rows * DIM, maxLength: rows * DIM };
  const hasNone = (kind: string): boolean => kind === 'remove' || kind === 'setAttributes';
  return fc
    .record({
      kind: fc.constantFrom(...WRITE_KINDS),
      id: fc.string({ minLength: 1, maxLength: 256 }),
      keys: keysOf(rows),
      vectors: fc.float32Array(size),
      columns: columnsOf(rows),
    })
    .map((given) => ({ ...given, vectors: hasNone(given.kind) ? undefined : given.vectors }));
});

describe('messages of changes', () => {
  it('give back what was put in', () => {
    fc.assert(
      fc.property(message, (given) => {
        expect(decodeWrite(encodeWrite(given), rulesFor(given))).toEqual(given);
      }),
    );
  });

  it('are refused by an index of another dimension', () => {
    fc.assert(
      fc.property(
        message.filter(({ vectors }) => vectors !== undefined),
        fc.integer({ min: 1, max: 9 }).filter((dim) => dim !== DIM),
        (given, dim) => {
          expect(
            codeThrown(() => decodeWrite(encodeWrite(given), { ...rulesFor(given), dim })),
          ).toBe(FORMAT);
        },
      ),
    );
  });

  it('are refused by an index of another kind of keys, also while it holds none', () => {
    fc.assert(
      fc.property(message, (given) => {
        const keys = given.keys instanceof Float64Array ? 'string' : 'integer';
        const code = codeThrown(() => decodeWrite(encodeWrite(given), { ...RULES, keys }));
        expect(code).toBe(FORMAT);
      }),
    );
  });

  it('are refused by an index without an attribute, and with one of another kind', () => {
    const add = { kind: 'add', id: 'a', keys: Float64Array.of(1), vectors: new Float32Array(DIM) };
    const bytes = (columns: WriteMessage['columns']) =>
      encodeWrite({ ...add, columns } as WriteMessage);
    const decode = (columns: WriteMessage['columns'], schema: object) =>
      codeThrown(() => decodeWrite(bytes(columns), { ...RULES, schema: resolveSchema(schema) }));
    expect(decode({ year: Float64Array.of(1) }, { year: 'number' })).toBeUndefined();
    expect(decode({ year: Float64Array.of(1) }, { age: 'number' })).toBe(FORMAT);
    expect(decode({ year: Float64Array.of(1) }, {})).toBe(FORMAT);
    expect(decode({ year: Float64Array.of(1) }, { year: 'category' })).toBe(FORMAT);
    expect(decode({ year: ['in 1999'] }, { year: 'number' })).toBe(FORMAT);
    for (const name of ['__proto__', 'constructor', 'hasOwnProperty']) {
      const columns = Object.fromEntries([[name, Float64Array.of(1)]]);
      expect(decode(columns, { year: 'number' })).toBe(FORMAT);
    }
  });

  it('are refused with any byte changed, cut off or added', () => {
    fc.assert(
      fc.property(message, fc.nat(), fc.integer({ min: 1, max: 255 }), (given, at, by) => {
        const bytes = encodeWrite(given);
        const code = (some: Uint8Array) => codeThrown(() => decodeWrite(some, rulesFor(given)));
        expect(code(bytes.subarray(0, at % bytes.length))).toBe(FORMAT);
        expect(code(Buffer.concat([bytes, bytes.subarray(0, 8)]))).toBe(FORMAT);
        bytes[at % bytes.length]! ^= by;
        expect(code(bytes)).toBe(FORMAT);
      }),
    );
  });

  it('with a digest that is right and a header that is not are refused, never anything else', () => {
    const names = ['kind', 'id', 'rows', 'hasVectors', 'isInteger', 'columns'] as const;
    const value = fc.oneof(
      fc.jsonValue(),
      fc.integer({ min: -1, max: 3 }),
      fc.constantFrom(...WRITE_KINDS, 2 ** 53, 1e308, ['year'], ['__proto__'], [null], ['a', 'a']),
    );
    const section = fc.oneof(
      fc.uint8Array({ maxLength: 24 }),
      fc.json().map((some) => Buffer.from(some)),
    );
    fc.assert(
      fc.property(
        fc.record(Object.fromEntries(names.map((name) => [name, value])), { requiredKeys: [] }),
        fc.array(section, { maxLength: 4 }),
        fc.boolean(),
        (fields, sections, isNear) => {
          // Near ones come past the first checks.
          const near = { kind: 'add', id: 'a', rows: 1, hasVectors: true, isInteger: true };
          const header = isNear ? { ...near, columns: null, ...fields } : fields;
          const code = codeThrown(() =>
            decodeWrite(encodeFrame(header, sections, true), { ...RULES, dim: 1 }),
          );
          expect([FORMAT, undefined]).toContain(code);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('have ids of some length, and keys', () => {
    const good = { kind: 'remove', id: 'a', rows: 1, hasVectors: false, isInteger: true };
    const code = (header: object, keys: ArrayBufferView = Float64Array.of(1)) =>
      codeThrown(() =>
        decodeWrite(encodeFrame({ ...good, columns: null, ...header }, [keys], true), RULES),
      );
    expect(code({})).toBeUndefined();
    expect(code({ id: '' })).toBe(FORMAT);
    expect(code({ id: 'a'.repeat(257) })).toBe(FORMAT);
    expect(code({ rows: 0 }, new Float64Array())).toBe(FORMAT);
    expect(code({ rows: 2 })).toBe(FORMAT);
    expect(code({ kind: 'toString' })).toBe(FORMAT);
    expect(code({ isInteger: false }, Buffer.from('[1]'))).toBe(FORMAT);
    expect(code({ kind: 'add' })).toBe(FORMAT);
  });
});

/** What an index holds, by key. */
function contentOf(index: HnswIndex<Key>) {
  const keys = [...index.keys()] as Key[];
  const attributes = keys.length === 0 ? {} : index.attributesOf(keys as unknown as string[]);
  return {
    keys,
    vectors: keys.map((key) => [...index.get(key)!]),
    attributes: Object.entries(attributes).map(([name, values]) => [name, [...values]]),
  };
}

/** Keys of which few are many. */
function fewKeys(rows: number, isInteger: boolean): fc.Arbitrary<WriteMessage['keys']> {
  const size = { minLength: rows, maxLength: rows };
  return isInteger
    ? fc.array(fc.constantFrom(-1, 0, 1, 2, 2 ** 40), size).map((keys) => Float64Array.from(keys))
    : fc.array(fc.constantFrom('a', 'b', '\u0000', 'é', '\ud800', '\ufffd', ''), size);
}

function changes(isInteger: boolean): fc.Arbitrary<WriteMessage[]> {
  const change = fc.integer({ min: 1, max: 3 }).chain((rows) =>
    fc.record({
      kind: fc.constantFrom(...WRITE_KINDS),
      id: fc.string({ minLength: 1 }),
      keys: fewKeys(rows, isInteger),
      vectors: fc.float32Array({
        ...{ minLength: rows * DIM, maxLength: rows * DIM },
        ...{ min: -8, max: 8 },
      }),
      columns: columnsOf(rows),
    }),
  );
  return fc.array(change, { minLength: 1, maxLength: 12 });
}

describe('changes by message', () => {
  it.each([true, false])('do what the call does (integer keys: %s)', async (isInteger) => {
    await fc.assert(
      fc.asyncProperty(changes(isInteger), async (all) => {
        const make = () =>
          new HnswIndex<Key>({
            ...{ dim: DIM, metric: 'l2' },
            attributes: Object.fromEntries(SCHEMA.columns.map(({ name, kind }) => [name, kind])),
          });
        const [direct, told] = [make(), make()];
        for (const given of all) {
          const hasNone = given.kind === 'remove' || given.kind === 'setAttributes';
          const vectors = hasNone ? undefined : given.vectors;
          const received = decodeWrite(encodeWrite({ ...given, vectors }), rulesFor(given));
          const code = await codeRejected(applyWrite(told, received));
          expect(code).toBe(await codeRejected(call(direct, given)));
        }
        expect(contentOf(told)).toEqual(contentOf(direct));
        direct.close();
        told.close();
      }),
      { numRuns: 60 },
    );
  });
});

async function call(index: HnswIndex<Key>, given: WriteMessage): Promise<void> {
  const keys = given.keys as unknown as string[];
  const attributes = given.columns as AttributesInput | undefined;
  if (given.kind === 'remove') return index.remove(keys);
  if (given.kind === 'setAttributes') return index.setAttributes(keys, attributes ?? {});
  return index[given.kind](given.vectors!, { keys, ...(attributes && { attributes }) });
}

const given = {
  year: fc.option(fc.double(), { nil: undefined }),
  genre: fc.option(anyText, { nil: undefined }),
  tags: fc.option(fc.array(anyText, { maxLength: 3 })),
};

/** Values of attributes as callers give them. */
function inputOf(rows: number): fc.Arbitrary<AttributesInput> {
  const size = { minLength: rows, maxLength: rows };
  const numbers = fc.array(given.year, size);
  return fc.record(
    {
      year: fc.oneof(
        numbers,
        numbers.map((values) => Float64Array.from(values, (value) => value ?? NaN)),
        fc.float32Array(size),
        fc.array(fc.constantFrom(null, 1), size),
      ),
      genre: fc.array(fc.oneof(given.genre, fc.constant(null)), size),
      tags: fc.array(given.tags, size),
      ['__proto__']: fc.array(fc.double(), size),
      constructor: fc.array(anyText, size),
      toString: fc.array(given.tags, size),
    },
    { requiredKeys: [] },
  );
}

const SCHEMA_INPUT = Object.fromEntries(SCHEMA.columns.map(({ name, kind }) => [name, kind]));

/** The attributes of vectors that were added with those, or the code of what the add throws. */
async function attributesAfter(rows: number, attributes: AttributesInput) {
  using index = new HnswIndex({ dim: 1, metric: 'l2', attributes: SCHEMA_INPUT });
  const keys = Array.from({ length: rows }, (_, row) => row);
  const code = await codeRejected(index.add(new Float32Array(rows), { keys, attributes }));
  return code ?? index.attributesOf(keys);
}

describe('columns of attributes', () => {
  const rowsAndInput = fc
    .integer({ min: 1, max: 4 })
    .chain((rows) => fc.tuple(fc.constant(rows), inputOf(rows)));

  it('are what an add takes the attributes for, by whatever names', async () => {
    await fc.assert(
      fc.asyncProperty(rowsAndInput, async ([rows, attributes]) => {
        const columns = toColumns(SCHEMA, attributes, rows)!;
        expect(Object.keys(columns).sort()).toEqual(Object.keys(attributes).sort());
        const told = await attributesAfter(rows, columns as AttributesInput);
        expect(told).toEqual(await attributesAfter(rows, attributes));
      }),
      { numRuns: 60 },
    );
    expect(toColumns(SCHEMA, undefined, 1)).toBeUndefined();
    expect(toColumns(SCHEMA, {}, 1)).toEqual({});
  });

  it.each([
    [{ year: ['1999'] }],
    [{ year: [1, 2] }],
    [{ year: 1999 }],
    [{ genre: [1] }],
    [{ genre: 'jazz' }],
    [{ genre: ['a'.repeat(65_536)] }],
    [{ tags: ['live'] }],
    [{ tags: [[1]] }],
    [{ age: [1] }],
    [{ hasOwnProperty: ['a'] }],
    [[]],
    [null],
  ])('are refused as an add refuses the attributes (%#)', async (attributes) => {
    const input = attributes as unknown as AttributesInput;
    expect(codeThrown(() => toColumns(SCHEMA, input, 1))).toBe('ERR_LICHEN_ARGUMENT');
    expect(await attributesAfter(1, input)).toBe('ERR_LICHEN_ARGUMENT');
  });

  it('are copies', () => {
    const year = Float64Array.of(1, 2);
    const columns = toColumns(SCHEMA, { year }, 2)!;
    year.fill(9);
    expect([...columns['year']!]).toEqual([1, 2]);
  });

  it('keys and vectors are picked by row', () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 6 })
          .chain((rows) => fc.tuple(keysOf(rows), columnsOf(rows), fc.array(fc.nat(rows - 1)))),
        ([keys, columns, rows]) => {
          const picked = Uint32Array.from(rows);
          const vectors = Float32Array.from({ length: keys.length * DIM }, (_, at) => at);
          expect([...pickKeys(keys, picked)]).toEqual(rows.map((row) => keys[row]));
          expect([...pickVectors(vectors, DIM, picked)]).toEqual(
            rows.flatMap((row) => [row * DIM, row * DIM + 1, row * DIM + 2]),
          );
          const some = pickColumns(columns ?? {}, picked);
          expect(Object.keys(some)).toEqual(Object.keys(columns ?? {}));
          for (const [name, values] of Object.entries(columns ?? {})) {
            expect([...some[name]!]).toEqual(rows.map((row) => values[row]));
          }
        },
      ),
    );
  });
});
