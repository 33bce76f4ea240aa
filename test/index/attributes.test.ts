import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resolveSchema, toAttributes, type AttributesInput } from '../../src/index/attributes.js';
import { resolveWhere, type Where } from '../../src/index/where.js';
import { FlatIndex } from '../../src/index/flat.js';
import { native, type IndexHandle } from '../../src/native.js';
import { holds, inputOf, row, SCHEMA, where, type Row } from './attributes-reference.js';

const schema = resolveSchema(SCHEMA);

/** An index of vectors that all are the same, with the attributes of the rows. */
function tableOf(rows: readonly Row[]): FlatIndex {
  const index = new FlatIndex({ dim: 1, metric: 'l2', attributes: SCHEMA });
  if (rows.length > 0) add(index, inputOf(rows), rows.length);
  return index;
}

function add(index: FlatIndex, attributes: AttributesInput | undefined, count: number): void {
  index.addSync(new Float32Array(count), { attributes });
}

function rowsThatHold(index: FlatIndex, condition: Where): number[] {
  const filter = index.filter(condition);
  const rows = Array.from({ length: index.size }, (_, at) => at).filter((at) => filter.has(at));
  const { keys } = index.searchWithinSync([0], { score: 1, where: condition });
  expect([...keys].sort((a, b) => a - b)).toEqual(rows);
  return rows;
}

function valuesOf(index: FlatIndex, name: string, rows: readonly number[]): unknown[] {
  return [...(index.attributesOf(rows)[name] as unknown[])];
}

const argumentError = (message: string): unknown =>
  expect.objectContaining({
    code: 'ERR_LICHEN_ARGUMENT',
    message: expect.stringContaining(message) as string,
  });

const shuffled = (values: readonly unknown[]): unknown[] => [...values].reverse();

/** The same condition, said otherwise: members and lists backwards, lists with their first value twice. */
function rephrased(condition: unknown): unknown {
  if (Array.isArray(condition)) {
    const parts = shuffled(condition).map(rephrased);
    return [...parts, ...parts.slice(0, 1)];
  }
  if (condition === null || typeof condition !== 'object') return condition;
  const entries = Object.entries(condition).map(([name, part]) => [name, rephrased(part)]);
  return Object.fromEntries(shuffled(entries) as [string, unknown][]);
}

