import { spawnSync } from 'node:child_process';
import { readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const at = temporaryFolder();
const MAIN = join(__dirname, '..', '..', 'dist', 'index.js');

/** In a process of its own: a library that reads a torn file may take its process along. */
function sweepOf(folder: string, more: string): string {
  const script = `const { sweep } = require(${JSON.stringify(MAIN)});
    const of = (rows, step) => ({
      data: Float32Array.from({ length: rows * 8 }, (_, n) => Math.sin(n * step)), rows, dim: 8 });
    const given = { base: of(200, 1.1), queries: of(10, 2.3), metric: 'l2', k: 3, efs: [10], candidates: [],
      peers: [], rounds: 1, secondsAPoint: 0.001, folder: ${JSON.stringify(folder)}, threads: 1 };
    sweep({ ...given, ...${more} })
      .then(() => console.log('done'), (error) => console.log(error.code ?? String(error)));`;
  writeFileSync(at('child.cjs'), script);
  const { stdout, signal, status } = spawnSync(process.execPath, [at('child.cjs')], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  return status === 0 ? stdout.trim() : `ended by ${signal ?? status}`;
}

describe('a sweep with other libraries', () => {
  it.each([
    ['hnswlib', 0],
    ['hnswlib', 500],
    ['usearch', 0],
    ['usearch', 40],
    ['usearch', 500],
  ])('builds again or refuses an index of %s that was cut at byte %i', (peer, length) => {
    const folder = at(`${peer}-${length}`);
    expect(sweepOf(folder, `{ peers: ['${peer}'] }`)).toBe('done');
    const files = readdirSync(folder).filter((name) => name.endsWith('.index'));
    expect(files.length).toBe(1);
    truncateSync(join(folder, files[0]!), length);
    expect(sweepOf(folder, `{ peers: ['${peer}'], rounds: 2 }`)).toMatch(
      /^(done|ERR_LICHEN_FORMAT)$/,
    );
  });

  it.each(['hnswlib', 'usearch'])('refuses vectors that are no numbers, also for %s', (peer) => {
    const truth = '{ data: new Int32Array(30).map((_, n) => n % 3), rows: 10, dim: 3 }';
    const base =
      '{ ...given.base, data: given.base.data.map((value, n) => (n === 5 ? NaN : value)) }';
    const more = `{ peers: ['${peer}'], truth: ${truth}, base: ${base} }`;
    expect(sweepOf(at(`${peer}-nan`), more)).toBe('ERR_LICHEN_NOT_FINITE');
  });
});
