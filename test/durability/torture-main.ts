// npm run torture -- [--rounds 300] [--seed 1]: kills a process that changes an index, again and again.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { killRounds } from './torture.js';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { rounds: { type: 'string', default: '300' }, seed: { type: 'string', default: '1' } },
  });
  const folder = mkdtempSync(join(tmpdir(), 'lichen-torture-'));
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const report = await killRounds(folder, Number(values.rounds), Number(values.seed), say);
  rmSync(folder, { recursive: true });
  say(
    `${report.rounds} rounds: all of ${report.acknowledged} acknowledged changes were there, ` +
      `and ${report.survived} that were in flight; ${report.besideCheckpoint} rounds ended beside a checkpoint`,
  );
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
