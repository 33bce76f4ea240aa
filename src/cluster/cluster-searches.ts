import { badArgument } from '../cache/cache-limits.js';
import { LichenError, shown } from '../errors.js';
import { requireInteger, resolveEf, toExclude, toVectors } from '../index/arguments.js';
import { resolveRestrictions } from '../index/search-options.js';
import type { Key, KeysOf, VectorsInput } from '../index/types.js';
import { withinMemory } from '../vectors/memory.js';
import { newWriterId } from './writer.js';
import {
  ClusterFilter,
  requireAllFinite,
  requireDeadline,
  requirePartial,
  requireToken,
  type ClusterSearchBatchOptions,
  type ClusterSearchBatchResult,
  type ClusterSearchExtras,
  type ClusterSearchResult,
  type ClusterSearchWithinOptions,
  type ResolvedClusterOptions,
  type WriteToken,
} from './cluster-options.js';
import type { ClusterView } from './cluster-view.js';
import { Gatherer } from './gather.js';
import { LinkWatch } from './link-watch.js';
import { mergeReplies } from './merge.js';
import {
  encodeSearch,
  replyOf,
  type SearchReply,
  type SearchRequest,
  type ShardSearchOptions,
} from './search-message.js';
import type { ShardMap } from './shard-map.js';
import type { KeyList } from './write-message.js';

/** Searches that a shard is silent to, before another server of NATS is gone to. */
const SILENCE_MS = 2000;
const MOST_K = 2 ** 20;
/** Messages of a batch that are under way at the same time. */
const AT_ONCE = 8;
const OVERHEAD_BYTES = 16 * 1024;
/** Of a key and a score in an answer; texts are longer than numbers, and are guessed. */
const RESULT_BYTES = { integer: 12, string: 48 } as const;

/** What is asked of every shard. */
interface Asked extends Pick<SearchRequest, 'queries' | 'options' | 'exclude' | 'only'> {
  readonly rows: number;
  readonly end: number;
  readonly extras: ClusterSearchExtras & { readonly signal?: AbortSignal | undefined };
}

/** The searches of a client. */
export class ClusterSearches<K extends Key> {
  readonly #gatherer: Gatherer;
  readonly #link: LinkWatch;
  readonly #client = newWriterId();
  readonly #sizes = new Map<number, number>();
  #count = 0;

  constructor(
    private readonly view: ClusterView,
    private readonly options: ResolvedClusterOptions,
    private readonly token: () => WriteToken,
  ) {
    const { connection, packages, names } = view.cluster;
    this.#gatherer = new Gatherer(connection, packages.transport.createInbox(names.inbox));
    this.#link = new LinkWatch(connection, SILENCE_MS);
  }

