// zvec, asked line by line; see line-process.ts.

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { matrix, type Matrix, type Metric } from '../../src/index.js';
import { rowsOf, searching, secondsSince } from './ann-sides.js';

/** What is used of @zvec/zvec. */
interface Zvec {
  readonly ZVecDataType: Record<'VECTOR_FP32', number>;
  readonly ZVecIndexType: Record<'HNSW', number>;
  readonly ZVecMetricType: Record<'L2' | 'IP' | 'COSINE', number>;
  readonly ZVecQuantizeType: Record<'UNDEFINED' | 'INT8', number>;
  readonly ZVecLogLevel: Record<'ERROR', number>;
  readonly ZVecCollectionSchema: new (schema: object) => object;
  ZVecInitialize(options: object): void;
  ZVecCreateAndOpen(folder: string, schema: object): Collection;
}
interface Collection {
  insertSync(documents: readonly object[]): unknown;
  optimizeSync(options?: object): void;
  querySync(query: object): readonly { readonly id: string }[];
}

const METRICS = { dot: 'IP', cosine: 'COSINE', l2: 'L2' } as const;
const DOCUMENTS_AT_ONCE = 1000;

function vectorsOf(file: string, dim: number): Matrix {
  const bytes = readFileSync(file);
  return matrix(new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4), dim);
}

function bytesOfFolder(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

function main(args: readonly string[]): void {
  const [baseFile, queryFile, dimText, metric, m, efConstruction, kText, kind, folder] = args;
  const dim = Number(dimText);
  const k = Number(kText);
  const base = vectorsOf(baseFile!, dim);
  const queries = vectorsOf(queryFile!, dim);
  const zvec = createRequire(__filename)('@zvec/zvec') as Zvec;
  zvec.ZVecInitialize({
    logLevel: zvec.ZVecLogLevel.ERROR,
    queryThreads: 1,
    optimizeThreads: 1,
  });
  const indexType = zvec.ZVecIndexType.HNSW;
  const schema = new zvec.ZVecCollectionSchema({
    name: 'bench',
    vectors: {
      name: 'vector',
      dataType: zvec.ZVecDataType.VECTOR_FP32,
      dimension: dim,
      indexParams: {
        indexType,
        metricType: zvec.ZVecMetricType[METRICS[metric as Metric]],
        m: Number(m),
        efConstruction: Number(efConstruction),
        ...(kind === 'int8' ? { quantizeType: zvec.ZVecQuantizeType.INT8 } : {}),
      },
    },
  });
  const place = join(folder!, `zvec-${kind}`);
  const collection = zvec.ZVecCreateAndOpen(place, schema);
  const documents = rowsOf(base).map((vector, row) => ({ id: `${row}`, vectors: { vector } }));
  const start = performance.now();
  for (let at = 0; at < documents.length; at += DOCUMENTS_AT_ONCE) {
    collection.insertSync(documents.slice(at, at + DOCUMENTS_AT_ONCE));
  }
  collection.optimizeSync({ concurrency: 1 });
  const buildSeconds = secondsSince(start);
  const bytes = bytesOfFolder(place);
  console.log(JSON.stringify({ buildSeconds, bytes, bytesBy: 'size of its folder' }));

  const vectors = rowsOf(queries);
  let params = { indexType, ef: k };
  const { work, latency, keys } = searching({ queries, k }, (query) =>
    collection
      .querySync({ fieldName: 'vector', vector: vectors[query], topk: k, params })
      .map(({ id }) => Number(id)),
  );
  createInterface({ input: process.stdin }).on('line', (line) => {
    const [command, ef, more] = line.split(' ');
    params = { indexType, ef: Number(ef) };
    let answer: unknown = {};
    if (command === 'latency') answer = latency();
    if (command === 'keys') writeFileSync(more!, Int32Array.from(keys() as ArrayLike<number>));
    if (command === 'run') {
      let done = 0;
      const begin = performance.now();
      do done += work() as number;
      while (secondsSince(begin) < Number(more));
      answer = { queries: done };
    }
    console.log(JSON.stringify(answer));
  });
}

main(process.argv.slice(2));
