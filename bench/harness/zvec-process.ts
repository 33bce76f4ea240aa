import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { AnnSide, AnnTask } from './ann-sides.js';
import { processSide } from './line-process.js';

/** Its platform's binary is a package of its own, which no lock file for all platforms can name. */
const PACKAGE = '@zvec/zvec';
export const ZVEC_KINDS = ['fp32', 'int8'] as const;

/**
 * zvec of two kinds, each in a process of its own, since it finds nothing by INT8 where a process has several
 * collections; undefined if it is not installed (`npm install --no-save @zvec/zvec`, or somewhere on NODE_PATH).
 */
export async function zvecSides(task: AnnTask): Promise<AnnSide[] | undefined> {
  try {
    createRequire(__filename).resolve(PACKAGE);
  } catch {
    return undefined;
  }
  const sides: AnnSide[] = [];
  for (const kind of ZVEC_KINDS) {
    // With this process's own options, which are those that load TypeScript.
    const before = [...process.execArgv, join(__dirname, 'zvec-child.ts')];
    const after = [kind, task.folder];
    sides.push(await processSide(`zvec ${kind}`, task, process.execPath, { before, after }));
  }
  return sides;
}
