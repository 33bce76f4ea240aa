import { badArgument } from '../cache/cache-limits.js';
import { LichenArgumentError, shown } from '../errors.js';
import { requireFinite, requireInteger, requireOptions } from '../index/arguments.js';
import type { AttributesInput } from '../index/attributes.js';
import {
  SEARCH_BATCH_OPTIONS,
  SEARCH_OPTIONS,
  SEARCH_WITHIN_OPTIONS,
} from '../index/search-options.js';
import type {
  Key,
  KeysInput,
  SearchBatchOptions,
  SearchBatchResult,
  SearchOptions,
  SearchResult,
  SearchWithinOptions,
} from '../index/types.js';
import { ADDRESS_OPTIONS, type ClusterAddress } from './connection.js';
import { MOST_DEADLINE_MS } from './search-message.js';
import type { ShardMap } from './shard-map.js';
import { MOST_WRITE_MS } from './writer.js';

/** Options of `ClusterIndex.connect`. */
export interface ClusterIndexOptions extends ClusterAddress {
  /** Milliseconds for a search, unless it names others. Default 1,000. */
  deadline?: number | undefined;
  /** Milliseconds for a change, up to 60,000: electing a new leader takes NATS some seconds. Default 30,000. */
  writeDeadline?: number | undefined;
  /**
   * `session`: searches find what this object has changed before. `none`: what the replica that answers has come to,
   * mostly some milliseconds behind. Default `session`.
   */
  consistency?: 'session' | 'none' | undefined;
  /** `allow`: a search is answered without shards that do not answer, and says so. `refuse`: it fails then. Default `allow`. */
  partial?: 'allow' | 'refuse' | undefined;
  /** Milliseconds between two looks at the shard map. Default 1,000. */
  pollInterval?: number | undefined;
  /** Called when another model or number of shards has come into force. */
  onSwap?: ((map: ShardMap) => void) | undefined;
}

/** Where changes of one or more shards stand: a search that is given it finds them. */
export interface WriteToken {
  /** The epoch of the shard map that the changes were written in. */
  readonly epoch: number;
  /** By shard the last change; 0: none. */
  readonly sequences: readonly number[];
}

/** Options of every search of a cluster besides those of an index. */
export interface ClusterSearchExtras {
  /** Milliseconds; what has not come by then is left out. */
  deadline?: number | undefined;
  /** Changes that it must find, also another process's. */
  after?: WriteToken | undefined;
  /** See {@link ClusterIndexOptions}. */
  partial?: 'allow' | 'refuse' | undefined;
}

/** What is left out for what it is no use of beyond one machine. */
type Local = 'filter' | 'into' | 'threads';

/** Options of {@link ClusterIndex.search}. */
export interface ClusterSearchOptions extends Omit<SearchOptions, Local>, ClusterSearchExtras {
  /** Which vectors may be found. */
  filter?: ClusterFilter | undefined;
}

/** Options of {@link ClusterIndex.searchBatch}. */
export interface ClusterSearchBatchOptions
  extends Omit<SearchBatchOptions, Local>, ClusterSearchExtras {
  /** Which vectors may be found. */
  filter?: ClusterFilter | undefined;
}

/** Options of {@link ClusterIndex.searchWithin}. */
export interface ClusterSearchWithinOptions
  extends Omit<SearchWithinOptions, Local>, ClusterSearchExtras {
  /** Which vectors may be found. */
  filter?: ClusterFilter | undefined;
  /** Gives the search up with ERR_LICHEN_ABORTED. */
  signal?: AbortSignal | undefined;
}

/** What was found, and by whom not. */
export interface ClusterSearchResult<K extends Key> extends SearchResult<K> {
  /** Shards that did not answer: what they hold is not in the result. */
  readonly missing: readonly number[];
}

/** What was found of each query, and by whom not. */
export interface ClusterSearchBatchResult<K extends Key> extends SearchBatchResult<K> {
  /** Shards that did not answer, for some or all of the queries. */
  readonly missing: readonly number[];
}

/**
 * Keys that may be found, and no others.
 *
 * @example
 * const items = await ClusterIndex.connect({ servers: 'nats://10.0.0.1:4222', name: 'items' });
 * const filter: ClusterFilter = items.filter([10, 20, 30]);
 * await items.search(query, { k: 2, filter });
 */
export class ClusterFilter {
  /** @internal */
  constructor(
    /** Keys that may be found. */
    readonly keys: Float64Array | readonly string[],
  ) {}

  /** Number of keys. */
  get count(): number {
    return this.keys.length;
  }
}

/** Options of changes. */
export interface ClusterWriteOptions {
  /**
   * A text that stands for this change: a second one with it does nothing, as long as fewer than 65,536 others of a shard
   * came between. Default: one of its own, so that what this object itself tries again is done once.
   */
  idempotencyKey?: string | undefined;
  /** Milliseconds, up to 60,000. */
  deadline?: number | undefined;
  /** Gives up waiting; what is stored by then is done. */
  signal?: AbortSignal | undefined;
  /**
   * `stored`: fulfilled once the change is kept by a majority of the NATS servers; nobody can lose it then. `applied`: once
   * a replica has done it besides, or refused it. Default: `stored` for `upsert`, which cannot be refused, else `applied`.
   */
  confirm?: 'stored' | 'applied' | undefined;
}

