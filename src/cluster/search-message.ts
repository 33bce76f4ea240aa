import { errorOfCode, LichenError, type LichenErrorCode } from '../errors.js';
import type { Where } from '../index/where.js';
import {
  broken,
  decodeFrame,
  encodeFrame,
  float32sOf,
  float64sOf,
  jsonOf,
  listOf,
  sectionOf,
  uint32sOf,
  type Frame,
} from './frame.js';
import type { KeyList } from './write-message.js';

/** So long may be waited for an answer. */
export const MOST_DEADLINE_MS = 600_000;
const MOST_ID_LENGTH = 64;

/** Options of a search, as they are for every shard. */
export interface ShardSearchOptions {
  readonly k?: number;
  readonly ef?: number;
  readonly recall?: number;
  readonly exact?: boolean;
  readonly oversample?: number;
  readonly where?: Where;
  readonly groupBy?: string;
  readonly groupSize?: number;
  /** Of a search for all that score so much: there is one query then, and no `k`. */
  readonly score?: number;
}

/** A search of every shard. */
export interface SearchRequest {
  /** The same for whoever is asked once more. */
  readonly id: string;
  readonly queries: Float32Array;
  readonly options: ShardSearchOptions;
  /** Keys that must not be found, one after the other, and where those of each query end. */
  readonly exclude: { readonly keys: KeyList; readonly ends: Uint32Array } | undefined;
  /** The only keys that may be found. */
  readonly only: KeyList | undefined;
  /** By shard, the change that must be there before it is searched; empty: none. */
  readonly after: readonly number[];
  /** Milliseconds for the answer. */
  readonly withinMs: number;
}

/** What a shard found. */
export interface SearchReply {
  readonly shard: number;
  readonly replica: string;
  readonly sequence: number;
  /** Vectors of the shard. */
  readonly size: number;
  /** Results a query. */
  readonly counts: Uint32Array;
  /** Of all queries one after another, best first. */
  readonly keys: KeyList;
  readonly scores: Float32Array;
  /** With `groupBy`: the value of each result, null for none. */
  readonly groups: readonly (string | number | null)[] | undefined;
}

export function encodeSearch(request: SearchRequest): Uint8Array {
  const { id, queries, options, exclude, only, after, withinMs } = request;
  const header = {
    ...{ id, options, after, withinMs },
    ...(exclude && { exclude: kindOf(exclude.keys) }),
    ...(only && { only: kindOf(only) }),
  };
  return encodeFrame(header, [
    queries,
    ...(exclude === undefined ? [] : [exclude.ends, sectionOf(exclude.keys)]),
    ...(only === undefined ? [] : [sectionOf(only)]),
  ]);
}

/** @throws ERR_LICHEN_FORMAT; what the options say is checked by the search itself. */
export function decodeSearch(bytes: Uint8Array, dim: number): SearchRequest {
  const { header, sections } = decodeFrame(bytes);
  const { id, options, exclude, only, after, withinMs } = header;
  const rest = [...sections];
  const queries = float32sOf(rest.shift());
  if (queries.length === 0 || queries.length % dim !== 0) throw broken('it asks no queries');
  // Ids are remembered.
  if (typeof id !== 'string' || id === '' || id.length > MOST_ID_LENGTH) {
    throw broken('it has no id');
  }
  if (options === null || typeof options !== 'object') throw broken('it has no options');
  if (!Array.isArray(after) || !after.every((one) => Number.isSafeInteger(one))) {
    throw broken('it does not tell what it comes after');
  }
  if (typeof withinMs !== 'number' || !(withinMs >= 0 && withinMs <= MOST_DEADLINE_MS)) {
    throw broken('it has no deadline');
  }
  const ends = exclude === undefined ? undefined : uint32sOf(rest.shift(), queries.length / dim);
  if (ends?.some((end, at) => end < (ends[at - 1] ?? 0)))
    throw broken('its lists end before they begin');
  return {
    ...{ id, queries, options: options },
    exclude:
      ends === undefined
        ? undefined
        : { ends, keys: keysOfSection(exclude, rest.shift(), ends.at(-1)) },
    only: only === undefined ? undefined : keysOfSection(only, rest.shift()),
    ...{ after: after as number[], withinMs },
  };
}

export function encodeReply(reply: SearchReply): Uint8Array {
  const { shard, replica, sequence, size, counts, keys, scores, groups } = reply;
  const hasGroups = groups !== undefined;
  return encodeFrame({ shard, replica, sequence, size, keys: kindOf(keys), hasGroups }, [
    counts,
    scores,
    sectionOf(keys),
    ...(groups === undefined ? [] : [Buffer.from(jsonOf(groups))]),
  ]);
}

/** A refusal, as a message. */
export function encodeFailure(shard: number, replica: string, error: unknown): Uint8Array {
  const known = error instanceof LichenError ? error : undefined;
  const code: LichenErrorCode = known?.code ?? 'ERR_LICHEN_INTERNAL';
  const message = error instanceof Error ? error.message : String(error);
  return encodeFrame({ shard, replica, code, message: message.slice(0, 2000) }, []);
}

/** The error of a refusal; undefined for an answer. */
export function failureOf({ header }: Frame): LichenError | undefined {
  const { code, message } = header;
  if (code === undefined) return undefined;
  if (typeof code !== 'string' || !/^ERR_LICHEN_[A-Z_]+$/.test(code))
    throw broken('its code is none');
  return errorOfCode(code as LichenErrorCode, String(message));
}

/** @throws ERR_LICHEN_FORMAT for what is no answer to so many queries of an index with such keys. */
export function replyOf(
  { header, sections }: Frame,
  rows: number,
  keyKind: 'integer' | 'string',
): SearchReply {
  const { shard, replica, sequence, size, keys: kind, hasGroups } = header;
  if (!Number.isSafeInteger(shard) || typeof replica !== 'string') throw broken('nobody answers');
  if (!Number.isSafeInteger(sequence) || !Number.isSafeInteger(size)) {
    throw broken('it has no sequence');
  }
  const counts = uint32sOf(sections[0], rows);
  const total = counts.reduce((sum, count) => sum + count, 0);
  // A shard that was never written to does not know what its keys are.
  if (total > 0 && kind !== keyKind) throw broken('its keys are of another kind');
  const groups = hasGroups === true ? listOf(sections[3], total) : undefined;
  return {
    ...{ shard: shard as number, replica, sequence: sequence as number, counts },
    size: size as number,
    scores: float32sOf(sections[1], total),
    keys: keysOfSection(kind, sections[2], total),
    groups: groups as SearchReply['groups'],
  };
}

function kindOf(keys: KeyList): 'integer' | 'string' {
  return keys instanceof Float64Array ? 'integer' : 'string';
}

function keysOfSection(kind: unknown, section: Uint8Array | undefined, count?: number): KeyList {
  if (kind === 'integer') return float64sOf(section, count);
  const keys = listOf(section, count);
  if (kind === 'string' && keys.every((key) => typeof key === 'string')) return keys;
  throw broken('its keys are none');
}
