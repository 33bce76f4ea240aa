import { LichenArgumentError, shown } from '../errors.js';
import { machine, type Access } from '../native.js';
import { requireInteger, requireOptions, resolveThreads } from './arguments.js';
import type { OperationOptions } from './types.js';
import type { Durability } from './writes.js';

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

/** How an index is opened, and whether its changes are kept in a journal beside the file. */
export interface OpenIndexOptions extends OpenOptions {
  /**
   * Opens the file together with its journal, where every change is written before it is acknowledged, and does again
   * what the file does not have yet. Whatever was acknowledged survives the end of the process at any moment. The end of
   * the machine (a power cut) it survives with `sync`, which waits for the disk, together for all changes that wait;
   * with `interval` but for the last `syncInterval` milliseconds; with `none` but for what the system has not written by
   * itself. One index at a time may be open so: another gets ERR_LICHEN_LOCKED. Default: no journal.
   */
  durability?: Durability | undefined;
  /** Milliseconds, 1 to 60,000. Default 100. */
  syncInterval?: number | undefined;
  /** The journal's length in bytes from which a checkpoint is made in the background. Default 64 MiB. */
  checkpointBytes?: number | undefined;
  /** Threads that do again what stands in the journal. Default: every processor. */
  threads?: number | undefined;
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
  /** See {@link SnapshotLabel}. Default: that of the file which the index was opened from. */
  snapshotVersion?: number | undefined;
}

export const SAVE_OPTIONS = ['signal', 'onProgress', 'modelVersion', 'snapshotVersion'] as const;

const OPEN_OPTIONS = ['map', 'verify'] as const;
const OPEN_INDEX_OPTIONS = [
  ...OPEN_OPTIONS,
  ...(['durability', 'syncInterval', 'checkpointBytes', 'threads'] as const),
] as const;
const DURABILITIES = ['sync', 'interval', 'none'] as const;
const DEFAULT_CHECKPOINT_BYTES = 64 * 2 ** 20;

/** Checks the options that an index is opened with; no settings without a journal. */
export function resolveOpenIndex(options: OpenIndexOptions | undefined) {
  const given = requireOptions(options, OPEN_INDEX_OPTIONS);
  const { map, verify, durability, syncInterval = 100, threads } = given;
  const { checkpointBytes = DEFAULT_CHECKPOINT_BYTES } = given;
  const access = resolveAccess({ map, verify });
  const intervals = {
    syncInterval: requireInteger('syncInterval', syncInterval, 1, 60_000),
    checkpointBytes: requireInteger('checkpointBytes', checkpointBytes, 1, Number.MAX_SAFE_INTEGER),
  };
  if (durability !== undefined && !DURABILITIES.includes(durability)) {
    throw bad(`durability must be one of ${DURABILITIES.join(', ')}, got ${shown(durability)}`);
  }
  return {
    access,
    threads: resolveThreads(threads, machine().threads),
    settings: durability === undefined ? undefined : { durability, ...intervals },
  };
}

/** Checks the options that a file is opened with. */
export function resolveAccess(options: OpenOptions | undefined): Access {
  const given = requireOptions(options, OPEN_OPTIONS);
  const { map = false, verify = map === true ? 'header' : 'full' } = given;
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
