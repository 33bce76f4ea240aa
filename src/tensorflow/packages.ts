import { LichenError } from '../errors.js';

/** Imports a package by its name; `import()` unless a test puts something else in its place. */
export type ImportPackage = (name: string) => Promise<unknown>;

/** Node's own import. */
export const importPackage: ImportPackage = (name) => import(name) as Promise<unknown>;

/**
 * An optional package. What Node makes of a CommonJS package lists only the names that it can guess, so the package's
 * own exports are taken.
 * @throws ERR_LICHEN_MISSING_PACKAGE if it is not installed, ERR_LICHEN_UNSUPPORTED if it is and cannot be loaded (a
 * library that it needs is missing, say).
 */
export async function requirePackage<T>(load: ImportPackage, name: string): Promise<T> {
  let loaded: unknown;
  try {
    loaded = await load(name);
  } catch (cause) {
    throw isAbsent(name, cause)
      ? new LichenError(
          'ERR_LICHEN_MISSING_PACKAGE',
          `the package ${name} is not installed: npm install ${name}@4`,
          { cause },
        )
      : new LichenError(
          'ERR_LICHEN_UNSUPPORTED',
          `the package ${name} is installed but cannot be loaded: ${firstLine(cause)}`,
          { cause },
        );
  }
  return ((loaded as { default?: unknown }).default ?? loaded) as T;
}

/** Whether it is the package itself that is not there, rather than something that it wants. */
function isAbsent(name: string, error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return (
    (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') &&
    String(message).includes(`'${name}'`)
  );
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error)
    .split('\n', 1)[0]!
    .trim();
}
