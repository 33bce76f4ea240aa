import { join } from 'node:path';
import type { AnnSide, AnnTask } from './ann-sides.js';
import { hasPeer } from './peers.js';
import { processSide, writeVectorFiles } from './process-side.js';

const CHILD = join(__dirname, 'zvec-child.ts');
const STORAGES = ['f32', 'i8', 'i8+f32'];

/**
 * zvec of several storages, each in a process of its own: in one process, an INT8 collection beside one of f32 finds
 * nothing. Undefined if it is not installed.
 */
export async function zvecSides(
  task: AnnTask,
  say: (line: string) => void,
): Promise<AnnSide[] | undefined> {
  if (!hasPeer('@zvec/zvec')) return undefined;
  const { base, metric, m, efConstruction, k, folder } = task;
  const numbers = [base.dim, metric, m, efConstruction, k].map(String);
  const files = writeVectorFiles(task);
  const sides: AnnSide[] = [];
  for (const storage of STORAGES) {
    const name = `zvec ${storage}`;
    const place = join(folder, `zvec-${storage}`);
    const args = [...process.execArgv, CHILD, ...files, ...numbers, storage, place];
    try {
      sides.push(await processSide(name, process.execPath, args, task));
    } catch (error) {
      say(`${name} is left out: ${(error as Error).message}`);
    }
  }
  return sides;
}
