import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LichenError } from '../../src/errors.js';
import type { SweepOptions } from '../../src/evaluation/sweep-options.js';
import { sweep } from '../../src/evaluation/sweep.js';
import { madeVectors } from '../../src/vectors/made.js';
import { matrixRow, type Matrix } from '../../src/vectors/matrix.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const DIM = 8;
const base = madeVectors(300, DIM, 9);
const queries = madeVectors(20, DIM, 10);
const at = temporaryFolder();
const quick = {
  ...{ base, queries, metric: 'l2', efs: [10], k: 5 },
  candidates: [
    { index: 'flat', storage: 'b1' },
    { index: 'hnsw', storage: 'f32', m: 4, efConstruction: 20 },
  ],
  ...{ rounds: 1, secondsAPoint: 0.0005, threads: 1 },
} as const satisfies Omit<SweepOptions, 'folder'>;

const code = (names: string) =>
  expect.objectContaining({
    code: expect.stringMatching(new RegExp(`^ERR_LICHEN_(${names})$`)) as string,
  }) as Error;

function codeOf(error: unknown): string {
  return error instanceof LichenError ? error.code : String(error);
}

/** Rows of the farthest vectors: by them everything that is found is near enough. */
function farthest(): Int32Array {
  const data = new Int32Array(queries.rows * 5);
  for (let query = 0; query < queries.rows; query++) {
    const q = matrixRow(queries, query);
    const distances = Array.from({ length: base.rows }, (_, row) =>
      matrixRow(base, row).reduce((sum, value, d) => sum + (value - q[d]!) ** 2, 0),
    );
    const rows = distances.map((_, row) => row).sort((a, b) => distances[b]! - distances[a]!);
    data.set(rows.slice(0, 5), query * 5);
  }
  return data;
}

describe('a sweep that goes on', () => {
  it('does not mix recalls by another truth with its own', async () => {
    const truth = { data: farthest(), rows: queries.rows, dim: 5 };
    const first = await sweep({ ...quick, truth, folder: at('truth') });
    expect(first.points[0]!.recall.mean).toBe(1);
    const fresh = await sweep({ ...quick, folder: at('truth-fresh') });
    expect(fresh.points[0]!.recall.mean).toBeLessThan(0.9);
    // Either a refusal or recalls by the truth that was asked for.
    const again = await sweep({ ...quick, folder: at('truth') }).catch(codeOf);
    const recall = typeof again === 'string' ? again : again.points[0]!.recall;
    expect(['ERR_LICHEN_FORMAT', fresh.points[0]!.recall]).toContainEqual(recall);
  });

  it('builds again what was deleted', async () => {
    const folder = at('deleted');
    await sweep({ ...quick, folder });
    const files = readdirSync(folder).filter((name) => name.endsWith('.index'));
    expect(files.length).toBe(2);
    for (const name of files) rmSync(join(folder, name));
    const { points } = await sweep({ ...quick, folder, rounds: 2 });
    expect(points.map(({ qps }) => qps.count)).toEqual([2, 2]);
  });

  it('refuses damaged index files with a code', async () => {
    const folder = at('damaged');
    await sweep({ ...quick, folder });
    for (const name of readdirSync(folder).filter((one) => one.endsWith('.index'))) {
      truncateSync(join(folder, name), 100);
    }
    await expect(sweep({ ...quick, folder, rounds: 2 })).rejects.toThrow(code('FORMAT'));
    for (const name of readdirSync(folder).filter((one) => one.endsWith('.index'))) {
      writeFileSync(join(folder, name), '');
    }
    await expect(sweep({ ...quick, folder, rounds: 2 })).rejects.toThrow(code('FORMAT'));
  });

  const point = 'hnsw f32 m4 efc20 ef 10 oversample -';
  it.each([
    ['recalls without values', { type: 'recalls', point }],
    ['recalls of fewer queries', { type: 'recalls', point, recalls: [1] }],
    ['recalls that are no numbers', { type: 'recalls', point, recalls: ['x'] }],
    ['a round without values', { type: 'round', point, round: 1 }],
    ['a build without values', { type: 'built', side: 'hnsw f32 m4 efc20' }],
  ])('refuses %s, as no sweep writes them', async (_, line) => {
    const folder = at(`edited-${Object.values(line).join('-').replaceAll(' ', '')}`);
    await sweep({ ...quick, folder });
    appendFileSync(join(folder, 'sweep.jsonl'), `${JSON.stringify(line)}\n`);
    await expect(sweep({ ...quick, folder })).rejects.toThrow(code('FORMAT'));
  });

  it.each(['null', '7', '[]', '{}', '"x"', '{"type":1}', ''])(
    'refuses a journal that begins with %j',
    async (line) => {
      const folder = at(`begins-${line.length}-${Buffer.from(line).toString('hex')}`);
      await sweep({ ...quick, candidates: quick.candidates.slice(0, 1), folder });
      const path = join(folder, 'sweep.jsonl');
      writeFileSync(path, `${line}\n${readFileSync(path, 'utf8')}`);
      await expect(sweep({ ...quick, folder })).rejects.toThrow(code('FORMAT'));
    },
  );

  it('can be given up at every step, leaves nothing half-written, and ends as one that was not', async () => {
    let steps = 0;
    const whole = await sweep({
      ...{ ...quick, folder: at('steps') },
      onProgress: () => steps++,
    });
    for (let stop = 1; stop < steps; stop++) {
      const folder = at(`stop-${stop}`);
      const controller = new AbortController();
      let step = 0;
      const given = { ...quick, folder, signal: controller.signal };
      const run = sweep({ ...given, onProgress: () => ++step === stop && controller.abort() });
      await expect(run, `step ${stop}`).rejects.toThrow(code('ABORTED'));
      expect(readdirSync(folder).filter((name) => !/\.(index|jsonl)$/.test(name))).toEqual([]);
      const { points } = await sweep({ ...quick, folder });
      expect(points.map(({ recall }) => recall)).toEqual(whole.points.map(({ recall }) => recall));
    }
    const gone = sweep({ ...quick, folder: at('never'), signal: AbortSignal.abort() });
    await expect(gone).rejects.toThrow(code('ABORTED'));
  });

  it('refuses a folder in which another sweep, of other data, is at work', async () => {
    const folder = at('two');
    const other = { ...quick, base: madeVectors(300, DIM, 77), folder };
    const [one, two] = await Promise.all([
      sweep({ ...quick, folder }).then(() => 'done', codeOf),
      sweep(other).then(() => 'done', codeOf),
    ]);
    // One may win; the other must not write measurements into the winner's journal.
    expect([one, two].sort()).not.toEqual(['done', 'done']);
    for (const outcome of [one, two]) expect(outcome).toMatch(/^(done|ERR_LICHEN_\w+)$/);
  });
});

