import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { Vocabulary } from '../../src/interactions/vocabulary.js';
import { readFeatureRows, readFeatures } from '../../src/towers/feature-files.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const at = temporaryFolder();
const ids = Vocabulary.ordered(['a', 'b', 'c']);

describe('readFeatures', () => {
  it('reads JSON lines', async () => {
    const lines = [
      { id: 'b', genre: 'jazz', year: 2001, title: 'blue', tags: ['x', 'y'] },
      { id: 'z', genre: 'rock' },
      { id: 'a', year: 1999, tags: [], genre: null },
    ];
    const text = lines.map((line) => JSON.stringify(line)).join('\n');
    writeFileSync(at('f.jsonl.gz'), gzipSync(text));
    expect(await readFeatures(at('f.jsonl.gz'), ids, { texts: ['title'] })).toEqual({
      known: 2,
      unknown: 1,
      columns: {
        genre: { type: 'categorical', values: [null, 'jazz', null] },
        year: { type: 'numeric', values: [1999, 2001, NaN] },
        title: { type: 'text', values: [null, 'blue', null] },
        tags: { type: 'categorical', values: [[], ['x', 'y'], null] },
      },
    });
  });

  it('reads lists of values', async () => {
    writeFileSync(at('f.txt'), 'c  1 2\t3\n\nb\nq 9\n');
    expect(await readFeatures(at('f.txt'), ids)).toEqual({
      known: 2,
      unknown: 1,
      columns: { values: { type: 'categorical', values: [null, [], ['1', '2', '3']] } },
    });
  });

  it.each([
    ['f.jsonl', '{"id": "a"}\n[]', /f\.jsonl, line 2: expected an object, got an array/],
    ['f.jsonl', '{"id": "a"', /line 1: /],
    ['f.jsonl', '{"name": 1}', /line 1: id must be a string or a number, got undefined/],
    [
      'f.jsonl',
      '{"id":"a","x":{}}',
      /x must be a number, a string or a list of such, got an object/,
    ],
    [
      'f.jsonl',
      '{"id":"a","x":1}\n{"id":"b","x":"1"}',
      /line 2: x is categorical, but numeric before/,
    ],
    ['f.txt', 'a 1\na 2', /f\.txt, line 2: "a" has features already/],
  ])('refuses what %s may hold: %s', async (name, text, message) => {
    writeFileSync(at(name), text);
    const read = readFeatures(at(name), ids);
    await expect(read).rejects.toMatchObject({ code: 'ERR_LICHEN_FORMAT' });
    await expect(read).rejects.toThrow(message);
  });
});

describe('readFeatureRows', () => {
  it('gives the features of all ids, in the order of the file', async () => {
    writeFileSync(at('new.jsonl'), '{"id":9,"year":3,"tags":["a"]}\n{"id":"q","year":null}\n');
    const { ids: found, rows } = await readFeatureRows(at('new.jsonl'));
    expect(found.toJSON()).toEqual(['9', 'q']);
    expect(rows).toEqual([{ year: 3, tags: ['a'] }, { year: null }]);
  });

  it.each([
    ['new.jsonl', '{"id":1}\n{"id":1}', 'FORMAT', /line 2: "1" has features already/],
    ['new.jsonl', '{"id":1,"x":true}', 'FORMAT', /line 1: x must be .*got true/],
    ['new.txt', '\n', 'EMPTY', /holds no features/],
  ])('refuses what %s may hold: %s', async (name, text, code, message) => {
    writeFileSync(at(name), text);
    const read = readFeatureRows(at(name));
    await expect(read).rejects.toMatchObject({ code: `ERR_LICHEN_${code}` });
    await expect(read).rejects.toThrow(message);
  });
});
