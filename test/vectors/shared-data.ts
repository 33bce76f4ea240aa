import { existsSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = join(__dirname, '..', '..', '..', 'shared', 'data');

/** The path of a shared data file, which may be missing; tests that need it then say so and are skipped. */
export function sharedData(...names: string[]): { path: string; missing: boolean; note: string } {
  const path = join(FOLDER, ...names);
  const missing = !existsSync(path);
  return {
    path,
    missing,
    note: missing ? ` (skipped: ../shared/data/${names.join('/')} is missing)` : '',
  };
}
