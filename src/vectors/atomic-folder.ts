import { randomBytes } from 'node:crypto';
import { mkdir, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fileError, LichenError, LichenFileError } from '../errors.js';
import { syncFolder } from './atomic.js';

/**
 * Writes a folder so that `dir` holds either what it held before or all of the new content: `write` fills a folder of
 * another name beside it, which is then renamed. Replacing a folder takes two renames; a crash between them leaves the
 * old one beside `dir` under a name that ends in .old.tmp.
 * @param refusal says why a folder that is there and not empty must not be replaced; undefined if it may be.
 * @throws what `write` throws if that is a LichenError; ERR_LICHEN_NOT_FOUND for a missing folder around it;
 * ERR_LICHEN_IO for any other failure, also when what is there must not be replaced. Then `dir` is what it was.
 */
export async function writeFolderAtomically(
  dir: string,
  refusal: (names: readonly string[]) => Promise<string | undefined>,
  write: (folder: string) => Promise<void>,
): Promise<void> {
  let temporary: string | undefined;
  try {
    const target = await resolveTarget(dir, refusal);
    const candidate = `${target}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
    await mkdir(candidate);
    temporary = candidate;
    await write(candidate);
    // Another process may have made something of this name since it was looked at.
    await resolveTarget(dir, refusal);
    await replaceFolder(candidate, target);
    temporary = undefined;
    await syncFolder(dirname(target));
  } catch (error) {
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
    throw error instanceof LichenError ? error : fileError('write', dir, error);
  }
}

/** Where the folder really lies. */
async function resolveTarget(
  dir: string,
  refusal: (names: readonly string[]) => Promise<string | undefined>,
): Promise<string> {
  const there = await stat(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (there === undefined) return resolve(dir);
  const names = there.isDirectory() ? await readdir(dir) : [];
  const reason = !there.isDirectory()
    ? 'it is not a folder'
    : names.length === 0
      ? undefined
      : await refusal(names);
  if (reason === undefined) return realpath(dir);
  throw new LichenFileError('ERR_LICHEN_IO', `cannot write the folder ${dir}: ${reason}`);
}

/** Renames `from` to `target`, in place of what is there. */
async function replaceFolder(from: string, target: string): Promise<void> {
  const old = `${from.slice(0, -'.tmp'.length)}.old.tmp`;
  let moved = false;
  try {
    await rename(target, old);
    moved = true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  try {
    await rename(from, target);
  } catch (error) {
    if (moved) await rename(old, target);
    throw error;
  }
  // The new folder is in place; what cannot be tidied up must not make the write a failure.
  if (moved) await rm(old, { recursive: true, force: true }).catch(() => undefined);
}
