import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cell, columnList, makeColumns, type Column } from '../../src/features/columns.js';
import { feature, type FeatureType, type Schema } from '../../src/features/feature-types.js';
import { RecordLayout } from '../../src/features/record.js';

const finite = { noNaN: true, noDefaultInfinity: true } as const;
const single = fc.float(finite);

/** A type and a value of it. */
const typed: fc.Arbitrary<[FeatureType, unknown]> = fc.oneof(
  fc.tuple(
    fc.constant(feature.f32({ default: 2 })),
    fc.double({ ...finite, min: -1e38, max: 1e38 }),
  ),
  fc.tuple(fc.constant(feature.f64({ default: -1 })), fc.double(finite)),
  fc.tuple(fc.constant(feature.i32({ default: 7 })), fc.integer()),
  fc.tuple(fc.constant(feature.bool({ default: true })), fc.boolean()),
  fc.tuple(fc.constant(feature.text({ default: 'none' })), fc.string({ unit: 'grapheme' })),
  fc
    .array(single, { minLength: 1, maxLength: 9 })
    .map((values): [FeatureType, unknown] => [
      feature.vector(values.length),
      Float32Array.from(values),
    ]),
  fc
    .array(fc.double(finite), { maxLength: 4 })
    .map((values): [FeatureType, unknown] => [
      feature.list(4, { default: [1, 2] }),
      Float64Array.from(values),
    ]),
);

/** Features, some of which have a value. */
const rows = fc
  .array(fc.tuple(typed, fc.boolean()), { minLength: 1, maxLength: 40 })
  .map((fields) => {
    const schema: Record<string, FeatureType> = {};
    const values: Record<string, unknown> = {};
    fields.forEach(([[type, value], isThere], at) => {
      schema[`f${at}`] = type;
      if (isThere) values[`f${at}`] = value;
    });
    return { schema, values };
  });

function read(schema: Schema, columns: Record<string, Column>, row: number) {
  return Object.fromEntries(
    Object.entries(schema).map(([name, type]) => [name, cell(type, columns[name]!, row)]),
  );
}

describe('records', () => {
  it('give back every value as its type holds it, and defaults where there was none', () => {
    fc.assert(
      fc.property(rows, fc.integer(), ({ schema, values }, time) => {
        const layout = new RecordLayout(schema);
        const columns = makeColumns(schema, 3);
        const record = layout.encode(values, time);
        // Somewhere within a larger buffer, as a store hands it over.
        const shifted = new Uint8Array(record.length + 8).subarray(5, 5 + record.length);
        shifted.set(record);
        expect(layout.decode(shifted, columnList(schema, columns), 1)).toBe(time);
        const found = read(schema, columns, 1);
        for (const [name, type] of Object.entries(schema)) {
          const value = values[name] ?? type.default;
          expect(found[name]).toEqual(type.kind === 'f32' ? Math.fround(value as number) : value);
        }
      }),
    );
  });

  it('refuse bytes of another schema, cut short, or longer', () => {
    fc.assert(
      fc.property(rows, rows, fc.nat(), ({ schema, values }, other, cut) => {
        const layout = new RecordLayout(schema);
        const columns = columnList(schema, makeColumns(schema, 1));
        const record = layout.encode(values, 1);
        const isOther = JSON.stringify(schema) !== JSON.stringify(other.schema);
        const foreign = new RecordLayout(other.schema).encode(other.values, 1);
        if (isOther) expect(layout.decode(foreign, columns, 0)).toBeUndefined();
        expect(layout.decode(record.subarray(0, cut % record.length), columns, 0)).toBeUndefined();
        expect(layout.decode(Buffer.concat([record, Buffer.alloc(1)]), columns, 0)).toBeUndefined();
      }),
    );
  });

  it('never throw or write beyond their row, whatever the bytes', () => {
    fc.assert(
      fc.property(
        rows,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        ({ schema, values }, changes) => {
          const layout = new RecordLayout(schema);
          const columns = makeColumns(schema, 3) as Record<string, Column>;
          const before = [read(schema, columns, 0), read(schema, columns, 2)];
          const record = layout.encode(values, 1);
          for (const [at, byte] of changes) record[at % record.length] = byte;
          layout.decode(record, columnList(schema, columns), 1);
          expect([read(schema, columns, 0), read(schema, columns, 2)]).toEqual(before);
        },
      ),
    );
  });
});
