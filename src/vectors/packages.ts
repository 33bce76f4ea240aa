import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LichenError } from '../errors.js';

/** Imports a package by its name. */
export type ImportPackage = (name: string) => Promise<unknown>;

/** Node's own import. */
export const importPackage: ImportPackage = (name) => import(name) as Promise<unknown>;

/**
 * An optional package. What Node makes of a CommonJS package lists only the names that it can guess, so the package's
 * own exports are taken.
 * @param version its major version, for the message.
 * @param entry what of it is imported. Default: the package itself.
 * @throws ERR_LICHEN_MISSING_PACKAGE if it is not installed, ERR_LICHEN_UNSUPPORTED if it is and cannot be loaded (a
 * library that it needs is missing, say).
 */
export async function requirePackage<T>(
  load: ImportPackage,
  name: string,
  version: number,
  entry = name,
): Promise<T> {
  let loaded: unknown;
  try {
    loaded = await load(entry);
  } catch (cause) {
    throw isAbsent(name, cause)
      ? new LichenError(
          'ERR_LICHEN_MISSING_PACKAGE',
          `the package ${name} is not installed: npm install ${name}@${version}`,
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

/**
 * Several optional packages, each by a name of the caller's.
 * @param what needs them, for the message.
 * @throws ERR_LICHEN_MISSING_PACKAGE naming all that are not installed, ERR_LICHEN_UNSUPPORTED as {@link requirePackage}.
 */
export async function requirePackages<Name extends string>(
  load: ImportPackage,
  what: string,
  packages: Readonly<Record<Name, readonly [name: string, version: number]>>,
): Promise<Record<Name, unknown>> {
  const entries = Object.entries<readonly [string, number]>(packages);
  const loaded = await Promise.all(
    entries.map(([, [name, version]]) =>
      requirePackage<unknown>(load, name, version).catch((error: unknown) => {
        if ((error as LichenError).code === 'ERR_LICHEN_MISSING_PACKAGE') return undefined;
        throw error;
      }),
    ),
  );
  const missing = entries.filter((_, at) => loaded[at] === undefined);
  if (missing.length > 0) {
    const names = missing.map(([, [name, version]]) => `${name}@${version}`).join(' ');
    throw new LichenError(
      'ERR_LICHEN_MISSING_PACKAGE',
      `${what} needs packages that are not installed: npm install ${names}`,
    );
  }
  return Object.fromEntries(entries.map(([key], at) => [key, loaded[at]])) as Record<Name, unknown>;
}

/** Whether it is the package itself that is not there, rather than something that it wants. */
function isAbsent(name: string, error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  const isMissing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
  if (isMissing && String(message).includes(`'${name}'`)) return true;
  // What bundlers put in the place of an optional package that they do not find.
  return String(message).startsWith(`Could not resolve "${name}"`);
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error)
    .split('\n', 1)[0]!
    .trim();
}

/** The version of lichen itself. */
export function ownVersion(): string {
  const text = readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