/** Options of {@link ClusterIndex.add}, `update` and `upsert`: keys are needed. */
export interface ClusterAddOptions<K extends Key> extends ClusterWriteOptions {
  /** A key a vector, of the kind of the index. */
  keys: KeysInput<K>;
  /** Values of attributes by name, one a vector. */
  attributes?: AttributesInput | undefined;
}

export const CLUSTER_OPTIONS = [
  ...ADDRESS_OPTIONS,
  ...(['deadline', 'writeDeadline', 'consistency', 'partial', 'pollInterval', 'onSwap'] as const),
] as const;
const EXTRAS = ['deadline', 'after', 'partial'] as const;
const LOCAL: readonly string[] = ['into', 'threads'];
const of = <T extends string>(names: readonly T[]) =>
  names.filter((name): name is Exclude<T, 'into' | 'threads'> => !LOCAL.includes(name));
export const CLUSTER_SEARCH_OPTIONS = [...of(SEARCH_OPTIONS), ...EXTRAS] as const;
export const CLUSTER_BATCH_OPTIONS = [...of(SEARCH_BATCH_OPTIONS), ...EXTRAS] as const;
export const CLUSTER_WITHIN_OPTIONS = [...SEARCH_WITHIN_OPTIONS, ...EXTRAS, 'signal'] as const;
export const CLUSTER_WRITE_OPTIONS = ['idempotencyKey', 'deadline', 'signal', 'confirm'] as const;
export const CLUSTER_ADD_OPTIONS = [...CLUSTER_WRITE_OPTIONS, 'keys', 'attributes'] as const;

const MOST_KEY_LENGTH = 128;

/** Options of a `ClusterIndex`, checked. */
export interface ResolvedClusterOptions extends ClusterIndexOptions {
  deadline: number;
  writeDeadline: number;
  consistency: 'session' | 'none';
  partial: 'allow' | 'refuse';
  pollInterval: number;
}

/** @throws ERR_LICHEN_ARGUMENT */
export function resolveClusterOptions(options: ClusterIndexOptions): ResolvedClusterOptions {
  const given = requireOptions(options, CLUSTER_OPTIONS);
  const { consistency = 'session', onSwap } = given;
  if (consistency !== 'session' && consistency !== 'none') {
    throw badArgument(`consistency must be session or none, got ${shown(consistency)}`);
  }
  if (onSwap !== undefined && typeof onSwap !== 'function') {
    throw badArgument(`onSwap must be a function, got ${shown(onSwap)}`);
  }
  return {
    ...given,
    consistency,
    deadline: requireDeadline(given.deadline ?? 1000),
    writeDeadline: requireDeadline(given.writeDeadline ?? 30_000, MOST_WRITE_MS),
    partial: requirePartial(given.partial ?? 'allow'),
    pollInterval: requireInteger('pollInterval', given.pollInterval ?? 1000, 10, 86_400_000),
  };
}

export function requireDeadline(deadline: unknown, most = MOST_DEADLINE_MS): number {
  const ms = requireFinite('deadline', deadline);
  if (ms > 0 && ms <= most) return ms;
  throw badArgument(`deadline must be milliseconds above 0, up to ${most}, got ${shown(deadline)}`);
}

export function requirePartial(partial: unknown): 'allow' | 'refuse' {
  if (partial === 'allow' || partial === 'refuse') return partial;
  throw badArgument(`partial must be allow or refuse, got ${shown(partial)}`);
}

export function requireIdempotencyKey(key: unknown): string {
  if (typeof key === 'string' && /^[\x21-\x7e]+$/.test(key) && key.length <= MOST_KEY_LENGTH) {
    return key;
  }
  throw badArgument(
    `idempotencyKey must be 1 to ${MOST_KEY_LENGTH} visible ASCII characters, got ${shown(key)}`,
  );
}

export function requireConfirm(confirm: unknown): 'stored' | 'applied' {
  if (confirm === 'stored' || confirm === 'applied') return confirm;
  throw badArgument(`confirm must be stored or applied, got ${shown(confirm)}`);
}

/** Of another epoch it says nothing. @throws ERR_LICHEN_ARGUMENT for what is no token. */
export function requireToken(token: unknown, { epoch, shards }: ShardMap): readonly number[] {
  if (token === undefined) return [];
  const given = (token ?? {}) as { epoch?: unknown; sequences?: unknown };
  const { sequences } = given;
  if (
    !Array.isArray(sequences) ||
    !sequences.every((one) => Number.isSafeInteger(one) && one >= 0)
  ) {
    throw badArgument(`after must be what a change was fulfilled with, got ${shown(token)}`);
  }
  return given.epoch === epoch && sequences.length === shards ? (sequences as number[]) : [];
}

/** @throws ERR_LICHEN_NOT_FINITE */
export function requireAllFinite(name: string, values: Float32Array, dim: number): Float32Array {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return values;
  const message = `${name}[${Math.floor(at / dim)}] holds a value that is not finite`;
  throw new LichenArgumentError('ERR_LICHEN_NOT_FINITE', message);
}
