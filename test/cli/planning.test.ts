import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { writeMatrix } from '../../src/vectors/files.js';
import { writeHdf5 } from '../../src/vectors/hdf5.js';
import { madeVectors } from '../../src/vectors/made.js';
import { twoGroups } from '../towers/planted.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { lichen, lichenJson } from './run.js';

interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}
interface Sweep {
  readonly k: number;
  readonly queries: number;
  readonly metric: string;
  readonly points: {
    readonly name: string;
    readonly ef?: number;
    readonly recall: { readonly mean: number; readonly low: number; readonly high: number };
    readonly qps: Spread;
    readonly isFastest: boolean;
  }[];
}

const at = temporaryFolder();
const all = madeVectors(1100, 16, 2);
const quick = ['--rounds', '2', '--seconds', '0.002', '--ef', '10,40'];

beforeAll(async () => {
  const part = (from: number, to: number) => ({
    ...{ data: all.data.slice(from * 16, to * 16), rows: to - from, dim: 16 },
  });
  await writeMatrix(at('items.npy'), part(0, 1000));
  await writeMatrix(at('users.npy'), part(1000, 1100));
  await writeHdf5(at('made-16-angular.hdf5'), {
    attributes: { distance: 'angular' },
    datasets: [
      { name: 'train', data: part(0, 1000).data, shape: [1000, 16] },
      { name: 'test', data: part(1000, 1100).data, shape: [100, 16] },
    ],
  });
});

