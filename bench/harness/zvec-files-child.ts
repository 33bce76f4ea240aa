// What zvec does with files, for the suite of that name: it reads raw f32, makes a collection of all of it and one of the
// first POOL vectors, and answers commands by a line of JSON:
//
//   zvec-files-child.ts BASE DIM POOL FOLDER
//
//   write AT_ONCE VECTORS   upserts vectors of the pool, so many a call
//   open TIMES              opens the large collection, searches once, closes it: milliseconds of each; its bytes

import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { matrix } from '../../src/index.js';
import { rowsOf } from '../../src/evaluation/sweep-sides.js';
import { readVectors, runChild, say } from './child.js';
import { document, documents, mustAll, openZvec, sizeOf } from './zvec-collection.js';

function main([baseFile, dim, pool, folder]: readonly string[]): void {
  const base = readVectors(baseFile!, Number(dim));
  const some = matrix(base.data.subarray(0, Number(pool) * base.dim), base.dim);
  const zvec = openZvec();
  const make = (name: string, vectors: typeof base) => {
    const place = join(folder!, name);
    const collection = zvec.create(place, {
      dim: base.dim,
      metric: 'l2',
      m: 16,
      efConstruction: 20,
      quantized: false,
    });
    for (const batch of documents(vectors)) mustAll(collection.insertSync(batch));
    collection.optimizeSync({ concurrency: 2 });
    return { place, collection };
  };
  const large = make('large', base);
  large.collection.closeSync();
  const { collection } = make('pool', some);
  const vectors = rowsOf(some);
  let next = 0;
  const write = (atOnce: number, count: number): object => {
    for (let done = 0; done < count; done += atOnce) {
      const keys = Array.from({ length: atOnce }, () => next++ % vectors.length);
      mustAll(collection.upsertSync(keys.map((key) => document(vectors[key]!, key))));
    }
    return { vectors: count };
  };
  const open = (times: number): object => {
    const [opened, searched]: number[][] = [[], []];
    for (let n = 0; n < times; n++) {
      const start = performance.now();
      const index = zvec.open(large.place);
      const middle = performance.now();
      zvec.search(index, vectors[0]!, { k: 10, ef: 64 });
      searched!.push(performance.now() - middle);
      opened!.push(middle - start);
      index.closeSync();
    }
    return { opened, searched, bytes: sizeOf(large.place) };
  };
  say({});
  createInterface({ input: process.stdin })
    .on('line', (line) => {
      const [command, ...numbers] = line.split(' ');
      const [first, second] = numbers.map(Number);
      if (command === 'write') say(write(first!, second!));
      else if (command === 'open') say(open(first!));
      else throw new Error(`no command ${line}`);
    })
    .on('close', () => collection.closeSync());
}

runChild(main);
