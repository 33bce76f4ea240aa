import { describe, expect, it } from 'vitest';
import { Column } from '../../src/interactions/column.js';

describe('Column', () => {
  it.each([Uint32Array, Float32Array, Float64Array])('appends to a %o', (Kind) => {
    const column = new Column<Uint32Array | Float32Array | Float64Array>((n) => new Kind(n));
    expect([column.length, column.values()]).toEqual([0, new Kind(0)]);
    const pushed = Array.from({ length: 5000 }, (_, at) => (at * 7919) % 4001);
    pushed.forEach((value, at) => {
      column.push(value);
      // Around the lengths at which it doubles.
      if (at % 1024 < 2 || at % 1024 > 1021) {
        expect(column.values()).toEqual(Kind.from(pushed.slice(0, at + 1)));
      }
    });
    expect([column.length, column.values()]).toEqual([5000, Kind.from(pushed)]);
  });

  it('says that memory is out, and keeps what it has', () => {
    const column = new Column((length) => {
      if (length > 2048) throw new RangeError('Array buffer allocation failed');
      return new Uint32Array(length);
    });
    const values = Array.from({ length: 2048 }, (_, at) => at);
    values.forEach((value) => column.push(value));
    expect(() => column.push(1)).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_MEMORY', message: 'no memory for 1 MiB more' }),
    );
    expect([...column.values()]).toEqual(values);
  });
});