describe('lichen sweep', () => {
  it('measures what it is told, as JSON, table, CSV and page', () => {
    const given = ['--input', at('items.npy'), '--queries', at('users.npy'), '--metric', 'l2'];
    const result = lichenJson<Sweep>(
      ...['sweep', ...given, '--storage', 'f32,i8+f16', '--index', 'hnsw,flat', '--m', '8,16'],
      ...[...quick, '--limit', '40', '--csv', at('sweep.csv'), '--report', at('sweep.html')],
      ...['--state', at('state')],
    );
    expect(result).toMatchObject({ k: 10, queries: 40, metric: 'l2' });
    expect(result.points.length).toBe(2 * 2 * 2 + 2);
    for (const { recall, qps } of result.points) {
      expect(recall.low).toBeLessThanOrEqual(recall.mean);
      expect(qps.min).toBeLessThanOrEqual(qps.median);
    }
    const lines = readFileSync(at('sweep.csv'), 'utf8').trimEnd().split('\n');
    expect(lines.length).toBe(11);
    const columns = lines[0]!.split(',').length;
    expect(lines.every((line) => line.split(',').length === columns)).toBe(true);
    expect(readFileSync(at('sweep.html'), 'utf8')).toContain('hnsw i8+f16 m16');
    expect(existsSync(join(at('state'), 'sweep.jsonl'))).toBe(true);
    // All of it is there: nothing is measured again.
    const again = lichenJson<Sweep>(
      ...['sweep', ...given, '--storage', 'f32', '--m', '8', ...quick, '--limit', '40'],
      ...['--state', at('state')],
    );
    expect(again.points.map(({ qps }) => qps)).toEqual(
      result.points.filter(({ name }) => name === 'hnsw f32 m8 efc100').map(({ qps }) => qps),
    );
  });

  it('reads data sets of ann-benchmarks as they are, and writes runs like theirs', () => {
    const { status, stdout } = lichen(
      ...['sweep', '--input', at('made-16-angular.hdf5'), '--storage', 'f32', '--k', '5', ...quick],
      ...['--ann-benchmarks', at('results'), '--state', at('hdf5-state')],
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(/recall@5/);
    const folder = join(at('results'), 'made-16-angular', '5', 'lichen');
    expect(existsSync(join(folder, 'hnsw_f32_16_100_40.hdf5'))).toBe(true);
    const built = lichenJson<{ rows: number }>(
      ...['build', '--input', at('made-16-angular.hdf5'), '--metric', 'cosine'],
      ...['--output', at('from-hdf5.lichen')],
    );
    expect(built.rows).toBe(1000);
  });

  it.each([
    [['--input', 'items.npy'], 1, /--metric is needed/],
    [['--input', 'items.npy', '--metric', 'l2'], 1, /--queries is needed/],
    [['--input', 'none.npy', '--metric', 'l2', '--queries', 'users.npy'], 1, /none\.npy/],
    [['--input', 'items.npy', '--storage', 'f33'], 2, /storage/],
    [['--input', 'items.npy', '--storage', 'f32+i8'], 2, /finer storage/],
    [['--input', 'items.npy', '--peers', 'annoy'], 2, /hnswlib, usearch/],
    [['--input', 'items.npy', '--load', '1'], 2, /between 0 and 1/],
    [[], 2, /--input/],
  ])('refuses %j', (args, status, message) => {
    const given = args.map((arg) => (arg.endsWith('.npy') ? at(arg) : arg));
    const run = lichen('sweep', ...given);
    expect([run.status, run.stdout]).toEqual([status, '']);
    expect(run.stderr).toMatch(message);
    expect(run.stderr).toMatch(/^lichen: .* \(ERR_LICHEN_\w+\)\n$/);
  });
});

describe('lichen profile', () => {
  it('tells memory, messages, shards, caches and processor time', () => {
    lichen(
      ...['build', '--input', at('items.npy'), '--metric', 'dot', '--output', at('items.lichen')],
    );
    writeFileSync(
      at('trace.csv'),
      Array.from({ length: 400 }, (_, n) => `${n % 50},${n}\n`).join(''),
    );
    const given = ['--index', at('items.lichen'), '--trace', at('trace.csv'), '--entries', '10,50'];
    const profile = lichenJson<{
      footprint: { index: { rows: number; bytes: number } };
      coordination: { shards: number; p99us: number }[];
      cacheability: { userVectors: { points: { lruHits: number; ttlMs: number }[] } };
    }>('profile', ...given, '--shards', '1,8', '--ttl', '60,20');
    expect(profile.footprint.index.rows).toBe(1000);
    expect(profile.coordination.map(({ shards }) => shards)).toEqual([1, 8]);
    const { points } = profile.cacheability.userVectors;
    // 50 keys in turns, a second each: an entry that lasts a minute answers once before it is loaded anew.
    expect(points.map(({ lruHits }) => lruHits)).toEqual([0, 0.5, 0, 0]);
    const { stdout } = lichen('profile', ...given);
    for (const title of ['Memory', 'Serialization', 'Processor', 'Shards', 'Caches']) {
      expect(stdout).toContain(title);
    }
  });

  it('refuses what is not there or does not fit', () => {
    expect(lichen('profile', '--index', at('none.lichen'))).toMatchObject({
      status: 1,
      stdout: '',
    });
    expect(lichen('profile')).toMatchObject({ status: 2, stdout: '' });
    const trace = ['--trace', at('none.csv')];
    expect(lichen('profile', '--index', at('items.lichen'), ...trace).status).toBe(1);
  });
});

describe('lichen plan', () => {
  const demand = ['--dim', '16', '--qps', '1000', '--slo', '50'];

  it('plans by what it measures, keeps that, and plans by it again', () => {
    const first = lichenJson<{ fleet: { machines: number }; isWithinSlo: boolean }>(
      ...['plan', '--items', '1e6', ...demand, '--rows', '1000,3000'],
      ...['--save-capacity', at('capacity.json')],
    );
    expect(first.fleet.machines).toBeGreaterThanOrEqual(2);
    expect(first.isWithinSlo).toBe(true);
    writeFileSync(
      at('prices.json'),
      JSON.stringify({
        ...{ asOf: '2026-11-01', source: 'ours' },
        machines: [{ name: 'box', vcpus: 64, memoryGiB: 512, usdPerHour: 2 }],
      }),
    );
    const { status, stdout } = lichen(
      ...['plan', '--items', '1000000000', ...demand, '--capacity', at('capacity.json')],
      ...['--prices', at('prices.json')],
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(/x box/);
    expect(stdout).toMatch(/Prices: ours, as of 2026-11-01/);
    expect(stdout).toMatch(/one replica of a shard down/);
  });

  it('measures with vectors of one’s own', () => {
    const plan = lichenJson<{ capacity: { points: { rows: number }[] } }>(
      ...['plan', '--items', '1000000', ...demand, '--input', at('items.npy'), '--index', 'flat'],
      // However slow the machine is.
      ...['--slo', '1000000'],
    );
    expect(plan.capacity.points.at(-1)!.rows).toBe(950);
  });

  it.each([
    [['--items', '0', ...demand], 2],
    [['--items', '1e6', '--dim', '16', '--qps', '10'], 2],
    [['--items', '1e6', ...demand, '--percentile', '95'], 2],
    [['--items', '1e6', ...demand, '--prices', 'none.json'], 1],
    [['--items', '1e6', ...demand, '--capacity', 'prices.json'], 1],
    [['--items', '1e6', ...demand, '--slo', '0.001', '--capacity', 'capacity.json'], 1],
  ])('refuses %j', (args, status) => {
    const given = args.map((arg) => (arg.endsWith('.json') ? at(arg) : arg));
    const run = lichen('plan', ...given);
    expect([run.status, run.stdout]).toEqual([status, '']);
    expect(run.stderr).toMatch(/^lichen: .* \(ERR_LICHEN_\w+\)\n$/);
    expect(run.stderr.length).toBeLessThan(400);
  });
});

describe('lichen codesign', () => {
  const groups = twoGroups(150, 40, 12);

  beforeAll(() => {
    // The last two of each user's items are what is met later.
    const lines = (from: number, to: number) =>
      Array.from({ length: groups.users.size }, (_, user) => {
        const items = groups.itemIndices.subarray(groups.offsets[user], groups.offsets[user + 1]);
        return `${user} ${items.slice(from, to).join(' ')}\n`;
      }).join('');
    writeFileSync(at('known.txt'), lines(0, -2));
    writeFileSync(at('later.txt'), lines(-2, 99));
    lichenJson(
      ...['train', '--interactions', at('known.txt'), '--dim', '8', '--prefixes', '4'],
      ...['--epochs', '8', '--negatives', '30', '--lr', '0.03', '--output', at('model')],
    );
  });

  it('chooses among prefixes, storages and candidates of a ranker', () => {
    const result = lichenJson<{
      chosen: { name: string; ofBest: { mean: number } };
      whole: { name: string };
      results: { reason: string; design: { dim: number } }[];
      report: { requests: number };
    }>(
      ...['codesign', '--model', at('model'), '--interactions', at('known.txt')],
      ...['--test', at('later.txt'), '--qps', '100', '--slo', '50', '--k', '5', '--ranker'],
      // By the median: what comes between must not decide a test.
      ...['--percentile', '50'],
      ...['--learners', '60', '--requests', '40', '--report-requests', '40'],
      ...['--candidates', '0,10,all', '--ef', '16', '--m', '8', '--storage', 'f32,i8'],
      ...['--report', at('codesign.html')],
    );
    expect(result.chosen.ofBest.mean).toBeGreaterThanOrEqual(0.99);
    expect(result.whole.name).toBe('ranker over all items');
    expect(new Set(result.results.map(({ design }) => design.dim))).toEqual(new Set([4, 8]));
    expect(result.results.slice(1).every(({ reason }) => reason !== '')).toBe(true);
    expect(result.report.requests).toBe(40);
    expect(readFileSync(at('codesign.html'), 'utf8')).toContain('ranker over all items');
  });

  it('prints the front, the choice and why not the others', () => {
    const { status, stdout } = lichen(
      ...['codesign', '--model', at('model'), '--interactions', at('known.txt')],
      ...['--test', at('later.txt'), '--qps', '100', '--slo', '50', '--k', '5'],
      ...[
        '--percentile',
        '50',
        '--requests',
        '40',
        '--report-requests',
        '0',
        '--ef',
        '16',
        '--m',
        '8',
      ],
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(/\n> {2}/);
    expect(stdout).toMatch(/why not/);
    expect(stdout).toMatch(/The cheapest that keeps at least 99% of the best/);
  });

  it('refuses a test set that is too small, and unknown storages', () => {
    const given = ['codesign', '--model', at('model'), '--interactions', at('known.txt')];
    const rest = ['--test', at('later.txt'), '--qps', '1', '--slo', '9'];
    expect(lichen(...given, ...rest, '--requests', '500').status).toBe(1);
    const odd = lichen(...given, ...rest, '--requests', '20', '--storage', 'f31');
    expect([odd.status, odd.stdout]).toEqual([1, '']);
    expect(lichen(...given, '--qps', '1', '--slo', '9').status).toBe(2);
  });
});
