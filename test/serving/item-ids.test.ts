import { describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { Vocabulary } from '../../src/interactions/vocabulary.js';
import { ItemIds } from '../../src/serving/item-ids.js';
import { flatOf, randomVectors } from './helpers.js';

const items = randomVectors(4, 1);
const anything = ['b', '', '2', 2, '02', -1, 1.5, NaN, 2 ** 60, 'no such thing'];

describe('ids of items', () => {
  it('are the keys of an index of strings', async () => {
    const ids = new ItemIds(
      await flatOf<string>(items, { keys: ['a', 'b', '2', '02'] }),
      undefined,
    );
    expect(ids.keysOf(['b', '2', 2, '02'])).toEqual(['b', '2', '2', '02']);
    expect(ids.keysOf([''])).toEqual([]);
    expect(ids.idOf('02')).toBe('02');
  });

  it('are the keys of an index of integers, or their texts', async () => {
    const ids = new ItemIds(await flatOf(items, { keys: [2, -1, 70, 2 ** 53 - 1] }), undefined);
    expect(ids.keysOf(anything)).toEqual([2, 2, -1]);
    expect(ids.keysOf(['70', '9007199254740991', '9007199254740993'])).toEqual([70, 2 ** 53 - 1]);
    expect(ids.idOf(70)).toBe(70);
  });

  it('name an item of a negative key as a text as well', async () => {
    const ids = new ItemIds(await flatOf(items, { keys: [2, -1, 70, 4] }), undefined);
    expect(ids.keysOf(['-1'])).toEqual([-1]);
    expect(ids.keysOf(['-0', '-01', '--1', '- 1'])).toEqual([]);
  });

  it('are those of a vocabulary where keys are row numbers', async () => {
    const ids = new ItemIds(await flatOf(items), Vocabulary.ordered(['d', 'c', '2', 'a']));
    expect(ids.keysOf(['a', 2, 'x', '2', 0])).toEqual([3, 2, 2]);
    expect([0, 1, 2, 3].map((row) => ids.idOf(row))).toEqual(['d', 'c', '2', 'a']);
  });

  it('are not those of a vocabulary where there are keys', async () => {
    const index = await flatOf<string>(items, { keys: ['a', 'b', 'c', 'd'] });
    const ids = new ItemIds(index, Vocabulary.ordered(['x', 'y']));
    expect(ids.idOf('c')).toBe('c');
    expect(ids.keysOf(['c', 'x'])).toContain('c');
  });

  it('have to be as many as the rows of an index without keys', async () => {
    const index = await flatOf(items);
    expect(() => new ItemIds(index, Vocabulary.identity(3))).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_DIMENSION' }),
    );
    expect(
      () => new ItemIds(new FlatIndex({ dim: 3, metric: 'dot' }), Vocabulary.identity(1)),
    ).toThrow(expect.objectContaining({ code: 'ERR_LICHEN_DIMENSION' }));
  });

  it.each([[null], [undefined], [{}], [[1]], [true], [5n]])('cannot be %o', async (id) => {
    const ids = new ItemIds(await flatOf(items), undefined);
    expect(() => ids.keysOf([id as never])).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
    );
  });

  it('that no row can have do a search no harm', async () => {
    const index = await flatOf(items);
    const exclude = new ItemIds(index, undefined).keysOf([...anything, 100, '7', 0]);
    const { keys } = await index.search(items[0]!, { k: 4, exclude });
    expect([...keys].sort()).toEqual([1, 3]);
  });
});

describe('exclusions', () => {
  it('are put together from lists of any kind', async () => {
    const ids = new ItemIds(await flatOf(items), undefined);
    expect(ids.exclusion()).toBeUndefined();
    expect(ids.exclusion(undefined, [], new Float64Array(0))).toBeUndefined();
    const joined = ids.exclusion([1], undefined, Float64Array.of(2, 3), Int32Array.of(1), []);
    expect([...(joined as number[])]).toEqual([1, 2, 3, 1]);
    const alone = Int32Array.of(3);
    expect([...(ids.exclusion([], alone) as Int32Array)]).toEqual([3]);
  });

  it('of strings stay strings', async () => {
    const ids = new ItemIds(await flatOf<string>(items, { keys: ['a', 'b', 'c', 'd'] }), undefined);
    expect(ids.exclusion(['a'], undefined, ['b', 'c'])).toEqual(['a', 'b', 'c']);
  });
});
