import { describe, expect, it } from 'vitest';
import { seal } from '../../src/cache/envelope.js';
import { toBytes } from '../../src/cache/value-bytes.js';
import { aggregate } from '../../src/features/aggregations.js';
import { entity, streamView } from '../../src/features/definitions.js';
import { feature } from '../../src/features/feature-types.js';
import { RecordLayout } from '../../src/features/record.js';
import { StreamFold } from '../../src/features/stream-state.js';

// What stands in stores of users must be read for ever: these bytes do not change.
describe('the bytes of FORMAT.md', () => {
  it('of a record of values', () => {
    const layout = new RecordLayout({
      a: feature.f32(),
      b: feature.text(),
      c: feature.bool(),
      d: feature.list(2),
      e: feature.vector(2),
      f: feature.i32(),
      g: feature.f64(),
    });
    const values = { a: 1.5, b: 'ä', c: true, d: [7], e: [1, -1], f: -2 };
    expect(layout.encode(values, 1000).toString('hex')).toMatchInlineSnapshot(
      `"0101000058c83cad0000000000408f403f0000000000c03f0200000001010000000000000000001c4000000000000000000000803f000080bffeffffff0000000000000000c3a4"`,
    );
  });

  it('of what events add up to', () => {
    const view = streamView({
      name: 'v',
      entity: entity('e', { keys: 'integer' }),
      ttlMs: 1e9,
      event: { x: feature.f64() },
      features: {
        count: aggregate.count(100, { buckets: 10 }),
        sum: aggregate.sum('x', 100, { buckets: 10 }),
        last: aggregate.last('x', 2),
        decayed: aggregate.decayed(100),
      },
    });
    const fold = new StreamFold(view);
    const state = fold.empty();
    fold.add(state, { time: 1000, id: [1, 2], fields: { x: 3 } }, 0);
    fold.add(state, { time: 1020, id: undefined, fields: { x: 4 } }, 0);
    expect(fold.encode(state).toString('hex')).toMatchInlineSnapshot(
      `"0102000023c649be0000000000e08f4001000000020000000200000002000000010000000000000000408f4001000000020000000000000000005940000001000000020001000000000000000000594000000000000000000840020000000000000010400000000000e08f4000000000000010400000000000408f4000000000000008400000000000e08f4090f06d6dc6edfd3f"`,
    );
  });

  it('of a value in a shared cache', () => {
    const value = toBytes(Float32Array.of(1, 2));
    const times = { freshUntil: 1000, freshMs: 10, servedMs: 20, loadMs: 3 };
    expect(seal({ ...value, ...times }).toString('hex')).toMatchInlineSnapshot(
      `"6c430108080000000000000000408f400000000000002440000000000000344000000000000008400000803f00000040"`,
    );
  });
});
