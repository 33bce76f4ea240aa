import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError, LichenError, LichenFileError } from '../errors.js';
import { writeAtomically } from '../vectors/atomic.js';
import { byteChunks } from '../vectors/bytes.js';

/** By what a file is known to be whole. */
export interface FileDigest {
  readonly bytes: number;
  /** 64 hexadecimal digits. */
  readonly sha256: string;
}

/** Of the files of a folder, by name. */
export type FileDigests = Readonly<Record<string, FileDigest>>;

/** Writes a value as JSON, all of it or nothing. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeAtomically(path, (handle) => handle.writeFile(`${JSON.stringify(value)}\n`));
}

/** Reads a file of a model's folder; ERR_LICHEN_FORMAT if it is missing. */
export async function readPart(dir: string, name: string): Promise<string> {
  const path = join(dir, name);
  return readFile(path, 'utf8').catch((error: unknown) => {
    throw missing(dir, path, fileError('read', path, error));
  });
}

/** Reads a file and says how long it is and what its checksum. */
export async function digest(path: string, signal: AbortSignal | undefined): Promise<FileDigest> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of byteChunks(path, { signal })) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

/**
 * Checks that a file is the one that a header tells of.
 * @param header the header's name, for the message.
 * @throws ERR_LICHEN_FORMAT if it is missing or another one.
 */
export async function requireDigest(
  dir: string,
  header: string,
  files: FileDigests,
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const path = join(dir, name);
  const expected = Object.hasOwn(files, name) ? files[name] : undefined;
  if (expected === undefined) throw notWhole(dir, `${header} has no checksum of ${name}`);
  const got = await digest(path, signal).catch((error: unknown) => {
    throw error instanceof LichenError ? missing(dir, path, error) : error;
  });
  if (got.bytes === expected.bytes && got.sha256 === expected.sha256) return;
  throw new LichenFileError(
    'ERR_LICHEN_FORMAT',
    `${path} is corrupt: its checksum is not the one in ${header} ` +
      `(expected ${expected.bytes} bytes, sha256 ${expected.sha256}, got ${got.bytes} bytes, ${got.sha256})`,
  );
}

/** A folder that is no model, or not all of one. */
export function notWhole(dir: string, reason: string): LichenFileError {
  return new LichenFileError('ERR_LICHEN_FORMAT', `${dir} is no lichen model: ${reason}`);
}

/** A folder without one of its files is there, but no model. */
function missing(dir: string, path: string, error: LichenError): LichenError {
  return error.code === 'ERR_LICHEN_NOT_FOUND' ? notWhole(dir, `${path} is missing`) : error;
}

/** Whether a value parsed from JSON is digests by name. */
export function areDigests(value: unknown): value is FileDigests {
  return isObject(value) && Object.values(value).every(isDigest);
}

function isDigest(value: unknown): boolean {
  return isObject(value) && typeof value.bytes === 'number' && typeof value.sha256 === 'string';
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
