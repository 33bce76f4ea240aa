import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { makeCatalogue } from '../../src/catalogue/catalogue.js';
import { itemsOf, type Interactions } from '../../src/interactions/interactions.js';
import { readIntMatrix, readMatrix, writeIntMatrix, writeMatrix } from '../../src/vectors/files.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { lichen, lichenJson } from './run.js';

interface Points {
  k: number;
  queries: number;
  threads: number;
  points: { ef?: number; recall: number; qps: number; p50us: number; p99us: number }[];
}

function adjacency(interactions: Interactions, idOf: (item: number) => string): string {
  return Array.from({ length: interactions.users.size }, (_, user) => {
    const items = Array.from(itemsOf(interactions, user), idOf);
    return `listener${user} ${items.join(' ')}\n`;
  }).join('');
}

describe('the command line, from interactions to recommendations', () => {
  const at = temporaryFolder();
  const { train, test } = makeCatalogue({ listeners: 300, tracks: 400 });
  const idOf = (item: number): string => `track${train.items.idAt(item)}`;

  beforeAll(() => {
    writeFileSync(at('train.txt'), adjacency(train, idOf));
    writeFileSync(at('test.txt.gz'), gzipSync(adjacency(test, idOf)));
    lichenJson(
      ...['train', '--interactions', at('train.txt'), '--dim', '16', '--epochs', '6'],
      ...['--seed', '3', '--output', at('model')],
    );
    for (const side of ['user', 'item']) {
      lichenJson(
        ...['embed', '--model', at('model'), '--side', side, '--output', at(`${side}s.npy`)],
        ...['--keys', at(`${side}s.txt`)],
      );
    }
  });

  it('trains and tells how good the model is', () => {
    const result = lichenJson<{ metrics: Record<string, number> } & Record<string, unknown>>(
      ...['train', '--interactions', at('train.txt'), '--test', at('test.txt.gz')],
      ...['--dim', '8', '--epochs', '5', '--output', at('other')],
    );
    expect(Object.keys(result).sort()).toEqual(
      ['users', 'items', 'epochs', 'seconds', 'loss', 'backend', 'metrics', 'output'].sort(),
    );
    expect(result).toMatchObject({ users: 300, epochs: 5, output: at('other') });
    expect(Object.keys(result.metrics)).toEqual(['recall@20', 'ndcg@20', 'recall@50', 'ndcg@50']);
    // Twenty of some 400 tracks at random would be 0.05.
    expect(result.metrics['recall@20']).toBeGreaterThan(0.2);
  });

  it('measures on a catalogue of fewer items than the cut-offs', () => {
    writeFileSync(at('tiny.txt'), '0 1 2\n1 2 3\n2 1 3\n');
    writeFileSync(at('tiny-test.txt'), '0 3\n1 1\n');
    const { metrics } = lichenJson<{ metrics: Record<string, number> }>(
      ...['train', '--interactions', at('tiny.txt'), '--test', at('tiny-test.txt')],
      ...['--dim', '4', '--epochs', '2', '--output', at('tiny')],
    );
    // One item is left for each user, so it is found.
    expect(metrics).toMatchObject({ 'recall@20': 1, 'recall@50': 1 });
  });

  it('trains the same model for the same seed', () => {
    const again = ['--dim', '16', '--epochs', '6', '--seed', '3', '--output', at('again')];
    lichenJson('train', '--interactions', at('train.txt'), ...again);
    for (const file of ['items.npy', 'users.npy']) {
      expect(readFileSync(at(`again/${file}`))).toEqual(readFileSync(at(`model/${file}`)));
    }
  });

  it('embeds, builds, searches, evaluates and inspects', async () => {
    const items = await readMatrix(at('items.npy'));
    expect([items.rows, items.dim]).toEqual([train.items.size, 16]);
    const build = lichenJson<Record<string, unknown>>(
      ...['build', '--input', at('items.npy'), '--metric', 'dot', '--index', 'hnsw'],
      ...['--m', '8', '--ef-construction', '60', '--output', at('items.lichen')],
    );
    expect(build).toEqual({
      rows: items.rows,
      dim: 16,
      metric: 'dot',
      index: 'hnsw',
      storage: 'f32',
      seconds: expect.any(Number) as number,
      bytes: readFileSync(at('items.lichen')).length,
      bytesPerVector: readFileSync(at('items.lichen')).length / items.rows,
      output: at('items.lichen'),
    });

    const searched = ['--index', at('items.lichen'), '--queries', at('users.npy'), '--k', '5'];
    const found = lichenJson<{ results: { key: number; score: number }[][] }>(
      'search',
      ...searched,
    );
    expect(found.results.length).toBe(300);
    expect(found.results[0]!.map(({ score }) => score)).toEqual(
      found.results[0]!.map(({ score }) => score).sort((a, b) => b - a),
    );
    lichenJson('search', ...searched, '--exact', '--output', at('truth.ivecs'));
    const truth = await readIntMatrix(at('truth.ivecs'));
    expect([truth.rows, truth.dim]).toEqual([300, 5]);

    const points = ['--k', '5', '--ef', '5,50,400'];
    const evaluate = (...more: string[]): Points =>
      lichenJson<Points>('eval', ...searched, ...points, ...more);
    const judged = evaluate();
    expect(judged).toMatchObject({ k: 5, queries: 300, threads: 1 });
    expect(judged.points.map(({ ef }) => ef)).toEqual([5, 50, 400]);
    expect(Object.keys(judged.points[0]!)).toEqual(['ef', 'recall', 'qps', 'p50us', 'p99us']);
    expect(judged.points[2]!.recall).toBeGreaterThan(0.99);
    const recalls = ({ points }: Points): number[] => points.map(({ recall }) => recall);
    expect(recalls(evaluate('--exact-input', at('items.npy')))).toEqual(recalls(judged));
    recalls(evaluate('--truth', at('truth.ivecs'), '--mode', 'batch', '--threads', '2')).forEach(
      (recall, point) => expect(recall).toBeCloseTo(judged.points[point]!.recall, 2),
    );

    const inspected = lichenJson<Record<string, unknown>>('inspect', '--index', at('items.lichen'));
    expect(inspected).toMatchObject({ index: 'hnsw', rows: items.rows, ok: true });
    const system = lichenJson<Record<string, number>>('inspect', '--system');
    expect(system).toHaveProperty('isa');
    expect(system['threads']).toBeLessThanOrEqual(system['processors']!);
    expect(system['processors']).toBeLessThanOrEqual(cpus().length);
    expect(system['memoryBytes']).toBeLessThanOrEqual(totalmem());
    expect(system['memoryBytes']).toBeGreaterThan(0);
  });

  it('builds, searches, evaluates and inspects quantized indexes', async () => {
    const items = await readMatrix(at('items.npy'));
    const build = (...more: string[]): Record<string, unknown> =>
      lichenJson(
        ...['build', '--input', at('items.npy'), '--metric', 'dot', '--index', 'flat'],
        ...['--output', at('codes.lichen'), ...more],
      );
    expect(build('--storage', 'pq', '--subspaces', '5', '--rerank', 'i8')).toMatchObject({
      rows: items.rows,
      index: 'flat',
      storage: 'pq',
      rerank: 'i8',
      subspaces: 5,
    });
    const inspected = lichenJson<Record<string, unknown>>('inspect', '--index', at('codes.lichen'));
    expect(inspected).toMatchObject({ storage: 'pq', rerank: 'i8', subspaces: 5, ok: true });
    expect(lichen('inspect', '--index', at('codes.lichen')).stdout).toMatch(
      /storage +pq\nrerank +i8\nsubspaces +5\n/,
    );
    const searched = ['--index', at('codes.lichen'), '--queries', at('users.npy'), '--k', '5'];
    const found = (...more: string[]): number[][] =>
      lichenJson<{ results: { key: number }[][] }>('search', ...searched, ...more).results.map(
        (hits) => hits.map(({ key }) => key),
      );
    expect(found('--oversample', '1')).not.toEqual(found('--exact'));
    expect(found('--oversample', '400')).toEqual(found('--exact'));

    const evaluate = (...more: string[]): Points & { oversample?: number } =>
      lichenJson('eval', ...searched, ...more);
    const exactInput = ['--exact-input', at('items.npy')];
    const coarse = evaluate('--oversample', '1', ...exactInput);
    expect(coarse).toMatchObject({ k: 5, oversample: 1 });
    expect(coarse.points.length).toBe(1);
    expect(Object.keys(coarse.points[0]!)).toEqual(['recall', 'qps', 'p50us', 'p99us']);
    const fine = evaluate('--oversample', '400', ...exactInput);
    expect(fine.points[0]!.recall).toBeGreaterThan(0.9);
    expect(coarse.points[0]!.recall).toBeLessThan(fine.points[0]!.recall);
    expect(evaluate('--oversample', '400').points[0]!.recall).toBe(1);

    const summary = lichen(
      ...['build', '--input', at('items.npy'), '--metric', 'dot', '--index', 'flat'],
      ...['--storage', 'i4', '--rerank', 'f16', '--output', at('codes.lichen')],
    );
    expect(summary.stdout).toMatch(/\(dot, flat, i4 and f16\) built in/);
    const few = build('--storage', 'i4', '--pca', '9', '--rerank', 'i4');
    expect(few).toMatchObject({ storage: 'i4', pca: 9, rerank: 'i4' });
    expect(lichen('inspect', '--index', at('codes.lichen')).stdout).toMatch(/\npca +9\n/);
    const codes = build('--storage', 'i8');
    expect(codes).not.toHaveProperty('pca');
    expect(codes).not.toHaveProperty('rerank');
    expect(codes).not.toHaveProperty('subspaces');
    const { points } = evaluate(...exactInput);
    expect(points[0]!.recall).toBeGreaterThan(0.9);
    expect(points[0]!.recall).toBeLessThan(1);
  });

  it('keeps attributes, and searches by conditions on them and by groups', async () => {
    const { rows } = await readMatrix(at('items.npy'));
    const genre = (item: number): string => ['jazz', 'blues', 'soul'][item % 3]!;
    const lines = Array.from({ length: rows }, (_, item) =>
      JSON.stringify({ year: item % 7 === 0 ? null : 1950 + (item % 60), genre: genre(item) }),
    );
    writeFileSync(at('items.jsonl'), lines.join('\n'));
    lichenJson(
      ...['build', '--input', at('items.npy'), '--metric', 'dot', '--output', at('tagged.lichen')],
      ...['--attributes', at('items.jsonl')],
    );
    expect(lichen('inspect', '--index', at('tagged.lichen')).stdout).toMatch(
      /attributes +genre \(category\), year \(number\)/,
    );
    const searched = ['--index', at('tagged.lichen'), '--queries', at('users.npy'), '--k', '6'];
    const found = (...more: string[]): number[][] =>
      lichenJson<{ results: { key: number }[][] }>('search', ...searched, ...more).results.map(
        (hits) => hits.map(({ key }) => key),
      );
    for (const keys of found('--filter', '{"genre":"jazz","year":{"gte":1990}}')) {
      expect(keys.length).toBe(6);
      for (const key of keys) {
        expect(genre(key)).toBe('jazz');
        expect(1950 + (key % 60)).toBeGreaterThanOrEqual(1990);
        expect(key % 7).not.toBe(0);
      }
    }
    for (const keys of found('--group-by', 'genre', '--group-size', '2')) {
      expect(keys.map(genre).sort()).toEqual(['blues', 'blues', 'jazz', 'jazz', 'soul', 'soul']);
    }
  });

  it('recommends through an index as well as by exact search', () => {
    lichenJson(
      ...['build', '--input', at('items.npy'), '--metric', 'dot', '--keys', at('items.txt')],
      ...['--output', at('named.lichen')],
    );
    const result = lichenJson<{
      exact: Record<string, number>;
      points: Record<string, number>[];
    }>(
      ...['eval', '--index', at('named.lichen'), '--model', at('model'), '--k', '20', '--ef', '64'],
      ...['--interactions', at('train.txt'), '--test', at('test.txt.gz')],
    );
    expect(result.exact['recall@20']).toBeGreaterThan(0.2);
    expect(result.points[0]!['recall@20']).toBeGreaterThan(result.exact['recall@20']! * 0.99);
    const named = lichen(
      ...['search', '--index', at('named.lichen'), '--queries', at('items.npy'), '--k', '1'],
    );
    expect(named.stdout.split('\n')[0]).toMatch(/^0\ttrack\d+:[\d.]+$/);
  });

  it('finds all that there is where more is asked for', async () => {
    await writeMatrix(at('few.npy'), { data: Float32Array.of(0, 1, 0, 2, 0, 3), rows: 3, dim: 2 });
    const few = ['--input', at('few.npy'), '--metric', 'l2', '--output', at('few.lichen')];
    lichenJson('build', ...few);
    for (const k of ['4', '3000']) {
      const search = ['search', '--index', at('few.lichen'), '--queries', at('few.npy'), '--k', k];
      const { results } = lichenJson<{ results: { key: number }[][] }>(...search);
      expect(results.map((found) => found.map(({ key }) => key))).toEqual([
        [0, 1, 2],
        [1, 0, 2],
        [2, 1, 0],
      ]);
      expect(lichen(...search).stdout.split('\n')[2]).toMatch(/^2\t2:\S+ 1:\S+ 0:\S+$/);
    }
  });

  it('prints tables where no JSON is asked for', () => {
    lichenJson('build', '--input', at('items.npy'), '--metric', 'l2', '--output', at('l2.lichen'));
    const { stdout } = lichen(
      ...['eval', '--index', at('l2.lichen'), '--queries', at('users.npy'), '--ef', '10,20'],
    );
    expect(stdout).toMatch(
      /^ef {2}recall@10 {2}queries\/s {2}p50 µs {2}p99 µs\n10 {2} +[01]\.\d{4} /,
    );
    expect(lichen('inspect', '--index', at('l2.lichen')).stdout).toMatch(/baseLinks .* holds/);
  });

  it('runs the demonstration on the built-in catalogue', () => {
    const demo = lichenJson<Record<string, Record<string, number>>>(
      ...['demo', '--listeners', '800', '--tracks', '1000', '--dim', '16'],
    );
    expect(demo['search']!['recall']).toBeGreaterThan(0.95);
    expect(demo['recommendations']!['recall@20']).toBeGreaterThan(
      demo['popularity']!['recall@20']!,
    );
  });

  it('measures against truth of fewer neighbours than k as an error', async () => {
    await writeIntMatrix(at('short.ivecs'), { data: new Int32Array(300), rows: 300, dim: 1 });
    lichenJson('build', '--input', at('items.npy'), '--metric', 'dot', '--output', at('d.lichen'));
    const run = lichen(
      ...['eval', '--index', at('d.lichen'), '--queries', at('users.npy')],
      ...['--truth', at('short.ivecs')],
    );
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(
      /^lichen: truth must have at least k = 10 .*\(ERR_LICHEN_DIMENSION\)\n$/,
    );
  });
});
