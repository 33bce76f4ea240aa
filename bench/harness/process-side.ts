import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Matrix } from '../../src/index.js';
import type { AnnSide, AnnTask, Latency } from './ann-sides.js';

/** The first line of a program that serves a side: what it built, or why it could not. */
export type Built =
  | { readonly buildSeconds: number; readonly bytes: number; readonly bytesBy: string }
  | { readonly error: string };

/** The vectors of a task as raw f32, for programs that read them. */
export function writeVectorFiles({ base, queries, folder }: AnnTask): string[] {
  const write = (name: string, { data }: Matrix): string => {
    const file = join(folder, name);
    writeFileSync(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return file;
  };
  return [write('base.f32', base), write('queries.f32', queries)];
}

/**
 * A side in a process of its own, which searches when it is asked and sleeps else. The program says what it
 * {@link Built}, then answers each command by a line of JSON: `run EF SECONDS`, `latency EF` and `keys EF FILE`, and
 * `batch EF THREADS` if it `batches`.
 */
export async function processSide(
  name: string,
  program: string,
  args: readonly string[],
  { base, k, seconds, folder }: AnnTask,
  { batches = false } = {},
): Promise<AnnSide> {
  const ask = openProcess(name, program, args);
  let beam = k;
  try {
    const built = JSON.parse(await ask.line()) as Built;
    if ('error' in built) throw new Error(built.error);
    return {
      name,
      buildSeconds: built.buildSeconds,
      bytesAVector: built.bytes / base.rows,
      bytesBy: built.bytesBy,
      aim: (ef) => void (beam = ef),
      async work() {
        const answer = await ask.command(`run ${beam} ${seconds}`);
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
      ...(batches ? { batch: (threads: number) => ask.command(`batch ${beam} ${threads}`) } : {}),
      close: ask.close,
    };
  } catch (error) {
    await ask.close();
    throw error;
  }
}

/** A process that answers with lines. */
export function openProcess(name: string, program: string, args: readonly string[]) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines: AsyncIterator<string> = createInterface({ input: child.stdout })[
    Symbol.asyncIterator
  ]();
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  // Else a failure that nobody waits for any more would end this process.
  failed.catch(() => undefined);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  // A command to a process that has ended: the line that does not come tells.
  child.stdin.on('error', () => undefined);
  const line = async (): Promise<string> => {
    const next = await Promise.race([lines.next(), failed]);
    if (next.done === true) throw new Error(`the process of ${name} has ended`);
    return next.value;
  };
  return {
    line,
    command(text: string): Promise<string> {
      child.stdin.write(`${text}\n`);
      return line();
    },
    /** Waits for its end: until then it may write files. */
    close: async (): Promise<void> => {
      child.stdin.end();
      await Promise.race([ended, failed.catch(() => undefined)]);
    },
  };
}
