import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Matrix } from '../../src/index.js';
import { SECONDS_A_SIDE, type AnnSide, type AnnTask, type Latency } from './ann-sides.js';

/**
 * A library in a process of its own that searches when it is asked and sleeps else. The program gets the files of base
 * vectors and queries (f32), dim, metric, m, efConstruction and k, and then `more`; it answers each line with one:
 * nothing at first `{ buildSeconds, bytes, bytesBy }`, `run EF SECONDS` `{ queries }`, `latency EF` `{ p50us, p99us }`,
 * `keys EF FILE` anything, having written the rows (i32, k a query, -1 for none).
 */
export async function processSide(
  name: string,
  task: AnnTask,
  program: string,
  { before = [], after = [] }: { before?: readonly string[]; after?: readonly string[] } = {},
): Promise<AnnSide> {
  const { base, queries, metric, m, efConstruction, k, folder } = task;
  const files = { base: join(folder, 'base.f32'), queries: join(folder, 'queries.f32') };
  writeVectors(files.base, base);
  writeVectors(files.queries, queries);
  const numbers = [base.dim, metric, m, efConstruction, k].map(String);
  const ask = openProcess(program, [...before, files.base, files.queries, ...numbers, ...after]);
  const built = JSON.parse(await ask.line()) as {
    buildSeconds: number;
    bytes: number;
    bytesBy: string;
  };
  let beam = k;
  return {
    name,
    buildSeconds: built.buildSeconds,
    bytesAVector: built.bytes / base.rows,
    bytesBy: built.bytesBy,
    aim: (ef) => void (beam = ef),
    async work() {
      const answer = await ask.command(`run ${beam} ${SECONDS_A_SIDE}`);
      return (JSON.parse(answer) as { queries: number }).queries;
    },
    async latency() {
      return JSON.parse(await ask.command(`latency ${beam}`)) as Latency;
    },
    async keys() {
      const file = join(folder, 'keys.i32');
      await ask.command(`keys ${beam} ${file}`);
      const bytes = readFileSync(file);
      return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    },
    close: ask.close,
  };
}

/** A process that answers with lines. */
function openProcess(program: string, args: readonly string[]) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines: AsyncIterator<string> = createInterface({ input: child.stdout })[
    Symbol.asyncIterator
  ]();
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  // Else a failure that nobody waits for any more would end this process.
  failed.catch(() => undefined);
  const line = async (): Promise<string> => {
    const next = await Promise.race([lines.next(), failed]);
    if (next.done === true) throw new Error(`${program} has ended`);
    return next.value;
  };
  return {
    line,
    command(text: string): Promise<string> {
      child.stdin.write(`${text}\n`);
      return line();
    },
    close: () => void child.stdin.end(),
  };
}

function writeVectors(file: string, { data }: Matrix): void {
  writeFileSync(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}
