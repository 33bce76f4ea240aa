// A process with nothing to do but wait for a pool, which then leaves pools behind, one closed and one open.

import { FlatIndex } from '../../src/index/flat.js';
import { RetrievalPool } from '../../src/pool/retrieval-pool.js';

async function main(): Promise<void> {
  const index = new FlatIndex({ dim: 1, metric: 'l2' });
  index.addSync([[1], [2]]);
  const options = { index, tower: { kind: 'vectors' }, workers: 1 } as const;
  const closed = await RetrievalPool.create(options);
  await closed.close();
  const pool = await RetrievalPool.create(options);
  const { keys } = await pool.retrieve({ vectors: Float32Array.of(2) }, { k: 1 });
  process.stdout.write(`found ${keys[0]}`);
}

void main();
