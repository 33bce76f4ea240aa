import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { LichenFileError } from '../errors.js';

/**
 * What a module of the user's exports.
 * @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_FORMAT for one that cannot be loaded.
 */
export async function importModule(path: string): Promise<Record<string, unknown>> {
  try {
    return (await import(pathToFileURL(resolve(path)).href)) as Record<string, unknown>;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const isAbsent = (cause as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
    throw new LichenFileError(
      isAbsent ? 'ERR_LICHEN_NOT_FOUND' : 'ERR_LICHEN_FORMAT',
      `cannot load ${path}: ${reason}`,
      { cause },
    );
  }
}
