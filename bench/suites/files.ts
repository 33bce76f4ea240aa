import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HierarchicalNSW as HierarchicalNSWType } from 'hnswlib-node';
import type { Index as UsearchIndex, MetricKind, ScalarKind } from 'usearch';
import {
  FlatIndex,
  HnswIndex,
  latencySummary,
  matrix,
  matrixRow,
  type Durability,
  type Matrix,
} from '../../src/index.js';
import { alternate, spread, type Side, type Spread } from '../harness/alternate.js';
import { loadPeer } from '../harness/peers.js';
import { sectionTables } from '../harness/report.js';
import { sharedMemory } from '../harness/shared-memory.js';
import { integerOption, type Result, type Suite, type SuiteContext } from '../harness/suite.js';
import { mixture } from '../harness/vectors.js';
import { openZvecFiles, type ZvecFiles } from '../harness/zvec-files.js';

const DURABILITIES: readonly Durability[] = ['sync', 'interval', 'none'];
const AT_ONCE = 16;
const WRITES = 64; // between two looks at the clock
const POOL = 10_000; // vectors that are written anew
const OPENINGS = 9;
const READERS = 4;

/** What of lmdb is used: its own types are not asked for, it may be there or not. */
interface Lmdb {
  open(options: object): {
    put(key: number, value: Uint8Array): Promise<boolean>;
    readonly flushed: Promise<unknown>;
    close(): Promise<void>;
  };
}

/** Files: acknowledged writes, opening, replaying, checkpoints. */
export const filesSuite: Suite = {
  name: 'files',
  description: 'journal, opening, replay, checkpoints; lmdb and zvec beside',
  options: {
    rows: 'vectors of the index that is opened (default 200,000)',
    dim: 'values of a vector (default 128)',
    rounds: 'rounds of writing that count (default 5)',
  },
  quick: { rows: '5000', dim: '32', rounds: '1' },
  run,
  tables: sectionTables,
};

