import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { writeMatrix } from '../../src/vectors/files.js';
import { matrix } from '../../src/vectors/matrix.js';
import { clustered } from '../index/data.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { lichen, lichenJson } from './run.js';

describe('the command line, given bad input', () => {
  const at = temporaryFolder();
  const out = at('out');

  beforeAll(async () => {
    mkdirSync(out);
    await writeMatrix(at('ok.npy'), matrix(clustered(1, 40, 8), 8));
    await writeMatrix(at('dim4.npy'), matrix(clustered(1, 10, 4), 4));
    lichenJson('build', '--input', at('ok.npy'), '--metric', 'l2', '--output', at('ok.lichen'));
    await writeMatrix(at('nan.npy'), matrix(Float32Array.of(1, NaN), 2));
    writeFileSync(at('empty.fvecs'), '');
    writeFileSync(at('ragged.fvecs'), Buffer.from(Int32Array.of(1, 0, 2, 0, 0).buffer));
    writeFileSync(at('cut.npy'), Buffer.from('\x93NUMPY\x01\x00', 'latin1'));
    writeFileSync(at('empty.txt'), '\n\n');
    writeFileSync(at('pairs.txt'), '0 1 2 3\n1 2 3\n');
    writeFileSync(at('bad.csv'), 'user,item\n1,2\n3\n');
    writeFileSync(at('keys.txt'), 'a\nb\n');
    writeFileSync(at('twice.txt'), `${'same\n'.repeat(40)}`);
    writeFileSync(at('one.jsonl'), '{"year": 1990}\n');
    writeFileSync(at('kinds.jsonl'), '{"year": 1990}\n{"year": "old"}\n');
    writeFileSync(at('text.lichen'), 'no index'.repeat(99));
  });

  const build = (input: string, ...more: string[]): string[] => [
    ...['build', '--input', input, '--metric', 'l2', '--output', `${out}/x.lichen`],
    ...more,
  ];
  const train = (interactions: string, ...more: string[]): string[] => [
    ...['train', '--interactions', interactions, '--output', `${out}/model`],
    ...more,
  ];
  const search = (...more: string[]): string[] => ['search', '--index', at('ok.lichen'), ...more];

  const cases: [string, () => string[], number, string, RegExp][] = [
    ['no command', () => [], 2, 'ARGUMENT', /expected a command \(train, embed, recommend/],
    [
      'an unknown command',
      () => ['trian'],
      2,
      'ARGUMENT',
      /unknown command 'trian' \(Did you mean train\?\); lichen --help tells more/,
    ],
    [
      'an unknown option where another is missing',
      () => ['cluster', 'create', '--shrds=3'],
      2,
      'ARGUMENT',
      /option '--shrds' \(Did you mean --shards\?\); lichen cluster create --help tells/,
    ],
    ['an unknown option', () => build(at('ok.npy'), '--M', '3'), 2, 'ARGUMENT', /option '--M'/],
    ['a missing option', () => ['build'], 2, 'ARGUMENT', /option '--input <file>' not specified/],
    ['an option without value', () => ['build', '--input'], 2, 'ARGUMENT', /argument missing/],
    [
      'a bad metric',
      () => build(at('ok.npy'), '--metric', 'ip'),
      2,
      'ARGUMENT',
      /one of dot, cosine, l2; lichen build --help tells more/,
    ],
    [
      'a filter that is no JSON',
      () => search('--queries', 'q', '--filter', '{'),
      2,
      'ARGUMENT',
      /JSON/,
    ],
    [
      'a filter of attributes that are not there',
      () => search('--queries', at('ok.npy'), '--filter', '{"year":1}'),
      1,
      'ARGUMENT',
      /where.year: there is no attribute "year"/,
    ],
    [
      'attributes of too few',
      () => build(at('ok.npy'), '--attributes', at('one.jsonl')),
      1,
      'DIMENSION',
      /one.jsonl holds the attributes of 1 vectors, expected 40/,
    ],
    [
      'attributes of two kinds',
      () => build(at('ok.npy'), '--attributes', at('kinds.jsonl')),
      1,
      'FORMAT',
      /kinds.jsonl, line 2: year is a category, but a number before/,
    ],
    [
      'a bad storage',
      () => build(at('ok.npy'), '--storage', 'i3'),
      2,
      'ARGUMENT',
      /f32, f16, bf16/,
    ],
    [
      'a graph to rerank',
      () => build(at('ok.npy'), '--rerank', 'f32', '--index', 'hnsw'),
      2,
      'ARGUMENT',
      /must be a finer storage than f32, got f32/,
    ],
    [
      'a rerank that is not finer',
      () => build(at('ok.npy'), '--index', 'flat', '--storage', 'i8', '--rerank', 'i4'),
      2,
      'ARGUMENT',
      /'--rerank' must be a finer storage than i8, got i4/,
    ],
    [
      'subspaces of no pq',
      () => build(at('ok.npy'), '--index', 'flat', '--storage', 'i8', '--subspaces', '2'),
      2,
      'ARGUMENT',
      /'--subspaces' wants '--storage pq'/,
    ],
    [
      'pca of pq',
      () => build(at('ok.npy'), '--index', 'flat', '--storage', 'pq', '--pca', '2'),
      2,
      'ARGUMENT',
      /'--pca' wants '--storage' i8, i4 or b1/,
    ],
    [
      'more components than values',
      () => build(at('ok.npy'), '--storage', 'i8', '--pca', '9'),
      1,
      'ARGUMENT',
      /pca must be an integer from 1 to 8, got 9/,
    ],
    [
      'more subspaces than values',
      () => build(at('ok.npy'), '--index', 'flat', '--storage', 'pq', '--subspaces', '9'),
      1,
      'ARGUMENT',
      /subspaces must be an integer from 1 to 8, got 9/,
    ],
    [
      'too few vectors for pq',
      () => build(at('dim4.npy'), '--index', 'flat', '--storage', 'pq'),
      1,
      'ARGUMENT',
      /at least 16 vectors, got 10/,
    ],
    ['a bad oversample', () => search('--oversample', '0'), 2, 'ARGUMENT', /at least 1/],
    ['a bad number', () => search('--queries', 'x', '--k', '0'), 2, 'ARGUMENT', /at least 1/],
    ['a bad list', () => ['eval', '--index', 'x', '--ef', '1,b'], 2, 'ARGUMENT', /--ef/],
    ['an excess argument', () => ['inspect', '--system', 'x'], 2, 'ARGUMENT', /too many arguments/],
    ['nothing to inspect', () => ['inspect'], 2, 'ARGUMENT', /one of '--index/],
    [
      'half of what recommendations need',
      () => ['eval', '--index', at('ok.lichen'), '--model', 'x'],
      2,
      'ARGUMENT',
      /go together/,
    ],
    ['a missing file', () => build(at('no.npy')), 1, 'NOT_FOUND', /no such file or folder/],
    ['another kind of file', () => build(at('keys.txt')), 1, 'UNSUPPORTED', /must end in \.npy/],
    ['NaN', () => build(at('nan.npy')), 1, 'NOT_FINITE', /row 0, column 1 is NaN/],
    ['no vectors', () => build(at('empty.fvecs')), 1, 'EMPTY', /holds no vectors/],
    ['ragged rows', () => build(at('ragged.fvecs')), 1, 'FORMAT', /ragged/],
    ['a cut file', () => build(at('cut.npy')), 1, 'FORMAT', /cut\.npy/],
    [
      'too few keys',
      () => build(at('ok.npy'), '--keys', at('keys.txt')),
      1,
      'DIMENSION',
      /2 keys, expected one a vector, 40/,
    ],
    [
      'a key twice',
      () => build(at('ok.npy'), '--keys', at('twice.txt')),
      1,
      'DUPLICATE_KEY',
      /'same' at position 1 stands twice/,
    ],
    [
      'a folder that is not there',
      () => build(at('ok.npy'), '--output', `${out}/no/x.lichen`),
      1,
      'NOT_FOUND',
      /no such file or folder/,
    ],
    [
      'a folder that is not there, before any work',
      () => train(at('no.txt'), '--output', `${out}/no/model`),
      1,
      'NOT_FOUND',
      /cannot write .*no such file or folder: .*no \(/,
    ],
    ['no interactions', () => train(at('empty.txt')), 1, 'EMPTY', /holds no interactions/],
    ['missing interactions', () => train(at('no.txt')), 1, 'NOT_FOUND', /no\.txt/],
    ['a ragged row', () => train(at('bad.csv')), 1, 'FORMAT', /line 3: expected 2 fields, got 1/],
    [
      'a missing test file',
      () => train(at('pairs.txt'), '--test', at('no.txt')),
      1,
      'NOT_FOUND',
      /no\.txt/,
    ],
    [
      'no model',
      () => ['embed', '--model', at('no'), '--side', 'user', '--output', `${out}/x.npy`],
      1,
      'NOT_FOUND',
      /no/,
    ],
    ['another dim', () => search('--queries', at('dim4.npy')), 1, 'DIMENSION', /dim is 8, got 4/],
    [
      'no index',
      () => ['search', '--index', at('text.lichen'), '--queries', at('ok.npy')],
      1,
      'FORMAT',
      /not a sound lichen file/,
    ],
    ['no index to inspect', () => ['inspect', '--index', at('no')], 1, 'NOT_FOUND', /no such file/],
  ];

  it.each(cases)(
    'tells %s in one line and leaves nothing behind',
    (_, args, status, code, text) => {
      const run = lichen(...args());
      expect(run.stderr).toMatch(/^lichen: [^\n]*\n$/);
      expect(run.stderr).toMatch(text);
      expect(run.stderr).toContain(`(ERR_LICHEN_${code})`);
      expect(run.status).toBe(status);
      expect(run.stdout).toBe('');
      expect(readdirSync(out)).toEqual([]);
      expect(existsSync(at('model'))).toBe(false);
    },
  );

  it('keeps stdout empty also with --json', () => {
    const run = lichen(...build(at('nan.npy')), '--json');
    expect([run.status, run.stdout]).toEqual([1, '']);
  });

  it('tells its version', () => {
    expect(lichen('--version').stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
