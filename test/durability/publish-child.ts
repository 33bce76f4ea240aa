// Publishes versions of an index for ever, and says so: publish-child.ts FOLDER

import { writeSync } from 'node:fs';
import { HnswIndex } from '../../src/index/hnsw.js';
import { publishIndex } from '../../src/index/published.js';
import { clustered } from '../index/data.js';

async function main(folder: string): Promise<void> {
  const index = new HnswIndex({ dim: 8, metric: 'l2', m: 4 });
  await index.add(clustered(1, 300, 8));
  writeSync(1, 'ready\n');
  for (;;) writeSync(1, `${await publishIndex(folder, index, { modelVersion: 'towers-1' })}\n`);
}

void main(process.argv[2]!);
