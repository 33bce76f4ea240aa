import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { fileError, LichenArgumentError, LichenFileError } from '../errors.js';
import type { KeyKind } from '../native.js';
import { writeAtomically } from '../vectors/atomic.js';
import { METRICS, type Metric } from '../vectors/metric.js';

const FORMAT = 'lichen-hnswlib';
const VERSION = 1;

/** What an index file of hnswlib does not say; kept beside it as JSON. */
export interface Sidecar {
  readonly dim: number;
  readonly metric: Metric;
  readonly keyKind: KeyKind;
  /** Rows, removed ones included. */
  readonly rows: number;
  /** One a row; of string keys only. */
  readonly keys?: readonly string[];
  /** Of the index file, in hexadecimal digits. */
  readonly sha256: string;
}

/** Where the sidecar of an index file lies. */
export function sidecarPath(path: string): string {
  return `${path}.json`;
}

/** @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO. */
export async function writeSidecar(path: string, sidecar: Sidecar): Promise<void> {
  const content = `${JSON.stringify({ format: FORMAT, version: VERSION, ...sidecar })}\n`;
  await writeAtomically(sidecarPath(path), (handle) => handle.writeFile(content));
}

/**
 * The sidecar of an index file, or undefined if there is none.
 * @throws ERR_LICHEN_IO, ERR_LICHEN_UNSUPPORTED for a newer version, ERR_LICHEN_FORMAT for anything else that is none,
 * or one of another file.
 */
export async function readSidecar(path: string): Promise<Sidecar | undefined> {
  const at = sidecarPath(path);
  let content: string;
  try {
    content = await readFile(at, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileError('read', at, error);
  }
  const sidecar = parse(content);
  if (sidecar === 'newer') {
    throw new LichenFileError(
      'ERR_LICHEN_UNSUPPORTED',
      `${at} has another version than ${VERSION}, which this lichen reads`,
    );
  }
  if (sidecar === undefined) {
    throw new LichenFileError('ERR_LICHEN_FORMAT', `${at} does not describe an index of hnswlib`);
  }
  if ((await digestOf(path)) !== sidecar.sha256) {
    throw new LichenFileError(
      'ERR_LICHEN_FORMAT',
      `${path} is not the file that ${at} describes: one of the two was changed since`,
    );
  }
  return sidecar;
}

/**
 * What an index file of hnswlib does not say, by the caller's word or that of its sidecar.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_DIMENSION where neither says it, or they differ; as {@link readSidecar}.
 */
export async function readShape(
  path: string,
  given: { readonly dim?: number | undefined; readonly metric?: Metric | undefined },
): Promise<{ dim: number; metric: Metric; sidecar: Sidecar | undefined }> {
  const sidecar = await readSidecar(path);
  const { dim = sidecar?.dim, metric = sidecar?.metric } = given;
  if (dim === undefined || metric === undefined) {
    await access(path).catch((error: unknown) => {
      throw fileError('open', path, error);
    });
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `dim and metric must be given: ${path} does not hold them, and there is no ${sidecarPath(path)}`,
    );
  }
  if (sidecar !== undefined && dim !== sidecar.dim) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `${path} has dim ${sidecar.dim}, got dim ${dim}`,
    );
  }
  if (sidecar !== undefined && metric !== sidecar.metric) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `${path} has metric ${sidecar.metric}, got metric ${metric}`,
    );
  }
  return { dim, metric, sidecar };
}

/** @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO. */
export async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path), hash);
  } catch (error) {
    throw fileError('read', path, error);
  }
  return hash.digest('hex');
}

function parse(content: string): Sidecar | 'newer' | undefined {
  let value: Partial<Record<keyof Sidecar | 'format' | 'version', unknown>> | null;
  try {
    value = JSON.parse(content) as typeof value;
  } catch {
    return undefined;
  }
  if (value === null || typeof value !== 'object' || value.format !== FORMAT) return undefined;
  if (value.version !== VERSION) return 'newer';
  const { dim, metric, keyKind, rows, keys, sha256 } = value;
  const isSound =
    Number.isInteger(dim) &&
    (dim as number) >= 1 &&
    METRICS.includes(metric as Metric) &&
    ['row', 'integer', 'string'].includes(keyKind as string) &&
    Number.isInteger(rows) &&
    (rows as number) >= 0 &&
    typeof sha256 === 'string' &&
    (keyKind === 'string'
      ? Array.isArray(keys) &&
        keys.length === rows &&
        new Set(keys).size === rows &&
        keys.every((key) => typeof key === 'string' && key !== '')
      : keys === undefined);
  return isSound ? (value as unknown as Sidecar) : undefined;
}
