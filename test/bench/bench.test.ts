import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { alternate, ratioText, spread } from '../../bench/harness/alternate.js';
import { loadPeer, toInt8 } from '../../bench/harness/peers.js';
import { recallJudge } from '../../bench/harness/recall.js';
import { ratioFields, sectionTables, tablesText } from '../../bench/harness/report.js';
import { mixture, vectorOptions, vectorsOf } from '../../bench/harness/vectors.js';
import { npyHeader } from '../../src/vectors/npy.js';
import { sharedData } from '../vectors/shared-data.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const ROOT = join(__dirname, '..', '..');

describe('the benchmark harness', () => {
  const at = temporaryFolder();

  it('lets the sides take turns and compares within a round', async () => {
    const order: string[] = [];
    const side = (name: string) => ({ name, work: () => order.push(name) && 1 });
    const { rates, ratios, ratio } = await alternate([side('a'), side('b')], {
      rounds: 2,
      secondsASide: 0,
    });
    expect(order.join('')).toBe('abbaab');
    expect([...rates.keys()]).toEqual(['a', 'b']);
    expect([...ratios.keys()]).toEqual(['b']);
    expect(ratio('a', 'b')).toEqual(ratios.get('b'));
    expect(ratio('b', 'b')).toEqual({ median: 1, min: 1, max: 1 });
  });

  it('gives median, least and greatest', () => {
    expect(spread([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
    expect(spread([4, 1, 2, 3]).median).toBe(2.5);
    expect(ratioText({ median: 2, min: 1.5, max: 2.25 })).toBe('2.00 × (1.50–2.25)');
  });

  it('makes the same vectors of length 1 for a seed', () => {
    const one = mixture(7, 20, 12);
    expect(mixture(7, 20, 12)).toEqual(one);
    expect(Math.hypot(...one.subarray(12, 24))).toBeCloseTo(1, 5);
  });

  it('takes sizes from the options, else the defaults of the suite', async () => {
    const defaults = { rows: 30, dim: 4, limit: 5 };
    const context = { options: new Map([['rows', '20']]) };
    const { base, queries } = await vectorsOf(context, defaults);
    expect([base.rows, base.dim, queries.rows]).toEqual([20, 4, 5]);
    expect(vectorOptions(defaults).limit).toContain('(default 5)');
  });

  it('reads files, or a data set of a name with its own metric', async () => {
    const asked = (options: Record<string, string>) =>
      vectorsOf({ options: new Map(Object.entries(options)) });
    const file = at('some.npy');
    const values = new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer);
    writeFileSync(file, Buffer.concat([npyHeader('<f4', 3, 2), values]));
    const read = await asked({ input: file, queries: file, limit: '2', metric: 'cosine' });
    expect([...read.base.data]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([read.queries.rows, read.metric]).toEqual([2, 'cosine']);
    expect(read.label).toBe('some.npy, 3 × 2');
    for (const [options, message] of [
      [{ input: file }, /belong together/],
      [{ queries: file }, /belong together/],
      [{ data: 'sift-5k', input: file }, /not for it/],
      [{ data: 'nothing' }, /no data set nothing, expected gowalla-ials64/],
    ] as const) {
      await expect(asked(options)).rejects.toThrow(message);
    }
    vi.stubEnv('LICHEN_DATA', at('nowhere'));
    await expect(asked({ data: 'sift-5k' })).rejects.toThrow(/sift-5k is missing: skipped/);
    vi.unstubAllEnvs();
  });

  const sift = sharedData('sift-5k', 'base.u8.npy');
  it.skipIf(sift.missing)(`reads a shared data set by its name${sift.note}`, async () => {
    const options = new Map([['data', 'sift-5k']]);
    const { base, metric, label } = await vectorsOf({ options });
    expect([base.dim, metric]).toEqual([128, 'l2']);
    expect(label).toBe(`sift-5k, ${base.rows} × 128`);
  });

  it('judges found keys by their exact scores', async () => {
    const base = { data: Float32Array.of(1, 0, 0, 1, 1, 0, -1, 0), rows: 4, dim: 2 };
    const queries = { data: Float32Array.of(1, 0), rows: 1, dim: 2 };
    const judge = await recallJudge(base, queries, 'l2', 2);
    expect(judge([2, 0])).toBe(1);
    expect(judge([0, 1])).toBe(0.5);
    expect(judge(BigUint64Array.of(2n, 3n))).toBe(0.5);
    expect(judge([0, -1])).toBe(0.5);
  });

  it('prints a table a section, with the columns that it needs', () => {
    const value = { median: 10, min: 9.5, max: 11, unit: 'GB/s' };
    const ratio = ratioFields({ median: 2, min: 1, max: 3 });
    const report = sectionTables([
      { section: 'one', name: 'a', ...value, limitShare: 0.5 },
      { section: 'two', name: 'b', ...value, ...ratio, note: 'why' },
      { section: 'one', name: 'c', ...value, packingShare: 0.25 },
    ]);
    expect(report.map(({ title }) => title)).toEqual(['one', 'two']);
    const [one, two] = report.map(({ rows }) => rows);
    expect(one).toEqual([
      ['name', 'value', 'min', 'max', 'unit', 'limit share', 'note'],
      ['a', '10', '9.500', '11', 'GB/s', '50.0%', ''],
      ['c', '10', '9.500', '11', 'GB/s', '', 'packing 25.0% of the time'],
    ]);
    expect(two![1]!.slice(-2)).toEqual(['2.00 × (1.00–3.00)', 'why']);
    expect(tablesText(report)).toMatch(/^one\nname +value.*\n.*\n.*time\n\ntwo\nname/);
  });

  it('makes bytes of values and does without a peer that is not there', () => {
    expect([...toInt8(Float32Array.of(-0.5, 0.25, 0))]).toEqual([-127, 64, 0]);
    expect([...toInt8(new Float32Array(2))]).toEqual([0, 0]);
    expect(loadPeer('no-such-package-there')).toBeUndefined();
  });

  const bench = (...args: string[]) =>
    spawnSync(process.execPath, ['--import', 'tsx', 'bench/main.ts', ...args], {
      cwd: ROOT,
      encoding: 'utf8',
    });

  it('runs a comparison and keeps its results', () => {
    const sizes = ['--rows', '600', '--dim', '8', '--limit', '40', '--rounds', '1'];
    const run = bench('hnswlib', ...sizes, '--build-rounds', '1', '--json', at('results.json'));
    expect(run.status, run.stderr).toBe(0);
    const document = JSON.parse(readFileSync(at('results.json'), 'utf8')) as {
      results: { name: string; recall?: number }[];
    };
    expect(document).toMatchObject({ suite: 'hnswlib', options: { rows: '600', dim: '8' } });
    const names = document.results.map(({ name }) => name);
    expect(names).toContain('build, ratio');
    expect(names).toContain('search, recall ≥ 0.9, ratio');
  });

  it('draws curves, and says which peers are left out', () => {
    const sizes = [
      '--rows',
      '300',
      '--dim',
      '8',
      '--limit',
      '20',
      '--rounds',
      '1',
      '--threads',
      '2',
    ];
    const files = ['--svg', at('curves.svg'), '--json', at('ann.json')];
    const run = bench('ann', ...sizes, '--storage', 'f32,i8', '--peers', 'hnswlib,zvec', ...files);
    expect(run.status, run.stderr).toBe(0);
    expect(run.stdout).toMatch(/^zvec (f32: built|is not installed: left out \(npm install )/m);
    expect(readFileSync(at('curves.svg'), 'utf8')).toContain('>lichen f32<');
    const ofBatches = readFileSync(at('curves-batch.svg'), 'utf8');
    expect(ofBatches).toContain('>lichen f32<');
    expect(ofBatches).not.toContain('>hnswlib-node<');
    expect(ofBatches).toContain(', batches on 2 threads<');
    const { results } = JSON.parse(readFileSync(at('ann.json'), 'utf8')) as {
      results: { name: string; section: string; batchQps?: number }[];
    };
    const points = results.filter(({ section }) => section === 'curve');
    for (const { name, batchQps } of points) {
      expect(batchQps !== undefined && batchQps > 0, name).toBe(name.startsWith('lichen'));
    }
    const named = results.filter(({ name }) => name === 'lichen i8');
    expect(named.map(({ section }) => section)).toEqual(
      expect.arrayContaining(['build', 'curve', 'recall ≥ 0.9']),
    );
  });

  it('measures files', () => {
    const sizes = ['--rows', '2000', '--dim', '8', '--rounds', '1', '--json', at('files.json')];
    const run = bench('files', ...sizes);
    expect(run.status, run.stderr).toBe(0);
    const { results } = JSON.parse(readFileSync(at('files.json'), 'utf8')) as {
      results: { name: string; section: string; median: number }[];
    };
    const sections = results.map(({ section }) => section);
    expect(sections).toEqual(
      expect.arrayContaining(['acknowledged writes', 'replay', 'opening', 'checkpoint']),
    );
    for (const { name, median } of results) expect(median, name).toBeGreaterThanOrEqual(0);
  });

  it('measures storage types, alone and reranked', () => {
    const sizes = ['--rows', '600', '--dim', '8', '--limit', '20', '--rounds', '1'];
    const run = bench('storage', ...sizes, '--storage', 'i4', '--json', at('storage.json'));
    expect(run.status, run.stderr).toBe(0);
    const { results } = JSON.parse(readFileSync(at('storage.json'), 'utf8')) as {
      results: { name: string; bytes: number; recall: number }[];
    };
    expect(results.map(({ name }) => name)).toEqual(['i4', 'i4 + f32', 'i4 + f16']);
    expect(results[1]!.recall).toBeGreaterThan(results[0]!.recall);
  });
});
