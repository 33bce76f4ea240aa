// Makes the golden files of the present version of the format: npx tsx test/golden/make.ts VERSION. Files that are there
// already are never made anew: they stand for what older versions wrote.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answersOf, GOLDEN_INDEXES } from './indexes.js';

async function main(version: string): Promise<void> {
  const folder = join(__dirname, version);
  mkdirSync(folder, { recursive: true });
  for (const [name, make] of Object.entries(GOLDEN_INDEXES)) {
    const file = join(folder, `${name}.lichen`);
    if (existsSync(file)) continue;
    const index = await make();
    await index.save(file);
    writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(answersOf(index))}\n`);
    index.close();
  }
}

void main(process.argv[2]!);
