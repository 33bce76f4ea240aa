import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Matrix } from '../../src/index.js';
import { hasPeer } from './peers.js';
import { openProcess } from './process-side.js';

const CHILD = join(__dirname, 'zvec-files-child.ts');

/** What zvec does with files, in a process of its own. */
export interface ZvecFiles {
  /** Upserts `count` vectors of its pool, `atOnce` a call. */
  write(atOnce: number, count: number): Promise<void>;
  /** Opens its collection so often, and searches once each time: milliseconds. */
  open(
    times: number,
  ): Promise<{ readonly opened: number[]; readonly searched: number[]; readonly bytes: number }>;
  close(): Promise<void>;
}

/** With a collection of all vectors and one of `pool` to write to; undefined if zvec is not installed or refuses. */
export async function openZvecFiles(
  base: Matrix,
  pool: number,
  folder: string,
  say: (line: string) => void,
): Promise<ZvecFiles | undefined> {
  if (!hasPeer('@zvec/zvec')) return undefined;
  const file = join(folder, 'base.f32');
  writeFileSync(file, new Uint8Array(base.data.buffer, base.data.byteOffset, base.data.byteLength));
  const place = join(folder, 'zvec');
  mkdirSync(place);
  const args = [...process.execArgv, CHILD, file, String(base.dim), String(pool), place];
  const child = openProcess('zvec', process.execPath, args);
  const { error } = JSON.parse(await child.line()) as { error?: string };
  if (error !== undefined) {
    say(`zvec is left out: ${error}`);
    await child.close();
    return undefined;
  }
  return {
    async write(atOnce, count) {
      await child.command(`write ${atOnce} ${count}`);
    },
    open: async (times) =>
      JSON.parse(await child.command(`open ${times}`)) as Awaited<ReturnType<ZvecFiles['open']>>,
    close: child.close,
  };
}
