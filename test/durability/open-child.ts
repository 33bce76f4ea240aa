// Opens an index for writing when it is told to, and says what came of it: open-child.ts PATH
//
//   ready          it listens
//   open N         the index is open and holds N vectors
//   done           a vector was added and acknowledged
//   CODE           what was asked for is refused

import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { HnswIndex } from '../../src/index/hnsw.js';

async function main(path: string): Promise<void> {
  const say = (line: string): void => void writeSync(1, `${line}\n`);
  let index: HnswIndex | undefined;
  say('ready');
  for await (const asked of createInterface({ input: process.stdin })) {
    try {
      if (asked === 'open') {
        index = await HnswIndex.open(path, { durability: 'sync' });
        say(`open ${index.size}`);
      } else {
        await index!.add(new Float32Array(index!.dim).fill(index!.size));
        say('done');
      }
    } catch (error) {
      say((error as { code: string }).code);
    }
  }
}

void main(process.argv[2]!);
