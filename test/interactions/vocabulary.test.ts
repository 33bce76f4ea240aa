import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalInteger, Vocabulary } from '../../src/interactions/vocabulary.js';
import { awkwardIds, integerIds, orderedIds } from './naive.js';

const idsOf = (vocabulary: Vocabulary): string[] =>
  Array.from({ length: vocabulary.size }, (_, index) => vocabulary.idAt(index));

const code = (name: string): unknown => expect.objectContaining({ code: `ERR_LICHEN_${name}` });

describe('Vocabulary', () => {
  it.each([
    ['integers', integerIds],
    ['texts', awkwardIds],
  ])('numbers ids and finds them again, also through JSON: %s', (_, ids) => {
    fc.assert(
      fc.property(fc.array(ids, { maxLength: 20 }), ids, (given, other) => {
        const expected = orderedIds(given);
        const made = Vocabulary.from(given);
        const back = Vocabulary.fromJSON(JSON.parse(JSON.stringify(made)));
        for (const vocabulary of [made, back, Vocabulary.ordered(expected)]) {
          expect(idsOf(vocabulary)).toEqual(expected);
          expect(expected.map((id) => vocabulary.indexOf(id))).toEqual(expected.map((_, at) => at));
          expect(vocabulary.indexOf(other)).toBe(expected.indexOf(other));
          expect(vocabulary.integers).toBe(expected.every((id) => canonicalInteger(id) >= 0));
          expect(vocabulary.identity).toBe(expected.every((id, at) => id === String(at)));
          const keys = vocabulary.integers ? Float64Array.from(expected, Number) : expected;
          expect(vocabulary.keys()).toEqual(keys);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('keeps the order of ids that do not ascend', () => {
    const vocabulary = Vocabulary.ordered(['2', '1']);
    expect([idsOf(vocabulary), vocabulary.integers, vocabulary.keys()]).toEqual([
      ['2', '1'],
      false,
      ['2', '1'],
    ]);
    expect([vocabulary.indexOf(1), vocabulary.indexOf('2')]).toEqual([1, 0]);
  });

  it('never changes with what it was made of', () => {
    const ids = ['b', 'a'];
    const integers = Float64Array.of(9, 4);
    const [texts, numbers] = [Vocabulary.ordered(ids), Vocabulary.fromIntegers(integers)];
    ids[0] = 'c';
    integers[0] = 5;
    (numbers.keys() as Float64Array)[0] = 77;
    (texts.toJSON() as string[])[0] = 'z';
    expect([idsOf(texts), idsOf(numbers)]).toEqual([
      ['b', 'a'],
      ['4', '9'],
    ]);
  });

  it('tells numbers that are no ids', () => {
    const kinds = [
      Vocabulary.identity(3),
      Vocabulary.from(['1', '5']),
      Vocabulary.ordered(['NaN', '-1', '1.5', '1']),
    ];
    for (const vocabulary of kinds) {
      expect([NaN, -1, 1.5, Infinity, 2 ** 53].map((id) => vocabulary.indexOf(id))).toEqual(
        Array(5).fill(-1),
      );
      expect(vocabulary.indexOf('01')).toBe(-1);
      expect(vocabulary.indexOf(1)).toBe(vocabulary.indexOf('1'));
    }
    expect(Vocabulary.identity(3).indexOf(-0)).toBe(0);
  });

  it('is small and quick when ids are 0, 1, 2 …', () => {
    const vocabulary = Vocabulary.identity(2 ** 32 - 1);
    expect(vocabulary.idAt(2 ** 32 - 2)).toBe('4294967294');
    expect(vocabulary.indexOf('4294967295')).toBe(-1);
    expect(JSON.stringify(vocabulary)).toBe('{"identity":4294967295}');
    expect(Vocabulary.fromIntegers(Float64Array.of(2, 0, 1)).identity).toBe(true);
    expect(Vocabulary.from([]).toJSON()).toEqual({ identity: 0 });
  });

  it.each([-1, 1.5, NaN, 2 ** 32, '3' as never])('refuses size %s', (size) => {
    expect(() => Vocabulary.identity(size)).toThrow(
      /^size must be an integer in 0..4294967295, got/,
    );
    expect(() => Vocabulary.identity(size)).toThrow(code('ARGUMENT'));
  });

  it('refuses bad ids', () => {
    const refused: [() => unknown, string][] = [
      [() => Vocabulary.from(['a', '']), 'ids[1] must be a text that is not empty, got ""'],
      [() => Vocabulary.from([7 as never]), 'ids[0] must be a text that is not empty, got 7'],
      [() => Vocabulary.ordered(['a', 'b', 'a']), 'ids must be distinct, got "a" at 0 and 2'],
      [() => Vocabulary.ordered(['1', '1']), 'ids must be distinct, got "1" at 0 and 1'],
      [() => Vocabulary.fromIntegers(Float64Array.of(3, 1, 3)), 'distinct, got 3 twice'],
      [() => Vocabulary.fromIntegers(Float64Array.of(0, 0, 2)), 'distinct, got 0 twice'],
      [() => Vocabulary.fromIntegers(Float64Array.of(-1)), 'non-negative safe integers, got -1'],
      [() => Vocabulary.fromIntegers(Float64Array.of(1, NaN)), 'safe integers, got NaN'],
      [() => Vocabulary.fromIntegers(Float64Array.of(2 ** 53)), 'got 9007199254740992'],
      [() => Vocabulary.fromIntegers([1] as never), 'ids must be a Float64Array, got an array'],
    ];
    for (const [call, message] of refused) {
      expect(call).toThrow(message);
      expect(call).toThrow(code('ARGUMENT'));
    }
  });

  it.each([0.5, 2, -1, NaN])('refuses index %d', (index) => {
    expect(() => Vocabulary.from(['a', 'b']).idAt(index)).toThrow(
      `index must be in 0..1, got ${index}`,
    );
    expect(() => Vocabulary.from(['a', 'b']).idAt(index)).toThrow(code('ARGUMENT'));
  });

  it('refuses other JSON', () => {
    const nothing = [null, undefined, 5, 'a', {}, { identity: '3' }];
    const wrong = [{ identity: -1 }, { identity: 2 ** 40 }, ['a', 5], ['a', 'a'], ['']];

    wrong.push([, 'a'] as never);
    for (const json of nothing) {
      expect(() => Vocabulary.fromJSON(json)).toThrow(
        /^a vocabulary must be an array of strings or \{"identity": size\}, got /,
      );
    }
    for (const json of wrong) expect(() => Vocabulary.fromJSON(json)).toThrow(/^vocabulary: /);
    for (const json of [...nothing, ...wrong]) {
      expect(() => Vocabulary.fromJSON(json)).toThrow(code('FORMAT'));
    }
  });
});

describe('canonicalInteger', () => {
  it('takes only what a number writes', () => {
    const cases: [string, number][] = [
      ['0', 0],
      ['10', 10],
      ['9007199254740991', 2 ** 53 - 1],
      ['9007199254740992', -1],
      ['99999999999999999', -1],
      ...['', '00', '01', '-0', '+1', '1.0', '1e3', ' 1', '1\n', '١', '0x1'].map(
        (text): [string, number] => [text, -1],
      ),
    ];
    for (const [text, value] of cases)
      expect([text, canonicalInteger(text)]).toEqual([text, value]);
  });
});
