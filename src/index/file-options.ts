import { LichenArgumentError, shown } from '../errors.js';
import type { Access } from '../native.js';
import { requireInteger, requireOptions } from './arguments.js';
import type { OperationOptions } from './types.js';

/** How a snapshot file is opened. */
export interface OpenOptions {
  /**
   * Maps the file instead of reading it: it is open at once, whatever its size, and processes that map the same file
   * share its memory. Pages are read when they are needed first. What is changed afterwards stays in this process, and
   * the file as it was; nobody may write into it or shorten it meanwhile (`save` over it does no harm: it makes a new
   * one). Default false.
   */
  map?: boolean | undefined;
  /**
   * What is looked at before the promise is fulfilled: `full`, the checksum of every section and every number that a
   * search would follow, or `header`, the header and what is small; that is for mapped files only. What is damaged then
   * gives wrong results, but cannot crash the process. Default `full`, for mapped files `header`.
   */
  verify?: 'full' | 'header' | undefined;
}

/** What is written on a snapshot. */
export interface SnapshotLabel {
  /** The version of the model that made the vectors, at most 65,535 bytes of UTF-8. */
  readonly modelVersion: string | undefined;
  /** A number that the caller counts; 0 if it was never told. */
  readonly snapshotVersion: number;
}

/** Options of `save`. */
export interface SaveOptions extends OperationOptions {
  /** See {@link SnapshotLabel}. Default: that of the file which the index was opened from. */
  modelVersion?: string | undefined;
  snapshotVersion?: number | undefined;
}

export const SAVE_OPTIONS = ['signal', 'onProgress', 'modelVersion', 'snapshotVersion'] as const;

/** Checks the options that a file is opened with. */
export function resolveAccess(options: OpenOptions | undefined): Access {
  const { map = false, verify = map === true ? 'header' : 'full' } = requireOptions(options, [
    'map',
    'verify',
  ]);
  if (typeof map !== 'boolean') throw bad(`map must be true or false, got ${shown(map)}`);
  if (verify !== 'full' && verify !== 'header') {
    throw bad(`verify must be 'full' or 'header', got ${shown(verify)}`);
  }
  if (!map && verify === 'header') {
    throw bad("verify: 'header' is for mapped files (map: true): reading a file checks all of it");
  }
  return !map ? 'read' : verify === 'full' ? 'verify' : 'map';
}

/** The label of {@link SaveOptions}; null for what is not given. */
export function resolveLabel({ modelVersion, snapshotVersion }: SaveOptions) {
  if (modelVersion !== undefined && typeof modelVersion !== 'string') {
    throw bad(`modelVersion must be a string, got ${shown(modelVersion)}`);
  }
  const version =
    snapshotVersion === undefined
      ? null
      : requireInteger('snapshotVersion', snapshotVersion, 0, Number.MAX_SAFE_INTEGER);
  return [modelVersion ?? null, version] as const;
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
