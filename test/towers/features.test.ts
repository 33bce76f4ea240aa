import { describe, expect, it } from 'vitest';
import { BagsBuilder, type Bags } from '../../src/towers/bags.js';
import {
  addFeatures,
  featureBags,
  rowsOf,
  schemaOf,
  totalRows,
  type FeatureColumns,
  type FeatureValues,
} from '../../src/towers/features.js';

const columns: FeatureColumns = {
  genre: { type: 'categorical', values: ['jazz', ['rock', 'jazz'], null, 7] },
  year: { type: 'numeric', values: [2000, 2002, NaN, 2004] },
  title: { type: 'text', values: ['A new Day', 'day', null, ''], buckets: 50 },
};

const schema = schemaOf(columns, 'itemFeatures', 4);

/** The rows of bag `bag`, with their weights. */
function bagOf({ offsets, rows, weights }: Bags, bag: number): [number, number][] {
  return Array.from(rows.subarray(offsets[bag], offsets[bag + 1]), (row, at): [number, number] => [
    row,
    weights[offsets[bag]! + at]!,
  ]);
}

function bag(values: FeatureValues): [number, number][] {
  const builder = new BagsBuilder();
  addFeatures(builder, schema, 100, values, 'features');
  builder.close();
  return bagOf(builder.finish(), 0);
}

describe('features', () => {
  it('take rows: one a category, one a number, buckets a text', () => {
    expect(schema.map(rowsOf)).toEqual([3, 1, 50]);
    expect(totalRows(schema)).toBe(54);
    const [genre] = schema;
    expect(genre).toMatchObject({ name: 'genre', type: 'categorical' });
    expect(schema[1]).toEqual({
      name: 'year',
      type: 'numeric',
      mean: 2002,
      deviation: Math.sqrt(8 / 3),
    });
  });

  it('become bags of about length 1 each', () => {
    const bags = featureBags(columns, schema, 100, 4, 'itemFeatures');
    expect(bags.offsets).toHaveLength(5);
    const [first, second, third, fourth] = [0, 1, 2, 3].map((at) => bagOf(bags, at));
    const deviations = 2 / Math.sqrt(8 / 3);
    expect(first!.slice(0, 2)).toEqual([
      [100, 1],
      [103, Math.fround(-deviations)],
    ]);
    // Three words and two pairs, unless two share a bucket.
    const text = first!.slice(2);
    expect(text.length).toBeGreaterThan(3);
    expect(text.reduce((sum, [, weight]) => sum + weight ** 2, 0)).toBeCloseTo(1, 5);
    for (const [row] of text) expect(row >= 104 && row < 154).toBe(true);
    const half = Math.fround(1 / Math.sqrt(2));
    expect(second!.slice(0, 3)).toEqual([
      [101, half],
      [100, half],
      [103, 0],
    ]);
    expect(third).toEqual([]);
    expect(fourth).toEqual([
      [102, 1],
      [103, Math.fround(deviations)],
    ]);
    // The word of the second title is one of the first's.
    expect(text.map(([row]) => row)).toContain(second![3]![0]);
  });

  it('are the same for a new item as for one in training', () => {
    const bags = featureBags(columns, schema, 100, 4, 'itemFeatures');
    expect(bag({ genre: ['rock', 'jazz'], year: 2002, title: 'DAY!' })).toEqual(bagOf(bags, 1));
    expect(bag({ title: 'A new Day', year: 2000, genre: 'jazz' })).toEqual(bagOf(bags, 0));
    expect(bag({ genre: 'polka', year: NaN })).toEqual([]);
    expect(bag({ year: 1e9 })).toEqual([[103, 4]]);
  });

  const schemaOfOne = (column: unknown): unknown =>
    schemaOf({ x: column } as never, 'itemFeatures', 2);

  it.each([
    [
      { type: 'categorical', values: ['a'] },
      'ERR_LICHEN_DIMENSION',
      /itemFeatures\.x\.values.* 2 values, got 1/,
    ],
    [undefined, 'ERR_LICHEN_DIMENSION', /got undefined/],
    [{ type: 'colour', values: [1, 2] }, 'ERR_LICHEN_ARGUMENT', /x\.type must be .*got "colour"/],
    [
      { type: 'categorical', values: ['a', {}] },
      'ERR_LICHEN_ARGUMENT',
      /values\[1\].*got an object/,
    ],
    [{ type: 'categorical', values: ['a', ''] }, 'ERR_LICHEN_ARGUMENT', /values\[1\]/],
    [{ type: 'numeric', values: [1, '2'] }, 'ERR_LICHEN_ARGUMENT', /values\[1\].*got "2"/],
    [
      { type: 'numeric', values: [1, Infinity] },
      'ERR_LICHEN_NOT_FINITE',
      /values\[1\] is Infinity/,
    ],
    [{ type: 'text', values: ['a', 'b'], buckets: 0 }, 'ERR_LICHEN_ARGUMENT', /x\.buckets/],
  ])('refuse %j', (column, code, message) => {
    expect(() => schemaOfOne(column)).toThrow(expect.objectContaining({ code }) as Error);
    expect(() => schemaOfOne(column)).toThrow(message);
  });

  it('refuse a value of another type, and a name that is no feature', () => {
    expect(() => bag({ colour: 'red' })).toThrow(/genre, year, title.*got "colour"/);
    expect(() => bag({ year: '2000' })).toThrow(/features\.year must be a number, got "2000"/);
    expect(() => bag({ title: 5 })).toThrow(/features\.title must be a text/);
  });
});
