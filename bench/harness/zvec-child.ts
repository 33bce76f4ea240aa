// zvec in a process of its own (see zvec-process.ts), searched from JavaScript. It reads raw f32 files, builds, and
// serves the commands of process-side.ts.
//
//   zvec-child.ts BASE QUERIES DIM METRIC M EF_CONSTRUCTION K STORAGE FOLDER

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseMetric, type Matrix } from '../../src/index.js';
import { rowsOf, searching, secondsSince } from './ann-sides.js';
import { loadPeer } from './peers.js';
import type { Built } from './process-side.js';

/** What is used of zvec, which may be there or not: its own types are not asked for. */
interface Zvec {
  readonly ZVecCollectionSchema: new (schema: object) => object;
  readonly ZVecDataType: { readonly VECTOR_FP32: number };
  readonly ZVecIndexType: { readonly HNSW: number };
  readonly ZVecLogLevel: { readonly FATAL: number };
  readonly ZVecMetricType: Readonly<Record<'IP' | 'COSINE' | 'L2', number>>;
  readonly ZVecQuantizeType: Readonly<Record<'UNDEFINED' | 'INT8', number>>;
  ZVecInitialize(options: object): void;
  ZVecCreateAndOpen(path: string, schema: object): Collection;
}

interface Collection {
  insertSync(docs: readonly object[]): { ok: boolean; message: string }[];
  optimizeSync(options: { concurrency: number }): void;
  querySync(query: object): { id: string }[];
  closeSync(): void;
}

const METRICS = { dot: 'IP', cosine: 'COSINE', l2: 'L2' } as const;
const FIELD = 'vector';
const MOST_AT_ONCE = 1024; // vectors of an insert, as it allows

function main(args: readonly string[]): void {
  const [baseFile, queriesFile, , metric, , , , storage, folder] = args;
  const [dim, m, efConstruction, k] = [2, 4, 5, 6].map((at) => Number(args[at]));
  const zvec = loadPeer<Zvec>('@zvec/zvec')!;
  // Whatever is less than fatal comes as an exception too, and its lines would stand between the answers.
  const logLevel = zvec.ZVecLogLevel.FATAL;
  zvec.ZVecInitialize({ queryThreads: 1, optimizeThreads: 1, logLevel });
  const indexType = zvec.ZVecIndexType.HNSW;
  const metricType = zvec.ZVecMetricType[METRICS[parseMetric(metric!)]];
  const quantizeType = zvec.ZVecQuantizeType[storage === 'f32' ? 'UNDEFINED' : 'INT8'];
  const schema = new zvec.ZVecCollectionSchema({
    name: 'bench',
    vectors: {
      name: FIELD,
      dataType: zvec.ZVecDataType.VECTOR_FP32,
      dimension: dim,
      indexParams: { indexType, metricType, m, efConstruction, quantizeType },
    },
  });
  const batches = documents(readVectors(baseFile!, dim!));
  const start = performance.now();
  const collection = zvec.ZVecCreateAndOpen(folder!, schema);
  insert(collection, batches);
  collection.optimizeSync({ concurrency: 1 }); // which builds the graph
  const buildSeconds = secondsSince(start);
  say({ buildSeconds, bytes: sizeOf(folder!), bytesBy: 'size of its folder' });

  const isUsingRefiner = storage === 'i8+f32';
  const search = (vector: Float32Array, ef: number): number[] => {
    const params = { indexType, ef, isUsingRefiner };
    return collection
      .querySync({ fieldName: FIELD, vector, topk: k, outputFields: [], params })
      .map(({ id }) => Number(id));
  };
  serve(readVectors(queriesFile!, dim!), k!, search, () => collection.closeSync());
}

/** Answers commands until there are no more. */
function serve(
  queries: Matrix,
  k: number,
  search: (vector: Float32Array, ef: number) => number[],
  end: () => void,
): void {
  const vectors = rowsOf(queries);
  let ef = k;
  const { work, latency, keys } = searching({ queries, k }, (query) => search(vectors[query]!, ef));
  createInterface({ input: process.stdin })
    .on('line', (line) => {
      const [command, beam, argument] = /^(\S+) (\d+) ?(.*)$/.exec(line)?.slice(1) ?? [];
      ef = Number(beam);
      if (command === 'run') say({ queries: searchFor(Number(argument), work) });
      else if (command === 'latency') say(latency());
      else if (command === 'keys') {
        writeFileSync(argument!, Int32Array.from(keys(), Number));
        say({ queries: queries.rows });
      } else throw new Error(`no command ${line}`);
    })
    .on('close', end);
}

/** Everything that inserts take, made ahead of them: it does not count. */
function documents(base: Matrix): object[][] {
  const all = rowsOf(base).map((vector, row) => ({
    id: String(row),
    vectors: { [FIELD]: vector },
  }));
  const batches: object[][] = [];
  for (let at = 0; at < all.length; at += MOST_AT_ONCE) {
    batches.push(all.slice(at, at + MOST_AT_ONCE));
  }
  return batches;
}

function insert(collection: Collection, batches: readonly object[][]): void {
  for (const batch of batches) {
    const failed = collection.insertSync(batch).find(({ ok }) => !ok);
    if (failed !== undefined) throw new Error(`an insert failed: ${failed.message}`);
  }
}

/** Searches at least so long; how many queries that were. */
function searchFor(seconds: number, work: () => number): number {
  const start = performance.now();
  let done = 0;
  do done += work();
  while (secondsSince(start) < seconds);
  return done;
}

function readVectors(file: string, dim: number): Matrix {
  const bytes = readFileSync(file);
  const data = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  return { data, rows: data.length / dim, dim };
}

function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(folder, name)))
    .reduce((sum, entry) => sum + (entry.isFile() ? entry.size : 0), 0);
}

function say(answer: Built | object): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

try {
  main(process.argv.slice(2));
} catch (error) {
  say({ error: (error as Error).message.split('\n')[0]! });
  process.exitCode = 1;
}
