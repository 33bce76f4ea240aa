import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type * as lichen from '../../src/index.js';

export type Lichen = typeof lichen;

/**
 * lichen as users run it: compiled. The loader that runs the benches makes a call of every imported name, which takes a
 * third of the time of what takes 100 ns.
 */
export function compiled(): Lichen {
  const path = join(__dirname, '..', '..', 'dist', 'index.js');
  if (!existsSync(path)) throw new Error('dist is missing: npm run build');
  return createRequire(__filename)(path) as Lichen;
}

/** A compiled module that the package does not export, by its path without `src/`. */
export function compiledPart<T>(path: string): T {
  return createRequire(__filename)(join(__dirname, '..', '..', 'dist', path)) as T;
}