  get counts() {
    return { ...this.#gatherer.counts, hedgeAfterMs: this.#gatherer.hedgeAfterMs };
  }

  /** Vectors, as shards have told last. */
  get size(): number {
    let sum = 0;
    for (let shard = 0; shard < this.view.map.shards; shard++) sum += this.#sizes.get(shard) ?? 0;
    return sum;
  }

  noteSize(shard: number, size: number): void {
    this.#sizes.set(shard, size);
  }

  close(): void {
    this.#gatherer.close();
  }

  /** @throws as `ClusterIndex.search`. */
  async batch(
    given: VectorsInput,
    options: ClusterSearchBatchOptions,
  ): Promise<ClusterSearchBatchResult<K>> {
    const { map, schema } = this.view;
    const { dim } = map.index;
    const queries = requireAllFinite('queries', toVectors('queries', given, dim), dim);
    const rows = queries.length / dim;
    const {
      k: wanted = 10,
      filter,
      exclude,
      deadline,
      after,
      partial,
      signal,
      onProgress,
      ...rest
    } = options;
    const k = requireInteger('k', wanted, 1, MOST_K);
    resolveEf(rest);
    resolveRestrictions(schema, { ...rest, exclude }, rows);
    const end = performance.now() + requireDeadline(deadline ?? this.options.deadline);
    const extras = { after, partial, signal };
    const groupSize = rest.groupBy === undefined ? undefined : (rest.groupSize ?? 1);
    const chunks: { readonly from: number; readonly to: number }[] = [];
    const size = this.#rowsAMessage(map, k);
    for (let from = 0; from < rows; from += size) {
      chunks.push({ from, to: Math.min(rows, from + size) });
    }
    const places = rows * k;
    const { keys, scores } = withinMemory(12 * places, () => ({
      keys: map.index.keys === 'integer' ? new Float64Array(places) : new Array<string>(places),
      scores: new Float32Array(places),
    }));
    const counts = new Uint32Array(rows);
    const missing = new Set<number>();
    let done = 0;
    const one = async ({ from, to }: { from: number; to: number }): Promise<void> => {
      const asked = {
        ...{ queries: queries.subarray(from * dim, to * dim), rows: to - from, end, extras },
        options: { ...rest, k } as ShardSearchOptions,
        exclude: excluded(exclude?.slice(from, to), to - from),
        only: onlyOf(filter),
      };
      const answer = await this.#askOrHalve(asked, map, async () => {
        const middle = Math.floor((from + to) / 2);
        await one({ from, to: middle });
        await one({ from: middle, to });
      });
      if (answer === undefined) return;
      const merged = mergeReplies(answer.replies, to - from, {
        ...{ metric: map.index.metric, k, isInteger: map.index.keys === 'integer' },
        groupSize,
      });
      if (keys instanceof Float64Array) keys.set(merged.keys as Float64Array, from * k);
      else (merged.keys as string[]).forEach((key, at) => (keys[from * k + at] = key));
      scores.set(merged.scores, from * k);
      counts.set(merged.counts, from);
      for (const shard of answer.missing) missing.add(shard);
      done += to - from;
      onProgress?.(done, rows);
    };
    await inTurns(chunks, AT_ONCE, one);
    const lost = [...missing].sort((a, b) => a - b);
    return { keys: keys as KeysOf<K>, scores, counts, rows, k, missing: lost };
  }

  /** @throws as `ClusterIndex.searchWithin`. */
  async within(
    query: Float32Array,
    options: ClusterSearchWithinOptions,
  ): Promise<ClusterSearchResult<K>> {
    const { map, schema } = this.view;
    const { filter, exclude, deadline, after, partial, signal, ...rest } = options;
    requireAllFinite('queries', query, map.index.dim);
    resolveRestrictions(schema, { ...rest, exclude });
    const answer = await this.#ask(
      {
        ...{ queries: query, rows: 1, extras: { after, partial, signal } },
        end: performance.now() + requireDeadline(deadline ?? this.options.deadline),
        options: rest as ShardSearchOptions,
        exclude: excluded(exclude && [exclude], 1),
        only: onlyOf(filter),
      },
      map,
    );
    const total = answer.replies.reduce((sum, { scores }) => sum + scores.length, 0);
    const { keys, scores } = mergeReplies(answer.replies, 1, {
      ...{ metric: map.index.metric, k: total, isInteger: map.index.keys === 'integer' },
      groupSize: undefined,
    });
    return { keys: keys as KeysOf<K>, scores, missing: answer.missing };
  }

  /** An answer that is too long for a message is asked for in two halves. */
  async #askOrHalve(asked: Asked, map: ShardMap, halve: () => Promise<void>) {
    try {
      return await this.#ask(asked, map);
    } catch (error) {
      const isTooLong = (error as LichenError).code === 'ERR_LICHEN_UNSUPPORTED';
      if (!isTooLong || asked.rows === 1) throw error;
      await halve();
      return undefined;
    }
  }

  async #ask({ rows, end, extras, ...request }: Asked, map: ShardMap) {
    const { names } = this.view.cluster;
    const { epoch, shards } = map;
    const deadlineMs = Math.max(1, end - performance.now());
    const keyKind = map.index.keys;
    const { answers, missing, failure, isSilent } = await this.#gatherer.ask({
      ...{ subject: names.search(epoch), hedgeSubject: (shard) => names.hedge(epoch, shard) },
      ...{ shards, deadlineMs, signal: extras.signal },
      read: (frame) => replyOf(frame, rows, keyKind),
      payload: encodeSearch({
        ...request,
        ...{ id: `${this.#client}${this.#count++}`, withinMs: deadlineMs },
        after: this.#after(extras.after, map),
      }),
    });
    if (missing.length === 0) this.#link.fine();
    else if (isSilent) this.#link.silent();
    const replies: SearchReply[] = [];
    for (const reply of answers) {
      if (reply === undefined) continue;
      this.#sizes.set(reply.shard, reply.size);
      replies.push(reply);
    }
    const refuses = requirePartial(extras.partial ?? this.options.partial) === 'refuse';
    if (replies.length === 0 || (refuses && missing.length > 0)) {
      // A map that is out of date would explain it.
      void this.view.refresh().catch(() => undefined);
      const why = failure === undefined ? '' : `: ${failure.message}`;
      const message = `shards ${missing.join(', ')} of ${shards} did not answer in time${why}`;
      throw new LichenError('ERR_LICHEN_DEADLINE', message, { cause: failure });
    }
    return { replies, missing };
  }

  #after(given: WriteToken | undefined, map: ShardMap): readonly number[] {
    const wanted = requireToken(given, map);
    if (this.options.consistency === 'none') return wanted;
    const { epoch, sequences } = this.token();
    if (epoch !== map.epoch) return wanted;
    return sequences.map((sequence, shard) => Math.max(sequence, wanted[shard] ?? 0));
  }

  #rowsAMessage({ index }: ShardMap, k: number): number {
    const { connection } = this.view.cluster;
    const room = (connection.info?.max_payload ?? 2 ** 20) - OVERHEAD_BYTES;
    const bytes = Math.max(4 * index.dim, k * RESULT_BYTES[index.keys]);
    return Math.max(1, Math.floor(room / bytes));
  }
}

function excluded(lists: unknown, rows: number): SearchRequest['exclude'] {
  const { keys, ends } = toExclude(lists, rows);
  return keys === null || ends === null ? undefined : { keys, ends };
}

function onlyOf(filter: ClusterFilter | undefined): KeyList | undefined {
  if (filter === undefined || filter instanceof ClusterFilter) return filter?.keys;
  throw badArgument(`filter must be what the index's filter() gave, got ${shown(filter)}`);
}

/** Works on all, some at the same time; ends with the first failure. */
async function inTurns<T>(
  all: readonly T[],
  atOnce: number,
  work: (one: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const run = async (): Promise<void> => {
    while (next < all.length) await work(all[next++]!);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, all.length) }, run));
}