describe('conditions on attributes', () => {
  it('hold where a plain evaluator says', () => {
    const rows = fc.array(row, { maxLength: 140, size: 'max' });
    fc.assert(
      fc.property(rows, fc.array(where, { minLength: 5, maxLength: 5 }), (given, conditions) => {
        const table = tableOf(given);
        for (const condition of conditions) {
          const expected = given.flatMap((each, at) => (holds(condition, each) ? [at] : []));
          expect(rowsThatHold(table, condition)).toEqual(expected);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('have one key and one program, however they are said', () => {
    fc.assert(
      fc.property(where, (condition) => {
        expect(resolveWhere(schema, rephrased(condition))).toEqual(resolveWhere(schema, condition));
      }),
    );
    const key = (condition: Where): string => resolveWhere(schema, condition).key;
    const groups: Where[][] = [
      [{ genre: 'jazz' }, { genre: ['jazz', 'jazz'] }, { and: [{ genre: { eq: 'jazz' } }] }],
      [{ year: { gt: 1, gte: 1 } }, { and: [{ year: { gte: 0, gt: 1 } }] }],
      [{ not: { year: 0 } }, { year: { ne: -0 } }, { not: { not: { year: { notIn: [0] } } } }],
      [{ tags: 'a' }, { tags: { any: ['a'] } }, { tags: { all: ['a', 'a'] } }],
      [{ genre: 'a","b' }],
      [{ genre: ['a', 'b'] }],
      [{ tags: { all: ['a', 'b'] } }],
      [{ tags: { any: ['a', 'b'] } }],
      [{ year: 1 }],
      [{ 'a b': 1 }],
      [{ year: 11 }],
      [{ year: { gte: 1 } }],
      [{ year: { lt: 1 } }],
      [{ or: [{ year: 1 }, { genre: 'a' }] }],
      [{ year: 1, genre: 'a' }, { and: [{ genre: 'a' }, { and: [{ year: 1 }] }] }],
    ];
    const keys = groups.map((group) => new Set(group.map(key)));
    for (const found of keys) expect(found.size).toBe(1);
    expect(new Set(keys.flatMap((found) => [...found])).size).toBe(groups.length);
  });

  it('find a string that is added later', () => {
    const table = tableOf([{ year: 1, genre: 'jazz', tags: ['live'], 'a b': NaN }]);
    expect(rowsThatHold(table, { genre: { ne: 'new' } })).toEqual([0]);
    add(table, { genre: ['new', 'jazz'] }, 2);
    expect(rowsThatHold(table, { genre: { ne: 'new' } })).toEqual([0, 2]);
    expect(rowsThatHold(table, { genre: 'new' })).toEqual([1]);
    table.setAttributes([0], { genre: ['new'] });
    expect(rowsThatHold(table, { genre: 'new' })).toEqual([0, 1]);
    expect(rowsThatHold(table, { tags: { exists: true } })).toEqual([0]);
    table.setAttributes([0], { tags: [null] });
    expect(rowsThatHold(table, { tags: { exists: true } })).toEqual([]);
  });

  it('go as deep as is allowed, and no deeper', () => {
    const table = tableOf([{ year: 1, genre: 'jazz', tags: [], 'a b': 3 }]);
    const nested = (levels: number): Where => {
      let condition: Where = { year: { ne: 2, exists: true } };
      for (let at = 1; at < levels; at++) {
        const other = { genre: { ne: 'x', exists: true } };
        condition =
          at % 2 === 0 ? { or: [condition, other], year: 1 } : { not: condition, ...other };
      }
      return condition;
    };
    rowsThatHold(table, nested(32));
    expect(() => resolveWhere(schema, nested(33))).toThrow(argumentError('deeper than 32 levels'));
    const circle: { and: unknown[] } = { and: [{ year: 1 }] };
    circle.and.push(circle);
    expect(() => resolveWhere(schema, circle)).toThrow(argumentError('deeper than 32 levels'));
    circle.and[0] = circle;
    circle.and.push({ year: 1 });
    expect(() => resolveWhere(schema, circle)).toThrow(argumentError('deeper than 32'));
    const wide = { or: Array.from({ length: 10_000 }, (_, year) => ({ year })) };
    expect(() => resolveWhere(schema, wide)).toThrow(argumentError('more than 10000 conditions'));
    wide.or.pop();
    expect(rowsThatHold(table, wide)).toEqual([0]);
    const many = Array.from({ length: 600_000 }, (_, at) => at);
    expect(rowsThatHold(table, { year: many })).toEqual([0]);
    expect(() => resolveWhere(schema, { year: { in: many, notIn: many } })).toThrow(
      argumentError('more than 1000000 values'),
    );
  });

  it.each([
    [undefined, 'where must be an object of conditions, got undefined'],
    [null, 'where must be an object of conditions, got null'],
    [[], 'where must be an object of conditions, got an array'],
    [{}, 'where must not be empty, got an object'],
    [new Map([['genre', 'jazz']]), 'where must not be empty, got a Map'],
    [
      { genr: 'jazz' },
      'where.genr: there is no attribute "genr", expected "year", "genre", "tags", "a b"',
    ],
    [{ toString: 'jazz' }, 'where.toString: there is no attribute "toString"'],
    [{ genre: undefined }, 'where.genre must be a string, strings or an object of eq, ne, in'],
    [
      { genre: 5 },
      'where.genre must be a string, strings or an object of eq, ne, in, notIn, exists, got 5',
    ],
    [{ genre: {} }, 'where.genre must not be empty'],
    [{ genre: ['jazz', 5] }, 'where.genre[1] must be a string, got 5'],
    [
      { genre: { gt: 'a' } },
      'where.genre.gt: unknown operator of a category attribute, expected eq',
    ],
    [{ genre: { in: 'jazz' } }, 'where.genre.in must be an array, got "jazz"'],
    [{ genre: { exists: 1 } }, 'where.genre.exists must be true or false, got 1'],
    [{ genre: 'x'.repeat(65536) }, 'where.genre must have at most 65535 bytes, got 65536'],
    [{ genre: '日'.repeat(21846) }, 'where.genre must have at most 65535 bytes, got 65538'],
    [{ year: NaN }, 'where.year must be a number, got NaN'],
    [{ year: '1990' }, 'where.year must be a number, numbers or an object of eq'],
    [{ year: { gte: undefined } }, 'where.year.gte must be a number, got undefined'],
    [{ year: { gte: 1990, lt: NaN } }, 'where.year.lt must be a number, got NaN'],
    [{ year: { in: [1, 2n] } }, 'where.year.in[1] must be a number, got 2n'],
    [{ 'a b': [1, , 3] }, 'where["a b"][1] must be a number, got undefined'],
    [
      { tags: ['a'] },
      'where.tags must be a string or an object of any, all, none, exists, got an array',
    ],
    [{ tags: { all: [] } }, 'where.tags.all must not be empty'],
    [{ tags: { has: 'a' } }, 'where.tags.has: unknown operator of a tags attribute'],
    [{ and: [] }, 'where.and must not be empty'],
    [{ or: { year: 1 } }, 'where.or must be an array, got an object'],
    [{ and: [{ year: 1 }, { or: [{}] }] }, 'where.and[1].or[0] must not be empty'],
    [{ not: [{ year: 1 }] }, 'where.not must be an object of conditions, got an array'],
  ])('that cannot be are refused (%#)', (condition, message) => {
    expect(() => resolveWhere(schema, condition)).toThrow(argumentError(message));
  });

  it('that are anything at all are refused or sound, and never crash', () => {
    const table = tableOf([{ year: 1, genre: 'jazz', tags: ['live'], 'a b': 3 }]);
    const names = ['year', 'genre', 'tags', 'and', 'or', 'not', 'in', 'gt', 'any', 'exists'];
    const anything = fc.anything({
      key: fc.constantFrom(...names),
      maxDepth: 4,
      withNullPrototype: true,
      withTypedArray: true,
      withBigInt: true,
      withMap: true,
      withSparseArray: true,
    });
    fc.assert(
      fc.property(anything, (condition) => {
        try {
          table.searchSync([0], { k: 1, where: (condition ?? null) as Where });
        } catch (error) {
          expect(error).toEqual(argumentError('where'));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('may throw from a getter', () => {
    const condition = {
      get genre(): string {
        throw new Error('the getter is broken');
      },
    };
    expect(() => resolveWhere(schema, condition)).toThrow('the getter is broken');
  });
});

describe('values of attributes', () => {
  it('come back', () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 90, size: 'max' }), fc.array(row), (given, later) => {
        const table = tableOf(given);
        const rows = [...given];
        later.slice(0, given.length).forEach((other, at) => {
          table.setAttributes([at], inputOf([other]));
          rows[at] = other;
        });
        const all = rows.map((_, at) => at);
        expect(valuesOf(table, 'year', all)).toEqual(rows.map(({ year }) => year));
        expect(valuesOf(table, 'genre', all)).toEqual(rows.map(({ genre }) => genre));
        const tags = (valuesOf(table, 'tags', all) as string[][]).map((found) => found.sort());
        expect(tags).toEqual(rows.map((each) => [...new Set(each.tags)].sort()));
      }),
    );
  });

  it('may be left out', () => {
    const table = tableOf([]);
    add(table, undefined, 2);
    add(table, { year: [1] }, 1);
    add(table, { year: new Int16Array([7]) }, 1);
    expect(valuesOf(table, 'year', [0, 1, 2, 3])).toEqual([NaN, NaN, 1, 7]);
    expect(valuesOf(table, 'genre', [0, 2])).toEqual([null, null]);
    expect(valuesOf(table, 'tags', [2])).toEqual([[]]);
    expect(table.attributes).toEqual(SCHEMA);
  });

  it.each([
    [5, 'attributes must be an object of names and values, got 5'],
    [{ genr: [] }, 'attributes.genr: there is no attribute "genr"'],
    [{ year: undefined }, 'attributes.year must be an array with a value a vector, got undefined'],
    [{ year: [1] }, 'attributes.year: got 1 values for 2 vectors'],
    [{ year: [1, '2'] }, 'attributes.year[1] must be a number, or null for none, got "2"'],
    [{ year: new BigInt64Array(2) }, 'attributes.year[0] must be a number'],
    [{ genre: 'ab' }, 'attributes.genre must be an array with a value a vector, got "ab"'],
    [{ genre: new Uint8Array(2) }, 'attributes.genre must be an array with a value a vector'],
    [{ genre: ['a', 1] }, 'attributes.genre[1] must be a string, got 1'],
    [{ genre: ['a', 'x'.repeat(65536)] }, 'attributes.genre[1] must have at most 65535 bytes'],
    [{ tags: [['a'], 'b'] }, 'attributes.tags[1] must be an array of strings, or null, got "b"'],
    [{ tags: [['a'], ['b', null]] }, 'attributes.tags[1][1] must be a string, got null'],
  ])('that cannot be are refused (%#)', (values, message) => {
    expect(() => toAttributes(schema, values as never, 2)).toThrow(argumentError(message));
  });
});

describe('a schema of attributes', () => {
  it.each([
    [undefined, 'attributes must be an object of names and kinds, got undefined'],
    [['year'], 'attributes must be an object of names and kinds, got an array'],
    [{ year: 'int' }, `attributes.year must be 'number', 'category' or 'tags', got "int"`],
    [{ year: Number }, `attributes.year must be 'number', 'category' or 'tags', got a function`],
    [{ or: 'tags' }, 'attributes.or: conditions use this name for themselves'],
    [{ '': 'tags' }, 'attributes[""]: a name must have 1 to 255 bytes'],
    [{ ['é'.repeat(128)]: 'tags' }, 'a name must have 1 to 255 bytes'],
    [
      Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`a${at}`, 'tags'])),
      'attributes must be at most 64, got 65',
    ],
  ])('that cannot be is refused (%#)', (given, message) => {
    expect(() => resolveSchema(given)).toThrow(argumentError(message));
  });
});

describe('the addon', () => {
  it('refuses what is not sound, and changes nothing', () => {
    const addon = native();
    const make = (attributes: unknown): IndexHandle =>
      addon.createFlat(1, 'l2', 'f32', '', 0, 0, attributes as never);
    const index = make(schema.native);
    const append = (columns: unknown): void => {
      const vectors = new Float32Array(2);
      const progress = addon.createProgress();
      addon.indexAddSync(index, null, vectors, 1, progress, 0, columns as never);
    };
    const u32 = (...codes: number[]): Uint32Array => Uint32Array.from(codes);
    const good = [new Float64Array(2), [['a'], u32(0, 1)], [['a'], u32(0), u32(0, 0, 1)], null];
    const replaced = (at: number, column: unknown): unknown =>
      good.map((each, place) => (place === at ? column : each));
    const unsound = [
      5,
      [],
      replaced(0, new Float64Array(1)),
      replaced(0, new Float32Array(2)),
      replaced(0, [1, 2]),
      replaced(1, [['a'], u32(0, 2)]),
      replaced(1, [['a'], u32(1)]),
      replaced(1, [['a']]),
      replaced(1, [[5], u32(1, 1)]),
      replaced(2, [['a'], u32(1), u32(0, 0, 1)]),
      replaced(2, [['a'], u32(0), u32(0, 0, 2)]),
      replaced(2, [['a'], u32(0), u32(0, 1, 0)]),
      replaced(2, [['a'], u32(0), u32(0, 1)]),
      replaced(2, [['x'.repeat(70_000)], u32(0), u32(0, 0, 1)]),
    ];
    for (const columns of unsound) {
      expect(() => append(columns)).toThrow(argumentError(''));
    }
    const thrower = Object.defineProperty([['a'], u32(0, 1)], 0, {
      get: () => {
        throw new Error('the getter is broken');
      },
    });
    expect(() => append(replaced(1, thrower))).toThrow('broken');
    expect(addon.indexSize(index)).toBe(0);
    append(good);
    expect(addon.indexSize(index)).toBe(2);
    for (const columns of unsound) {
      const set = (): void => {
        addon.indexSetAttributes(index, Float64Array.of(0, 1), columns as never);
      };
      expect(set).toThrow(argumentError(''));
    }
    expect(addon.indexAttributes(index, Float64Array.of(0))[1]).toEqual([null]);

    for (const [program, strings] of [
      [[]],
      [[9]],
      [[-1]],
      [[0.5]],
      [[0, 1]],
      [[0, 2, 8, 0]],
      [[0, 1e9]],
      [[8, 0, 8]],
      [[8, 4]],
      [[3, 0, NaN, 1, 0]],
      [[3, 0, 0, 1, 4]],
      [[3, 1, 0, 1, 0]],
      [[4, 0, 2, 1]],
      [[4, 0, 1, NaN]],
      [[5, 1, 1, 0], []],
      [[5, 1, 1, 1], ['a']],
      [[5, 0, 1, 0], ['a']],
      [[6, 1, 1, 0], ['a']],
      [[5, 1, 1, 0], [5]],
      [new Array(1000).fill(2)],
    ] as [number[], string[]?][]) {
      const nodes = Float64Array.from(program);
      expect(() => addon.indexWhere(index, ['', nodes, strings ?? []])).toThrow(argumentError(''));
    }
    expect(() => addon.indexWhere(index, ['', [8, 0] as never, []])).toThrow(argumentError(''));
    expect(() => addon.indexWhere(index, 5 as never)).toThrow(argumentError(''));
    expect(() => addon.indexAttributes(index, Float64Array.of(3))).toThrow('no key 3');
    for (const bad of [['a'], ['a', 'text'], ['a', 'tags', 'a', 'tags'], [5, 'tags'], 'a']) {
      expect(() => make(bad)).toThrow(argumentError(''));
    }
  });
});
