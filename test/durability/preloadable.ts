import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** Compiles a C file of this folder into a library to be preloaded; false where that needs what is not there. */
export function buildPreloadable(source: string, target: string): boolean {
  // Linux and a C compiler.
  if (process.platform !== 'linux') return false;
  return (
    spawnSync('cc', ['-shared', '-fPIC', '-o', target, join(__dirname, source), '-ldl']).status ===
    0
  );
}
