import { describe, expect, it } from 'vitest';
import { InteractionsBuilder } from '../../src/interactions/interactions.js';
import { RowParser } from '../../src/interactions/rows.js';
import { plain, type Plain } from './naive.js';

/** Rows in the middle of a larger buffer, as a file's chunk has them. */
function parse(...lines: string[]): { met: Plain['met']; ratings: number[] | undefined } {
  const builder = new InteractionsBuilder({});
  const parser = new RowParser(builder);
  for (const line of lines) {
    const bytes = Buffer.from(`"before,"\n${line}\n"after",\t`);
    parser.add(bytes, 10, 10 + Buffer.byteLength(line));
  }
  const interactions = builder.finish();
  return {
    met: plain(interactions).met,
    ratings: interactions.ratings && [...interactions.ratings],
  };
}

describe('RowParser', () => {
  it.each([
    ['a,b', 'a', 'b'],
    ['a\tb', 'a', 'b'],
    ['a b', 'a', 'b'],
    ['  a   b  ', 'a', 'b'],
    [' a , b ', 'a', 'b'],
    ['a b,c d', 'a b', 'c d'],
    ['a,b\tc', 'a,b', 'c'],
    ['"a,b",c', 'a,b', 'c'],
    ['"a" , "b" ', 'a', 'b'],
    ['" a ",""""', ' a ', '"'],
    ['"say ""hi""","x"', 'say "hi"', 'x'],
    ['"a b" "c"', 'a b', 'c'],
    ['a"b,c""d', 'a"b', 'c""d'],
    ['"",x'.replace('""', '"7"'), '7', 'x'],
    ['é,𝄞', 'é', '𝄞'],
    ['\u00a0a,b\u00a0', '\u00a0a', 'b\u00a0'],
  ])('takes %j apart', (line, user, item) => {
    expect(parse(line).met).toEqual({ [user]: [[item, undefined, undefined]] });
  });

  it('undoubles quotes in quoted fields only, line after line', () => {
    expect(parse('"a""b","c"', 'a""b,"c"').met).toEqual({
      'a"b': [['c', undefined, undefined]],
      'a""b': [['c', undefined, undefined]],
    });
  });

  it('takes ids with digits for ids, not for column names', () => {
    for (const line of ['user1,item1', 'u0,i0', '"u_2"\t"i_2"', 'uid-7 iid-7']) {
      expect(Object.keys(parse(line).met)).toHaveLength(1);
    }
  });

  it('takes a line with a number for a row', () => {
    expect(parse('user,item,5').met).toEqual({ user: [['item', 5, undefined]] });
    expect(parse('u\ti\t\"-.5\"').met).toEqual({ u: [['i', -0.5, undefined]] });
  });

  it.each([
    ['user,item', 'u,i'],
    ['User ID,Movie-ID', 'u,i'],
    ['"userId","asin"', 'u,i'],
    ['item_id,user_id', 'i,u'],
    ['user,uid,item,asin', 'u,x,i,y'],
    ['#user\titem', 'u\ti'],
    ['date_x,item,city,user,more', 'oslo,i,"x, y",u,'],
    ['visitorid,itemid,unused,,,', 'u,i,,,,'],
  ])('follows the column names %j', (names, line) => {
    expect(parse(names, line).met).toEqual({ u: [['i', undefined, undefined]] });
  });

  it('finds ratings and timestamps by name', () => {
    expect(parse('timestamp,item,plays,user', '99,i,0.5,u').met).toEqual({ u: [['i', 0.5, 99]] });
    expect(parse('u i 3 100', 'u j 4 200').met).toEqual({
      u: [
        ['i', 3, 100],
        ['j', 4, 200],
      ],
    });
  });

  it.each([
    ['5', 5],
    ['007', 7],
    ['-0.25', -0.25],
    ['+3', 3],
    ['.5', 0.5],
    ['5.', 5],
    ['1e3', 1000],
    ['"4"', 4],
    ['3.4028234e38', Math.fround(3.4028234e38)],
    ['16777217', 16777216],
  ])('reads the rating %s', (text, value) => {
    expect(parse(`u,i,${text}`).ratings).toEqual([value]);
  });

  it.each([
    '',
    ' ',
    '" "',
    'NaN',
    'Infinity',
    '0x10',
    '1_000',
    '1e999',
    '1e39',
    'five',
    '1 2',
    '--1',
  ])('refuses the rating %j', (text) => {
    const got = JSON.stringify(text.trim().replaceAll('"', ''));
    expect(() => parse('a,b,1', `u,i,${text}`)).toThrow(
      text === '" "'
        ? 'rating must be a finite number, got " "'
        : `rating must be a finite number, got ${got}`,
    );
  });

  it('lets timestamps exceed 32-bit floats, but not be infinite', () => {
    expect(parse('u,i,1,1e39').met).toEqual({ u: [['i', 1, 1e39]] });
    expect(() => parse('u,i,1,1e309')).toThrow('timestamp must be a finite number, got "1e309"');
  });

  it('cuts long texts in messages', () => {
    expect(() => parse('a,b,1', `u,i,${'9'.repeat(100_000)}`)).toThrow(
      `rating must be a finite number, got "${'9'.repeat(40)}…"`,
    );
  });

  it.each([
    [['a'], /^expected user item \[rating\] \[timestamp\], or column names .*, got 1 field$/],
    [['a,b,1,2,3'], /got 5 fields$/],
    [[','.repeat(3_000_000)], /got 3000001 fields$/],
    [['a,b', 'a'], /^expected 2 fields, got 1$/],
    [['a,b', 'a,b,'], /^expected 2 fields, got 3$/],
    [['a,b', ','.repeat(3_000_000)], /^expected 2 fields, got 3000001$/],
    [['user,item,x', 'a,b'], /^expected 3 fields, got 2$/],
    [['a,b', ',b'], /^expected a user, got nothing$/],
    [['a,b', 'a, '], /^expected an item, got nothing$/],
    [['a,b', '"",b'], /^expected a user, got nothing$/],
    [['a,b', '"a,b'], /^a quoted field has no closing quote$/],
    [['a,b', '"a""'], /^a quoted field has no closing quote$/],
    [['a,b', '"a"x,b'], /^expected the end of a field after its closing quote$/],
  ])('refuses rows (%#)', (lines, message) => {
    expect(() => parse(...lines)).toThrow(message);
    expect(() => parse(...lines)).toThrow(expect.objectContaining({ code: 'ERR_LICHEN_FORMAT' }));
  });
});
