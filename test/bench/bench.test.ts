import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { alternate, ratioText, spread } from '../../bench/harness/alternate.js';
import { mixture } from '../../bench/harness/vectors.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const ROOT = join(__dirname, '..', '..');

describe('the benchmark harness', () => {
  const at = temporaryFolder();

  it('lets the sides take turns and compares within a round', async () => {
    const order: string[] = [];
    const side = (name: string) => ({ name, work: () => order.push(name) && 1 });
    const { rates, ratios } = await alternate([side('a'), side('b')], {
      rounds: 2,
      secondsASide: 0,
    });
    expect(order.join('')).toBe('abbaab');
    expect([...rates.keys()]).toEqual(['a', 'b']);
    expect([...ratios.keys()]).toEqual(['b']);
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
    expect(Object.keys(document)).toEqual(['suite', 'machine', 'isa', 'results']);
    const names = document.results.map(({ name }) => name);
    expect(names).toContain('build, ratio');
    expect(names).toContain('search, recall ≥ 0.9, ratio');
  });

  it('refuses unknown suites and options', () => {
    expect(bench('nothing')).toMatchObject({ status: 1 });
    expect(bench('hnswlib', '--row', '5').stderr).toMatch(/unknown or incomplete option --row/);
  });
});
