// zvec in a process of its own (see zvec-process.ts), searched from JavaScript. It reads raw f32 files, builds, and
// serves the commands of process-side.ts.
//
//   zvec-child.ts BASE QUERIES DIM METRIC M EF_CONSTRUCTION K STORAGE FOLDER

import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseMetric, type Matrix } from '../../src/index.js';
import { rowsOf } from '../../src/evaluation/sweep-sides.js';
import { searching, secondsSince } from './ann-sides.js';
import { readVectors, runChild, say } from './child.js';
import type { Built } from './process-side.js';
import { documents, mustAll, openZvec, sizeOf } from './zvec-collection.js';

function main(args: readonly string[]): void {
  const [baseFile, queriesFile, , metric, , , , storage, folder] = args;
  const [dim, m, efConstruction, k] = [2, 4, 5, 6].map((at) => Number(args[at]));
  const zvec = openZvec();
  const batches = documents(readVectors(baseFile!, dim!));
  const start = performance.now();
  const collection = zvec.create(folder!, {
    dim: dim!,
    metric: parseMetric(metric!),
    m: m!,
    efConstruction: efConstruction!,
    quantized: storage !== 'f32',
  });
  for (const batch of batches) mustAll(collection.insertSync(batch));
  collection.optimizeSync({ concurrency: 1 }); // which builds the graph
  const buildSeconds = secondsSince(start);
  const built: Built = { buildSeconds, bytes: sizeOf(folder!), bytesBy: 'size of its folder' };
  say(built);

  const refined = storage === 'i8+f32';
  const search = (vector: Float32Array, ef: number): number[] =>
    zvec.search(collection, vector, { k: k!, ef, refined });
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

/** Searches at least so long; how many queries that were. */
function searchFor(seconds: number, work: () => number): number {
  const start = performance.now();
  let done = 0;
  do done += work();
  while (secondsSince(start) < seconds);
  return done;
}

runChild(main);
