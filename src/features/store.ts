import { badArgument } from '../cache/cache-limits.js';
import { LichenError, shown } from '../errors.js';
import type { FeatureKey } from './keys.js';
import { timeOf } from './record.js';

/** Keys of one table that are wanted. */
export interface ReadRequest {
  /** A table, of one version of a view. */
  readonly table: string;
  /** Keys, of one kind. */
  readonly keys: readonly FeatureKey[];
}

/**
 * Is told what stands under key `at` of request `request`: a record, whose bytes are valid during the call only, or
 * undefined. Called once for each key, in any order.
 */
export type RecordVisitor = (request: number, at: number, record: Uint8Array | undefined) => void;

/** A record to be stored; its time is in its header. */
export interface RecordEntry {
  /** What it stands under. */
  readonly key: FeatureKey;
  /** Header and values, as the view writes them. */
  readonly record: Buffer;
}

/** How far some work has come, in words of its own. */
export interface Checkpoint {
  /** Counts the writes. */
  readonly sequence: number;
  /** What it says. */
  readonly text: string;
}

/** Records and how far whoever writes them has come: all of it is stored, or nothing. */
export interface WriteBatch {
  /** A table, of one version of a view. */
  readonly table: string;
  /** Records. */
  readonly entries: readonly RecordEntry[];
  /** Milliseconds after which a store may forget the records. */
  readonly ttlMs: number;
  /** What is noted with the records, if anything. */
  readonly checkpoint?: {
    /** What it is noted under. */
    readonly name: string;
    /** What the checkpoint there counts, 0 if there is none: otherwise another writer is at work. */
    readonly expected: number;
    /** What it says from now on. */
    readonly text: string;
  };
}

/** Where feature values stand for serving. All stores behave alike; the same tests run on each. */
export interface OnlineStore {
  /** What it is, such as `lmdb`. */
  readonly kind: string;
  /** One request for all keys of all tables. A store in the process may do it before it returns. */
  read(requests: readonly ReadRequest[], visit: RecordVisitor): Promise<void> | void;
  /**
   * Stores a batch; when the promise is fulfilled, it is as durable as the store makes it. A record that is older than
   * what stands under its key is left out.
   * @returns how many records were stored.
   * @throws ERR_LICHEN_BUSY if the checkpoint is not the expected one; nothing has changed then.
   */
  write(batch: WriteBatch): Promise<number>;
  /** What was noted last under a name; undefined if nothing was. */
  checkpoint(name: string): Promise<Checkpoint | undefined>;
  /** Removes records whose time is before `time`. @returns how many. */
  prune(table: string, time: number): Promise<number>;
  /** Calls `visit` with every record of a table, in no order; slow. */
  scan(table: string, visit: (key: FeatureKey, record: Uint8Array) => void): Promise<void>;
  /** Ends its connections, or closes its files. */
  close(): Promise<void>;
}

/** Of records of one key the one that counts in the end: the latest, of like times the last. */
export function latestEntries(entries: readonly RecordEntry[]): RecordEntry[] {
  const latest = new Map<FeatureKey, RecordEntry>();
  for (const entry of entries) {
    const old = latest.get(entry.key);
    if (old === undefined || timeOf(old.record) <= timeOf(entry.record))
      latest.set(entry.key, entry);
  }
  return [...latest.values()];
}

/** The error of a checkpoint that another writer has moved. */
export function movedCheckpoint(name: string): LichenError {
  return new LichenError('ERR_LICHEN_BUSY', `another writer has moved the checkpoint ${name}`);
}

export function storeClosed(kind: string): LichenError {
  return new LichenError('ERR_LICHEN_CLOSED', `the ${kind} store is closed`);
}

/** Wraps an error of a store's own library. */
export function storeError(kind: string, what: string, cause: unknown): LichenError {
  if (cause instanceof LichenError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new LichenError('ERR_LICHEN_IO', `the ${kind} store cannot ${what}: ${reason}`, { cause });
}

/** @throws ERR_LICHEN_ARGUMENT for a name that keys of a store may not begin with. */
export function requirePrefix(name: string, prefix: unknown): void {
  if (typeof prefix === 'string' && /^[a-z_][a-z0-9_]{0,40}$/.test(prefix)) return;
  throw badArgument(`${name} must be lower-case letters, digits and _, got ${shown(prefix)}`);
}
