// Opens an index several times and prints by how much the process has grown each time, as JSON: what else the process
// does with its memory meanwhile must not matter. Argument: the snapshot file.
import { openIndex } from '../../src/index/open.js';
import { HnswIndex } from '../../src/index/hnsw.js';

const COPIES = 8;

async function main(): Promise<void> {
  // Code is loaded and threads are there before anything is measured.
  using small = new HnswIndex({ dim: 4, metric: 'dot' });
  await small.add(new Float32Array(64).fill(0.5));
  small.searchSync(new Float32Array(4));
  for (let round = 0; round < 3; round++) global.gc!();
  const before = process.memoryUsage.rss();
  const indexes = [];
  for (let copy = 0; copy < COPIES; copy++) indexes.push(await openIndex(process.argv[2]!));
  for (let round = 0; round < 3; round++) global.gc!();
  const grown = (process.memoryUsage.rss() - before) / COPIES;
  const rows = indexes[0]!.size;
  for (const index of indexes) index.close();
  process.stdout.write(JSON.stringify({ grown, rows }));
}

void main();
