import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError, LichenFileError } from '../errors.js';
import { native } from '../native.js';
import { writeAtomically } from '../vectors/atomic.js';
import { requireInteger, requireOptions, requirePath } from './arguments.js';
import { SAVE_OPTIONS, type SaveOptions } from './file-options.js';
import type { Key } from './types.js';
import type { VectorIndex } from './vector-index.js';

/** Options of {@link publishIndex}. */
export interface PublishOptions extends Omit<SaveOptions, 'snapshotVersion'> {
  /** Versions that are kept besides the new one, for going back. Default 1. */
  keep?: number | undefined;
}

/** What a folder of published snapshots offers now. */
export interface Published {
  /** Counts what was published, from 1. */
  readonly version: number;
  /** The snapshot's path. */
  readonly path: string;
  /** Size of the snapshot. */
  readonly bytes: number;
  /** The version of the model that made the vectors, if the snapshot tells it. */
  readonly modelVersion: string | undefined;
  /** ISO 8601. */
  readonly publishedAt: string;
}

const MANIFEST = 'manifest.json';
const LOCK = 'publish.lock';
const DIGITS = 12;
const SNAPSHOT = /^(\d{12})\.lichen$/;
const DRAFT = /^\d{12}\.lichen\.draft-/;

/**
 * Writes an index as the next version of a folder, which is made if it is not there, and names it in the folder's
 * manifest: whoever opens the folder meanwhile finds the version before or this one, whole. Older versions go as soon as
 * no process has them mapped. A crash at any moment leaves the version before.
 * @returns the version: one more than that of the manifest, from 1.
 * @throws ERR_LICHEN_LOCKED while another process publishes there; ERR_LICHEN_FORMAT for a damaged manifest;
 * ERR_LICHEN_ARGUMENT; as `save`.
 *
 * @example
 * const version = await publishIndex('items', index, { modelVersion: 'm7' });
 */
export async function publishIndex(
  folder: string,
  index: VectorIndex<Key>,
  options?: PublishOptions,
): Promise<number> {
  const { keep = 1, ...save } = requireOptions(options, [
    'keep',
    ...SAVE_OPTIONS.filter((name) => name !== 'snapshotVersion'),
  ]);
  requireInteger('keep', keep, 0, 1000);
  const target = requirePath(folder);
  await mkdir(target, { recursive: true }).catch((error: unknown) => {
    throw fileError('create', target, error);
  });
  const lock = native().lockFile(join(target, LOCK));
  if (lock === null) {
    throw new LichenFileError('ERR_LICHEN_LOCKED', `${target} is being published to elsewhere`);
  }
  try {
    const version = ((await findPublished(target))?.version ?? 0) + 1;
    const path = snapshotPath(target, version);
    // Of a crash before the manifest named it.
    await rm(path, { force: true });
    const bytes = await index.save(path, { ...save, snapshotVersion: version });
    const { modelVersion = index.label.modelVersion } = save;
    const publishedAt = new Date().toISOString();
    const manifest = { format: 1, version, bytes, modelVersion, publishedAt };
    await writeAtomically(join(target, MANIFEST), async (handle) => {
      await handle.writeFile(`${JSON.stringify(manifest, undefined, 2)}\n`);
    });
    await removeOlder(target, version - keep);
    return version;
  } finally {
    native().unlockFile(lock);
  }
}

/**
 * What a folder offers now.
 * @throws ERR_LICHEN_NOT_FOUND if nothing is published there; ERR_LICHEN_FORMAT for a damaged manifest; ERR_LICHEN_IO.
 *
 * @example
 * const { version, path } = await readPublished('items');
 */
export async function readPublished(folder: string): Promise<Published> {
  const target = requirePath(folder);
  const found = await findPublished(target);
  if (found !== undefined) return found;
  throw new LichenFileError('ERR_LICHEN_NOT_FOUND', `nothing is published in ${target}`);
}

async function findPublished(folder: string): Promise<Published | undefined> {
  const file = join(folder, MANIFEST);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === 'ENOENT') return undefined;
    if (code === 'ENOTDIR') {
      const message = `${folder} is a file, and no folder that publishIndex has made: openIndex opens files`;
      throw new LichenFileError('ERR_LICHEN_FORMAT', message, { cause: error });
    }
    throw fileError('read', file, error);
  }
  const manifest = parse(text);
  if (manifest === undefined) {
    throw new LichenFileError('ERR_LICHEN_FORMAT', `${file} is not a sound manifest`);
  }
  return { ...manifest, path: snapshotPath(folder, manifest.version) };
}

function parse(text: string): Omit<Published, 'path'> | undefined {
  let manifest: Record<string, unknown> | null;
  try {
    manifest = JSON.parse(text) as Record<string, unknown> | null;
  } catch {
    return undefined;
  }
  const { format, version, bytes, modelVersion, publishedAt } = manifest ?? {};
  const isSound =
    format === 1 &&
    Number.isSafeInteger(version) &&
    (version as number) > 0 &&
    Number.isSafeInteger(bytes) &&
    typeof publishedAt === 'string' &&
    (modelVersion === undefined || typeof modelVersion === 'string');
  if (!isSound) return undefined;
  return { version: version as number, bytes: bytes as number, modelVersion, publishedAt };
}

/** What is older than a version and mapped by nobody, and drafts that a crash left: nobody else writes here. */
async function removeOlder(folder: string, oldest: number): Promise<void> {
  for (const name of await readdir(folder)) {
    const version = SNAPSHOT.exec(name)?.[1];
    if (DRAFT.test(name)) await rm(join(folder, name), { force: true });
    else if (version !== undefined && Number(version) < oldest) {
      native().removeUnreadFile(join(folder, name));
    }
  }
}

function snapshotPath(folder: string, version: number): string {
  return join(folder, `${String(version).padStart(DIGITS, '0')}.lichen`);
}
