import { writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { readMatrix } from '../../src/vectors/files.js';
import { twoGroups } from '../towers/planted.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { lichen, lichenJson } from './run.js';

type Metrics = Record<string, number>;
type Recommended = { recommendations: { item: string; score: number }[] };

/** Items of the group of even or odd numbers, which the user's history tells. */
const groups = twoGroups(60, 40, 8);
const small = ['--dim', '8', '--epochs', '10', '--negatives', '30', '--lr', '0.03'];

describe('train, embed and recommend with towers of histories', () => {
  const at = temporaryFolder();
  const train = (name: string, ...more: string[]): Record<string, unknown> =>
    lichenJson(
      ...['train', '--interactions', at('met.txt'), '--cut-offs', '5', ...small],
      ...['--output', at(name), ...more],
    );

  beforeAll(() => {
    const lines = Array.from({ length: groups.users.size }, (_, user) => {
      const items = groups.itemIndices.subarray(groups.offsets[user], groups.offsets[user + 1]);
      return `${user} ${items.join(' ')}\n`;
    });
    writeFileSync(at('met.txt'), lines.join(''));
    const features = Array.from(
      { length: groups.items.size },
      (_, item) => `${item} ${item % 2 === 0 ? 'even' : 'odd'}\n`,
    );
    writeFileSync(at('kinds.txt'), features.join(''));
    train('model', '--item-features', at('kinds.txt'));
    lichenJson('embed', '--model', at('model'), '--side', 'item', '--output', at('items.npy'));
    lichenJson(
      ...['build', '--input', at('items.npy'), '--metric', 'dot', '--index', 'flat'],
      ...['--output', at('items.lichen')],
    );
  });

  it.each([
    ['last', []],
    ['0.2', ['--loss', 'ccl', '--prefixes', '4']],
    ['items=0.2', ['--item-features', 'kinds.txt']],
  ])('holds out %s and measures on it', (what, more) => {
    const options = more.map((option) => (option === 'kinds.txt' ? at(option) : option));
    const { metrics, baselines } = train('held', '--hold-out', what, ...options);
    expect(Object.keys(metrics as Metrics)).toEqual(['recall@5', 'ndcg@5']);
    // Chance is an eighth to a seventh; of eight new items of both kinds five are shown.
    expect((metrics as Metrics)['recall@5']).toBeGreaterThan(what === 'items=0.2' ? 0.9 : 0.2);
    expect(Object.keys(baselines ?? {})).toEqual(
      what === 'items=0.2' ? ['popularity of tags', 'tag overlap'] : [],
    );
  });

  it('takes the cosine for ids when it is told to', () => {
    const { metrics } = train(
      'ids',
      '--user-tower',
      'id',
      '--normalize',
      '--temperature',
      '0.2',
      '--hold-out',
      '0.2',
    );
    expect((metrics as Metrics)['recall@5']).toBeGreaterThan(0.1);
  });

  it('smooths ids over the graph of interactions', () => {
    const { metrics } = train(
      'graph',
      ...['--user-tower', 'id', '--graph-layers', '2', '--hold-out', '0.2', '--epochs', '40'],
    );
    expect((metrics as Metrics)['recall@5']).toBeGreaterThan(0.1);
  });

  it('validates, and says so', () => {
    const { metrics } = train('validated', '--validation', '0.2', '--patience', '1');
    expect(Object.keys(metrics as Metrics)).toEqual(['validation recall@20', 'validation ndcg@20']);
  });

  it('recommends to a user and to a new one, without what they have', () => {
    const ask = (...who: string[]): number[] =>
      lichenJson<Recommended>(
        ...['recommend', '--model', at('model'), '--index', at('items.lichen'), '--k', '6', ...who],
      ).recommendations.map(({ item }) => Number(item));
    const met = [...groups.itemIndices.subarray(groups.offsets[3], groups.offsets[4])];
    const own = ask('--user', '3', '--interactions', at('met.txt'));
    expect(own).toHaveLength(6);
    for (const item of own) {
      expect(item % 2).toBe(1);
      expect(met).not.toContain(item);
    }
    const fresh = ask('--history', '2,4, 8');
    for (const item of fresh) {
      expect(item % 2).toBe(0);
      expect([2, 4, 8]).not.toContain(item);
    }
  });

  it('embeds new users and new items', async () => {
    writeFileSync(at('new-users.txt'), 'x 1 3\ny 2 4 6\n');
    const embed = (...what: string[]): unknown =>
      lichenJson('embed', '--model', at('model'), '--output', at('new.npy'), ...what);
    embed('--side', 'user', '--histories', at('new-users.txt'), '--keys', at('new.txt'));
    expect(await readMatrix(at('new.npy'))).toMatchObject({ rows: 2, dim: 8 });
    writeFileSync(at('new-items.jsonl'), '{"id":"a","values":["odd"]}\n');
    embed('--side', 'item', '--features', at('new-items.jsonl'));
    expect(await readMatrix(at('new.npy'))).toMatchObject({ rows: 1, dim: 8 });
  });

  it('refuses what does not fit together', () => {
    const asked = ['recommend', '--model', at('model'), '--index', at('items.lichen')];
    const both = ['train', '--interactions', at('met.txt'), '--output', at('x')];
    for (const [args, message] of [
      [[...asked, '--user', 'nobody'], /user "nobody" is not among the model's 60 users/],
      [[...both, '--test', at('met.txt'), '--hold-out', 'last'], /--test or --hold-out, not both/],
      [
        [
          'embed',
          '--model',
          at('model'),
          '--side',
          'item',
          '--histories',
          at('met.txt'),
          '--output',
          at('y.npy'),
        ],
        /--histories is not for --side item/,
      ],
    ] as const) {
      const { status, stderr } = lichen(...args);
      expect(stderr).toMatch(message);
      expect(status).toBe(1);
    }
    expect(lichen(...both, '--hold-out', 'first').status).toBe(2);
    const neither = lichen(...asked);
    expect([neither.status, neither.stderr]).toEqual([
      2,
      expect.stringMatching(/expected one of '--user <id>' and '--history <id,…>'/),
    ]);
    const partly = lichen(...asked, '--history', '2,x,4', '--json');
    expect(partly.stderr).toBe('lichen: not among the model\'s 40 items: "x"; left out\n');
    expect(partly.status).toBe(0);
    const unknown = lichen(...asked, '--history', 'x,y');
    expect([unknown.status, unknown.stderr]).toEqual([
      1,
      expect.stringMatching(/items: "x", "y"; no others are given \(ERR_LICHEN_UNKNOWN_KEY\)/),
    ]);
  });
});