describe('the options of a sweep', () => {
  let folders = 0;
  const noData = { data: new Float32Array(0), rows: 3, dim: DIM };
  it.each([
    ['seed', { seed: -1 }, 'ARGUMENT'],
    ['seed', { seed: 1.5 }, 'ARGUMENT'],
    ['seed', { seed: NaN }, 'ARGUMENT'],
    ['index', { candidates: [{ index: 'tree', storage: 'f32' }] }, 'ARGUMENT'],
    ['storage', { candidates: [{ index: 'flat', storage: 'f33' }] }, 'ARGUMENT'],
    ['links', { candidates: [{ index: 'hnsw', storage: 'f32', m: -1 }] }, 'ARGUMENT'],
    ['runs', { annBenchmarks: { folder: 7, dataset: 'x' } }, 'ARGUMENT'],
    ['runs', { annBenchmarks: { folder: 'x', dataset: undefined } }, 'ARGUMENT'],
    ['truth', { truth: { data: new Int32Array(5), rows: 20, dim: 5 } }, 'DIMENSION'],
    ['truth', { truth: { data: new Float64Array(100).fill(NaN), rows: 20, dim: 5 } }, 'ARGUMENT'],
    ['base', { base: noData, k: 2 }, 'DIMENSION|EMPTY'],
    ['queries', { queries: noData }, 'DIMENSION|EMPTY'],
    ['load', { utilization: NaN }, 'ARGUMENT'],
    ['seconds', { secondsAPoint: Infinity }, 'ARGUMENT'],
    ['beams', { efs: [NaN] }, 'ARGUMENT'],
    ['candidates a result', { oversamples: [0] }, 'ARGUMENT'],
    ['metric', { metric: 'constructor' }, 'ARGUMENT'],
  ])('refuses wrong %s (%o) before anything is built', async (_, wrong, name) => {
    const folder = at(`refused-${folders++}`);
    const builds: string[] = [];
    const options = { ...quick, folder, ...wrong, onProgress: (what: string) => builds.push(what) };
    const run = sweep(options as unknown as SweepOptions);
    await expect(run).rejects.toThrow(code(name));
    expect([builds, existsSync(folder)]).toEqual([[], false]);
  });

  it('takes the largest seed there is', async () => {
    const seed = Number.MAX_SAFE_INTEGER;
    const { points } = await sweep({ ...quick, folder: at('seed'), seed });
    expect(points.length).toBe(2);
  });

  it('takes k as large as the index, one vector, and one query', async () => {
    const all = { k: base.rows, efs: [base.rows] };
    const { points } = await sweep({ ...quick, ...all, folder: at('k') });
    expect(points.map(({ recall }) => recall.mean)).toEqual([1, expect.closeTo(1, 1)]);
    const one: Matrix = { data: base.data.slice(0, DIM), rows: 1, dim: DIM };
    const single = await sweep({
      ...{ ...quick, folder: at('one'), base: one, queries: one, k: 1, efs: [1] },
    });
    expect(single.points.map(({ recall }) => recall)).toEqual([
      { mean: 1, low: 0, high: 1 },
      { mean: 1, low: 0, high: 1 },
    ]);
  });
});
