import { describe, expect, it } from 'vitest';
import { idText, IdNumbering, integerAt } from '../../src/interactions/id-numbering.js';
import { canonicalInteger, Vocabulary } from '../../src/interactions/vocabulary.js';

const MARGIN = 3;

function numberOf(ids: IdNumbering, id: string): number {
  const bytes = Buffer.from(`1 2${id}3 4`);
  return ids.ofBytes(bytes, MARGIN, bytes.length - MARGIN);
}

describe('IdNumbering', () => {
  it('numbers in order of appearance, however an id comes', () => {
    const ids = new IdNumbering(undefined);
    expect(['9', 'x', '10', '9', 'x', '09'].map((id) => numberOf(ids, id))).toEqual([
      0, 1, 2, 0, 1, 3,
    ]);
    expect([ids.ofId('10'), ids.ofInteger(10), ids.ofId('x'), ids.ofInteger(11)]).toEqual([
      2, 2, 1, 4,
    ]);
    expect(ids.size).toBe(5);
    const { vocabulary, indices } = ids.finish();
    expect([vocabulary.toJSON(), indices]).toEqual([['9', 'x', '10', '09', '11'], undefined]);
  });

  it('maps integers to their order', () => {
    const ids = new IdNumbering(undefined);
    for (const id of ['30', '4', '100', '4']) numberOf(ids, id);
    const { vocabulary, indices } = ids.finish();
    expect(vocabulary.toJSON()).toEqual(['4', '30', '100']);
    expect(indices).toEqual(Uint32Array.of(1, 0, 2));
  });

  it('keeps the indices of a fixed vocabulary, others come after', () => {
    const fixed = Vocabulary.from(['5', '7']);
    const ids = new IdNumbering(fixed);
    expect(['7', 'a', '5', '6', 'a', '6'].map((id) => numberOf(ids, id))).toEqual([
      1, 2, 0, 3, 2, 3,
    ]);
    expect([ids.size, ids.finish()]).toEqual([4, { vocabulary: fixed, indices: undefined }]);
  });

  it('gives up before the heap does', () => {
    const refused: [number, (ids: IdNumbering) => unknown, number][] = [
      [10 * 64, (ids) => Array.from({ length: 11 }, (_, id) => ids.ofInteger(id)), 10],
      [3 * 129, (ids) => ['a', 'b', 'a', 'c', 'd'].map((id) => ids.ofId(id)), 3],
      [1000, (ids) => numberOf(ids, 'x'.repeat(900)), 0],
    ];
    for (const [bytes, fill, kept] of refused) {
      const ids = new IdNumbering(undefined, bytes);
      expect(() => fill(ids)).toThrow(
        expect.objectContaining({
          code: 'ERR_LICHEN_MEMORY',
          message: expect.stringContaining(`more than ${kept} distinct ids do not fit`) as string,
        }),
      );
      expect(ids.size).toBe(kept);
    }
    // Known ids cost nothing.
    const ids = new IdNumbering(Vocabulary.from(['a', '1']), 0);
    expect([ids.ofId('a'), ids.ofInteger(1)]).toEqual([0, 1]);
  });
});

describe('integerAt', () => {
  it.each([
    ...['0', '7', '10', '9007199254740991', '9007199254740992', '9007199254740993'],
    ...['9999999999999999', '10000000000000000', '', '00', '01', '-1', '1a', 'a', '1.0', '/', ':'],
  ])('reads %j as the texts are read', (text) => {
    const bytes = Buffer.from(`8${text}8`);
    expect(integerAt(bytes, 1, bytes.length - 1)).toBe(canonicalInteger(text));
  });
});

describe('idText', () => {
  it.each([
    [Buffer.from([0x61, 0xff]), 'expected UTF-8 text, got "a\ufffd"'],
    [Buffer.from('a\0b'), 'expected text, got a zero byte'],
    [Buffer.alloc(65537, 'a'), 'expected ids of at most 65536 bytes, got one of 65537'],
  ])('refuses bytes (%#)', (bytes, message) => {
    expect(() => idText(bytes, 0, bytes.length)).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_FORMAT', message }),
    );
  });
});
