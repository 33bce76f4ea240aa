import { describe, expect, it } from 'vitest';
import { isFiner, parseStorageType, STORAGE_TYPES } from '../../src/vectors/storage-type.js';

describe('storage type', () => {
  it('has seven names, finest first, which nobody can change', () => {
    expect(STORAGE_TYPES).toEqual(['f32', 'f16', 'bf16', 'i8', 'i4', 'b1', 'pq']);
    expect(() => (STORAGE_TYPES as unknown as string[]).push('other')).toThrow(TypeError);
    for (const name of STORAGE_TYPES) expect(parseStorageType(name)).toBe(name);
  });

  it('knows which is finer', () => {
    expect([isFiner('f32', 'f16'), isFiner('i8', 'i4'), isFiner('b1', 'pq')]).toEqual([
      true,
      true,
      true,
    ]);
    expect([isFiner('f16', 'f32'), isFiner('i8', 'i8'), isFiner('pq', 'f32')]).toEqual([
      false,
      false,
      false,
    ]);
  });

  it.each([
    ['F32', '"F32"'],
    ['', '""'],
    ['int8', '"int8"'],
    [undefined, 'undefined'],
    [null, 'null'],
    [0, '0'],
    [['i8'], 'an array'],
  ])('refuses %j', (text, shown) => {
    expect(() => parseStorageType(text, 'rerank')).toThrow(
      expect.objectContaining({
        code: 'ERR_LICHEN_ARGUMENT',
        message: `rerank is one of f32, f16, bf16, i8, i4, b1, pq, got ${shown}`,
      }),
    );
  });
});
