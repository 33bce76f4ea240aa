// Maps an index, reads all of it, says so and waits: shared-memory-child.ts PATH

import { HnswIndex } from '../../src/index.js';

async function main(path: string): Promise<void> {
  // Whose checksums are looked at has been read.
  const index = await HnswIndex.open(path, { map: true, verify: 'full' });
  process.stdout.write(`${index.size}\n`);
  process.stdin.on('end', () => index.close()).resume();
}

void main(process.argv[2]!);
