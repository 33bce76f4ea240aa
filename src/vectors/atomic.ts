import { randomBytes } from 'node:crypto';
import { open, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileError, LichenError, LichenFileError } from '../errors.js';

/**
 * Writes a file so that `path` holds either what it held before or all of the new content, also after a crash:
 * `write` fills a temporary file in the same folder (by its handle or its path), which is synced, renamed over `path`
 * and the folder synced.
 * When `write` throws or is aborted, the temporary file is removed and `path` left alone. A symbolic link is
 * followed.
 * @throws what `write` throws if that is a LichenError; ERR_LICHEN_NOT_FOUND for a missing folder; ERR_LICHEN_IO
 * for any other failure, also when `path` is there but is no regular file.
 */
export async function writeAtomically(
  path: string,
  write: (handle: FileHandle, temporary: string) => Promise<void>,
): Promise<void> {
  let temporary: string | undefined;
  try {
    const target = await resolveTarget(path);
    const candidate = `${target}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
    const handle = await open(candidate, 'wx');
    temporary = candidate;
    try {
      await write(handle, candidate);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(candidate, target);
    temporary = undefined;
    await syncFolder(dirname(target));
  } catch (error) {
    if (temporary !== undefined) await rm(temporary, { force: true });
    throw error instanceof LichenError ? error : fileError('write', path, error);
  }
}

/** Where the file really lies. A device or folder is refused: renaming over `/dev/null` would destroy it. */
async function resolveTarget(path: string): Promise<string> {
  const there = await stat(path).catch(() => undefined);
  if (there === undefined) return path;
  if (!there.isFile()) {
    throw new LichenFileError('ERR_LICHEN_IO', `cannot write ${path}: it is not a regular file`);
  }
  return realpath(path);
}

/** Makes a rename in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows can neither open nor sync a folder; a rename is durable there without.
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