async function run(context: SuiteContext): Promise<Result[]> {
  const rows = integerOption(context, 'rows', 200_000);
  const dim = integerOption(context, 'dim', 128);
  const rounds = integerOption(context, 'rounds', 5);
  const folder = mkdtempSync(join(tmpdir(), 'lichen-files-'));
  try {
    const base = { data: mixture(42, rows, dim), rows, dim };
    const path = join(folder, 'index.lichen');
    const index = new HnswIndex({ dim, metric: 'l2', storage: 'i8', rerank: 'f16' });
    await index.add(base, { keys: Array.from({ length: rows }, (_, row) => row) });
    context.say(
      `seeded mixture, ${rows} × ${dim}, l2; HnswIndex i8 with f16: ${index.bytes} bytes`,
    );
    const zvec = await openZvecFiles(base, Math.min(POOL, rows), folder, (line) =>
      context.say(line),
    );
    const results = [...(await writes(folder, dim, rounds, zvec))];
    context.say('writes: done');
    results.push(...(await replays(folder, dim)));
    await index.save(path);
    index.close();
    results.push(...(await openings(folder, path, base, zvec)));
    await zvec?.close();
    context.say('opening: done');
    results.push(...(await checkpoints(path, base)));
    results.push(...(await sharedMemory(path, READERS)));
    return results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Vectors that are acknowledged a second, one after the other and some at a time, of {@link POOL} that are there. */
async function writes(
  folder: string,
  dim: number,
  rounds: number,
  zvec: ZvecFiles | undefined,
): Promise<Result[]> {
  const pool = matrix(mixture(1, POOL, dim), dim);
  const closing: (() => unknown)[] = [];
  const sides: Side[] = [];
  const add = (name: string, atOnce: number, write: (row: number) => Promise<unknown>): void => {
    let next = 0;
    const work = async (): Promise<number> => {
      for (let done = 0; done < WRITES; done += atOnce) {
        const rows = Array.from({ length: atOnce }, () => next++ % pool.rows);
        await Promise.all(rows.map(write));
      }
      return WRITES;
    };
    sides.push({ name: titleOf(name, atOnce), work });
  };
  for (const durability of DURABILITIES) {
    for (const kind of ['flat', 'hnsw'] as const) {
      const path = join(folder, `${kind}-${durability}.lichen`);
      const options = { dim, metric: 'l2', storage: 'i8' } as const;
      const made = kind === 'flat' ? new FlatIndex(options) : new HnswIndex(options);
      await made.add(pool, { keys: Array.from({ length: pool.rows }, (_, row) => row) });
      await made.save(path);
      made.close();
      const index = await (kind === 'flat' ? FlatIndex : HnswIndex).open(path, { durability });
      const write = (row: number): Promise<void> =>
        index.upsert(matrixRow(pool, row), { keys: [row] });
      add(`lichen ${kind}, ${durability}`, 1, write);
      add(`lichen ${kind}, ${durability}`, AT_ONCE, write);
      closing.push(() => index.close());
    }
  }
  const lmdb = loadPeer<Lmdb>('lmdb');
  if (lmdb !== undefined) {
    const store = lmdb.open({ path: join(folder, 'lmdb'), encoding: 'binary' });
    const write = async (row: number): Promise<void> => {
      const { buffer, byteOffset, byteLength } = matrixRow(pool, row);
      await store.put(row, new Uint8Array(buffer, byteOffset, byteLength));
      await store.flushed;
    };
    add('lmdb (vectors alone, no search), flushed', 1, write);
    add('lmdb (vectors alone, no search), flushed', AT_ONCE, write);
    closing.push(() => store.close());
  }
  if (zvec !== undefined) {
    for (const atOnce of [1, AT_ONCE]) {
      const work = async (): Promise<number> => {
        await zvec.write(atOnce, WRITES);
        return WRITES;
      };
      sides.push({ name: titleOf('zvec f32', atOnce), work });
    }
  }
  const { rates } = await alternate(sides, { rounds });
  for (const close of closing) await close();
  return [...rates].map(([name, rate]) => result('acknowledged writes', name, rate, 'vectors/s'));
}

const titleOf = (name: string, atOnce: number): string =>
  `${name}, ${atOnce === 1 ? 'one by one' : `${atOnce} at once`}`;

/** Records that are done again a second. */
async function replays(folder: string, dim: number): Promise<Result[]> {
  const records = 5000;
  const pool = matrix(mixture(2, records, dim), dim);
  const results: Result[] = [];
  for (const kind of ['flat', 'hnsw'] as const) {
    const path = join(folder, `replay-${kind}.lichen`);
    const options = { dim, metric: 'l2', storage: 'i8' } as const;
    const made = kind === 'flat' ? new FlatIndex(options) : new HnswIndex(options);
    await made.save(path);
    made.close();
    const open = (): Promise<FlatIndex | HnswIndex> =>
      (kind === 'flat' ? FlatIndex : HnswIndex).open(path, { durability: 'none' });
    const index = await open();
    await index.add(pool.data.subarray(0, 100 * dim));
    for (let row = 100; row < records; row++) await index.add(matrixRow(pool, row));
    index.close();
    const start = performance.now();
    const again = await open();
    const seconds = (performance.now() - start) / 1000;
    again.close();
    const rate = (records - 99) / seconds;
    results.push(result('replay', `lichen ${kind}`, spread([rate]), 'records/s'));
  }
  return results;
}

/**
 * From the call until the index can be searched, and the first search. The file is in the system's cache. Other libraries
 * build with a beam of 20, which does not matter for opening.
 */
async function openings(
  folder: string,
  path: string,
  base: Matrix,
  zvec: ZvecFiles | undefined,
): Promise<Result[]> {
  const query = matrixRow(base, 0);
  const results: Result[] = [];
  const measure = async (
    name: string,
    open: () => Promise<{ search(): unknown; close(): void }>,
  ): Promise<void> => {
    const [opened, searched]: number[][] = [[], []];
    for (let n = 0; n < OPENINGS; n++) {
      const start = performance.now();
      const index = await open();
      const middle = performance.now();
      index.search();
      searched!.push(performance.now() - middle);
      opened!.push(middle - start);
      index.close();
    }
    report(name, opened!, searched!);
  };
  const report = (name: string, opened: readonly number[], searched: readonly number[]): void => {
    results.push(result('opening', name, spread(opened), 'ms'));
    results.push(result('first search after it', name, spread(searched), 'ms'));
  };
  for (const [name, options] of [
    ['lichen, read and verified', {}],
    ['lichen, mapped', { map: true }],
    ['lichen, mapped and verified', { map: true, verify: 'full' }],
  ] as const) {
    await measure(name, async () => {
      const index = await HnswIndex.open(path, options);
      return { search: () => index.searchSync(query, { k: 10 }), close: () => index.close() };
    });
  }
  results.push(
    result('bytes of the file', 'lichen i8+f16', spread([statSync(path).size]), 'bytes'),
  );
  const usearch = loadPeer<{ Index: typeof UsearchIndex }>('usearch');
  if (usearch !== undefined) {
    const file = join(folder, 'usearch');
    const make = (): UsearchIndex =>
      new usearch.Index({
        dimensions: base.dim,
        metric: 'l2sq' as MetricKind,
        quantization: 'f32' as ScalarKind,
        connectivity: 16,
        expansion_add: 20,
        expansion_search: 64,
        multi: false,
      });
    const made = make();
    made.add(
      BigUint64Array.from({ length: base.rows }, (_, row) => BigInt(row)),
      base.data,
      0,
    );
    const start = performance.now();
    made.save(file);
    results.push(result('saving', 'usearch f32', spread([performance.now() - start]), 'ms'));
    results.push(
      result('bytes of the file', 'usearch f32', spread([statSync(file).size]), 'bytes'),
    );
    for (const how of ['load', 'view'] as const) {
      await measure(`usearch f32, ${how}`, () => {
        const index = make();
        index[how](file);
        return Promise.resolve({
          search: () => index.search(query, 10, 1),
          close: () => undefined,
        });
      });
    }
  }
  if (zvec !== undefined) {
    const { opened, searched, bytes } = await zvec.open(OPENINGS);
    report('zvec f32', opened, searched);
    results.push(result('bytes of the file', 'zvec f32', spread([bytes]), 'bytes'));
  }
  const hnswlib = loadPeer<{ HierarchicalNSW: typeof HierarchicalNSWType }>('hnswlib-node');
  if (hnswlib !== undefined) {
    const file = join(folder, 'hnswlib');
    const made = new hnswlib.HierarchicalNSW('l2', base.dim);
    made.initIndex(base.rows, 16, 20);
    for (let row = 0; row < base.rows; row++) made.addPoint([...matrixRow(base, row)], row);
    made.writeIndexSync(file);
    const array = [...query];
    await measure('hnswlib-node f32, readIndex', async () => {
      const index = new hnswlib.HierarchicalNSW('l2', base.dim);
      await index.readIndex(file);
      return { search: () => index.searchKnn(array, 10), close: () => undefined };
    });
  }
  return results;
}

/** What searches feel of a checkpoint beside them, and how long changes wait. */
async function checkpoints(path: string, base: Matrix): Promise<Result[]> {
  const index = await HnswIndex.open(path, { durability: 'sync' });
  const idle: number[] = [];
  const beside: number[] = [];
  const search = async (into: number[]): Promise<void> => {
    const query = matrixRow(base, (into.length * 7919) % base.rows);
    const start = performance.now();
    await index.search(query, { k: 10 });
    into.push((performance.now() - start) * 1000);
  };
  for (let n = 0; n < 2000; n++) await search(idle);
  const took: number[] = [];
  let waited = 0;
  for (let n = 0; n < 5; n++) {
    let isDone = false;
    const start = performance.now();
    const checkpoint = index.checkpoint().finally(() => (isDone = true));
    const changed = index
      .upsert(matrixRow(base, n), { keys: [n] })
      .then(() => (waited = Math.max(waited, performance.now() - start)));
    while (!isDone) await search(beside);
    await Promise.all([checkpoint, changed]);
    took.push(performance.now() - start);
  }
  index.close();
  const latency = (name: string, micros: readonly number[]): Result[] => {
    const { p50us, p99us } = latencySummary(Float64Array.from(micros));
    return [
      result('searches, p50', name, spread([p50us]), 'µs'),
      result('searches, p99', name, spread([p99us]), 'µs'),
    ];
  };
  return [
    result('checkpoint', 'lichen', spread(took), 'ms'),
    result('checkpoint', 'longest wait of a change', spread([waited]), 'ms'),
    ...latency('idle', idle),
    ...latency('beside a checkpoint', beside),
  ];
}

function result(section: string, name: string, { median, min, max }: Spread, unit: string): Result {
  return { name, section, median, min, max, unit };
}
