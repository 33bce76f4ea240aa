import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { writeMatrix } from '../../src/vectors/files.js';
import { madeVectors } from '../../src/vectors/made.js';
import { lichen, lichenJson } from '../cli/run.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const at = temporaryFolder();
const MAIN = join(__dirname, '..', '..', 'dist', 'cli', 'main.js');
const point = { rows: 1000, meanUs: 20, bytesPerVector: 80, recall: 0.9, buildSeconds: 1 };
const capacity = {
  points: [point, { ...point, rows: 4000, meanUs: 30 }],
  ...{ fixedUs: 1, growthUs: 3, grows: 'logarithmically', bytesPerVector: 80, samplesUs: [20, 40] },
};
const demand = ['--items', '1000000', '--dim', '16', '--qps', '100', '--slo', '50'];

beforeAll(async () => {
  await writeMatrix(at('items.npy'), madeVectors(400, 16, 2));
  await writeMatrix(at('users.npy'), madeVectors(20, 16, 3));
  lichenJson('build', '--input', at('items.npy'), '--metric', 'dot', '--output', at('i.lichen'));
});

/** One line on stderr, nothing on stdout, a code that blames the caller's input. */
function expectRefusal(args: readonly string[], status: number): void {
  const run = lichen(...args);
  expect([run.status, run.stdout]).toEqual([status, '']);
  expect(run.stderr).toMatch(/^lichen: [^\n]* \(ERR_LICHEN_\w+\)\n$/);
  expect(run.stderr).not.toMatch(/INTERNAL|undefined|not a function|Cannot read/);
}

describe('lichen plan', () => {
  it.each([
    [
      'points that lack the time of building',
      { points: [{ ...point, buildSeconds: undefined }, point] },
    ],
    ['points that lack bytes', { points: [{ ...point, bytesPerVector: undefined }, point] }],
    ['no points', { points: [] }],
    ['a point of no rows', { points: [{ ...point, rows: 0 }, point] }],
    ['times that are negative', { samplesUs: [-5] }],
    ['a mean of 0', { points: [point, { ...point, meanUs: 0 }] }],
    ['another way to grow', { grows: 'somehow' }],
    ['vectors of no bytes', { bytesPerVector: 0 }],
    ['an array', []],
  ])('refuses measurements with %s', (name, change) => {
    const path = at(`${name.replaceAll(' ', '-')}.json`);
    const given = Array.isArray(change) ? change : { ...capacity, ...change };
    writeFileSync(path, JSON.stringify(given));
    expectRefusal(['plan', ...demand, '--capacity', path], 1);
  });

  it('writes no number that is none for one size that was measured', () => {
    writeFileSync(at('one.json'), JSON.stringify({ ...capacity, points: [point] }));
    const { status, stdout, stderr } = lichen('plan', ...demand, '--capacity', at('one.json'));
    expect(status === 0 ? stdout : stderr).not.toMatch(/NaN|undefined/);
  });

  it('refuses measurements that cannot be kept, and prints one document', () => {
    writeFileSync(at('good.json'), JSON.stringify(capacity));
    const given = ['plan', ...demand, '--capacity', at('good.json')];
    expect(lichenJson<{ items: number }>(...given).items).toBe(1_000_000);
    expectRefusal([...given, '--save-capacity', at('none/x.json')], 1);
    expectRefusal([...given, '--qps', '-1'], 2);
    expectRefusal([...given, '--items', '1e40'], 2);
    expectRefusal([...given, '--mean-share', '2'], 1);
  });

  it.each([
    ['--input', 'i.lichen'],
    ['--input', 'users.npy', '--dim', '8'],
    ['--input', 'users.npy', '--k', '100'],
  ])('refuses %s %s', (...args: string[]) => {
    const given = args.map((arg) => (/\.(npy|lichen)$/.test(arg) ? at(arg) : arg));
    expectRefusal(['plan', ...demand, ...given], 1);
  });
});

describe('lichen sweep', () => {
  const quick = [
    ...['sweep', '--input', at('items.npy'), '--queries', at('users.npy'), '--metric', 'l2'],
    ...['--storage', 'f32', '--index', 'flat', '--rounds', '1', '--seconds', '0.001', '--k', '3'],
  ];
  const run = (folder: string, ...args: string[]) =>
    spawnSync(process.execPath, [MAIN, ...quick, ...args], { cwd: folder, encoding: 'utf8' });

  it('removes its own folder, and nothing of anybody else', () => {
    const folder = at('here');
    mkdirSync(join(folder, 'items.npy.sweep'), { recursive: true });
    writeFileSync(join(folder, 'items.npy.sweep', 'notes.txt'), 'mine');
    run(folder);
    expect(existsSync(join(folder, 'items.npy.sweep', 'notes.txt'))).toBe(true);
  });

  it('leaves no folder behind when it is done', () => {
    const folder = at('clean');
    mkdirSync(folder);
    expect(run(folder, '--json').status).toBe(0);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('takes k as large as the index, and the largest seed', () => {
    const folder = at('large');
    mkdirSync(folder);
    expect(run(folder, '--k', '400').status).toBe(0);
    expect(run(folder, '--seed', String(Number.MAX_SAFE_INTEGER)).status).toBe(0);
  });

  it('refuses what does not fit', () => {
    expectRefusal([...quick, '--k', '401', '--state', at('s1')], 1);
    expectRefusal([...quick, '--truth', at('users.npy'), '--state', at('s2')], 1);
    expectRefusal([...quick, '--storage', 'i8/17', '--state', at('s3')], 1);
    expectRefusal([...quick, '--csv', at('none/x.csv'), '--state', at('s4')], 1);
    expectRefusal([...quick, '--state', at('items.npy')], 1);
  });
});

describe('lichen profile', () => {
  it('takes one request, and prints one document', () => {
    writeFileSync(at('one.csv'), 'a,0\n');
    const profile = lichenJson<{ cacheability: { results: { repeats: number } } }>(
      ...['profile', '--index', at('i.lichen'), '--trace', at('one.csv'), '--k', '400'],
    );
    expect(profile.cacheability.results.repeats).toBe(0);
  });

  it('refuses what does not fit', () => {
    writeFileSync(at('empty.csv'), '');
    const given = ['profile', '--index', at('i.lichen')];
    expectRefusal([...given, '--trace', at('empty.csv')], 1);
    expectRefusal([...given, '--k', '401'], 1);
    expectRefusal([...given, '--model', at('none')], 1);
    expectRefusal(['profile', '--index', at('items.npy')], 1);
  });
});

it.each(['--trace', '--queries', '--model'])(
  'lichen profile takes no empty %s for none',
  (option) => {
    expectRefusal(['profile', '--index', at('i.lichen'), option, ''], 1);
  },
);

describe('lichen codesign', () => {
  it.each([
    ['--percentile', '150'],
    ['--candidates', '5,x'],
    ['--quality', '1'],
  ])('takes %s %s for wrong usage', (...args: string[]) => {
    const files = ['--model', at('m'), '--interactions', at('k'), '--test', at('t')];
    expectRefusal(['codesign', ...files, '--qps', '1', '--slo', '9', ...args], 2);
  });
});
