import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';
import { LichenError } from '../errors.js';
import type { AttributesOf } from '../index/attributes.js';
import type { Key, KeysInput } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import { decodeFrame, encodeFrame, broken, float64sOf, listOf, sectionOf } from './frame.js';
import type { ClusterNames } from './names.js';
import {
  decodeSearch,
  encodeFailure,
  encodeReply,
  MOST_DEADLINE_MS,
  type SearchReply,
  type SearchRequest,
} from './search-message.js';
import type { ShardState } from './shard-state.js';
import type { KeyList } from './write-message.js';

/** Whose requests are answered, and with what. */
export interface EndpointsOptions {
  readonly connection: NatsConnection;
  readonly names: ClusterNames;
  readonly epoch: number;
  readonly shard: number;
  readonly replica: string;
  /** The shard as it is now; another after it was loaded anew. */
  readonly state: () => ShardState;
  /** Begins to put a snapshot into the object store. */
  readonly checkpoint: () => void;
}

/** What was asked of a replica. */
export interface EndpointCounts {
  /** Requests that came. */
  readonly requests: number;
  /** Of those: a second time, since another replica was late. */
  readonly hedges: number;
  /** Answered with an error. */
  readonly errors: number;
  /** Damaged or hostile: not understood. */
  readonly rejected: number;
  /** Not begun, or not answered, since nobody waited any more. */
  readonly late: number;
  /** Milliseconds of work and waiting, all requests together. */
  readonly ms: number;
}

const REMEMBERED_IDS = 4096;
const MOST_TRIES = 10;
/** Room for what goes around a reply. */
const OVERHEAD_BYTES = 4096;
/** Of a key and a score, at least. */
const RESULT_BYTES = 12;

/** Answers searches and questions to a shard, until it is closed. */
export class Endpoints {
  readonly #subscriptions: Subscription[] = [];
  /** Ids of searches that came lately: whoever asks again means another replica. */
  readonly #ids = new Set<string>();
  readonly #counts = { requests: 0, hedges: 0, errors: 0, rejected: 0, late: 0, ms: 0 };

  constructor(private readonly options: EndpointsOptions) {}

  get counts(): EndpointCounts {
    return this.#counts;
  }

  /** From now on requests come here. */
  open(): void {
    const { connection, names, epoch, shard } = this.options;
    const queue = `shard-${shard}`;
    const on = (subject: string, answer: (message: Msg) => void, group?: string) => {
      const callback = (error: Error | null, message: Msg) => {
        if (error === null) answer(message);
      };
      this.#subscriptions.push(
        connection.subscribe(subject, { callback, ...(group !== undefined && { queue: group }) }),
      );
    };
    on(names.search(epoch), (message) => void this.#search(message, false), queue);
    on(names.hedge(epoch, shard), (message) => void this.#search(message, true));
    on(names.ask(epoch, shard), (message) => void this.#ask(message), queue);
  }

  /** No more requests come; those that have come are answered. */
  async close(): Promise<void> {
    const open = this.#subscriptions.splice(0);
    await Promise.allSettled(open.map((subscription) => subscription.drain()));
  }

  async #search(message: Msg, isHedge: boolean): Promise<void> {
    const since = performance.now();
    const { replica, shard } = this.options;
    const state = this.options.state();
    let request: SearchRequest;
    try {
      request = decodeSearch(message.data, state.index.dim);
    } catch (error) {
      this.#counts.rejected++;
      message.respond(encodeFailure(shard, replica, error));
      return;
    }
    if (!this.#isNew(request.id)) return;
    const { withinMs } = request;
    await this.#answer(message, since, isHedge, async () => {
      if (!(await state.reaches(request.after[shard] ?? 0, withinMs))) throw behind(state);
      if (performance.now() - since > withinMs) return undefined;
      const rows = request.queries.length / state.index.dim;
      const results = rows * Math.min(request.options.k ?? 10, state.index.size);
      // Whoever asks for so much at once is no client, and must not fill the memory.
      if (rows > 1) this.#requireRoom(results * RESULT_BYTES);
      const reply = await searchSteadily(state, request, shard, replica);
      return performance.now() - since > withinMs ? undefined : encodeReply(reply);
    });
  }

  async #ask(message: Msg): Promise<void> {
    const since = performance.now();
    const { state, replica, checkpoint } = this.options;
    await this.#answer(message, since, false, () =>
      answerQuestion(state(), message.data, { replica, checkpoint }, (bytes) =>
        this.#requireRoom(bytes),
      ),
    );
  }

  async #answer(
    message: Msg,
    since: number,
    isHedge: boolean,
    make: () => Promise<Uint8Array | undefined>,
  ): Promise<void> {
    const { replica, shard, connection } = this.options;
    const counts = this.#counts;
    counts.requests++;
    if (isHedge) counts.hedges++;
    let reply: Uint8Array | undefined;
    try {
      reply = await make();
      if (reply !== undefined) this.#requireRoom(reply.length);
    } catch (error) {
      counts.errors++;
      if (error instanceof LichenError && error.code === 'ERR_LICHEN_FORMAT') counts.rejected++;
      reply = encodeFailure(shard, replica, error);
    }
    counts.ms += performance.now() - since;
    if (reply === undefined) counts.late++;
    else if (!connection.isClosed()) message.respond(reply);
  }

  /** @throws ERR_LICHEN_UNSUPPORTED for an answer that NATS would not take. */
  #requireRoom(bytes: number): void {
    const most = (this.options.connection.info?.max_payload ?? 2 ** 20) - OVERHEAD_BYTES;
    if (bytes > most) throw tooLong(bytes, most);
  }

  #isNew(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    const [oldest] = this.#ids;
    if (this.#ids.size > REMEMBERED_IDS) this.#ids.delete(oldest!);
    return true;
  }
}

function behind(state: ShardState): LichenError {
  const message = `this replica has not come further than change ${state.sequence} in time`;
  return new LichenError('ERR_LICHEN_NOT_READY', message);
}

function tooLong(bytes: number, most: number): LichenError {
  const message = `the answer has ${bytes} bytes, and NATS takes ${most}: ask for less at a time`;
  return new LichenError('ERR_LICHEN_UNSUPPORTED', message);
}

/** A key that was found may be removed before more is asked of it: then the search is made anew. */
async function searchSteadily(...search: Parameters<typeof searchShard>): Promise<SearchReply> {
  for (let tries = 1; ; tries++) {
    try {
      return await searchShard(...search);
    } catch (error) {
      const isGone = error instanceof LichenError && error.code === 'ERR_LICHEN_UNKNOWN_KEY';
      if (!isGone || tries === MOST_TRIES) throw error;
    }
  }
}

/** @throws what a search throws. */
async function searchShard(
  state: ShardState,
  { queries, options, exclude, only }: SearchRequest,
  shard: number,
  replica: string,
): Promise<SearchReply> {
  const { index, sequence } = state;
  const { size, dim } = index;
  const rows = queries.length / dim;
  const from = { shard, replica, sequence, size };
  const noKeys: KeyList = index.keyKind === 'string' ? [] : new Float64Array();
  const { k, score, groupBy, ...rest } = options;
  const wanted = Math.min(k ?? 10, size);
  if (size === 0) {
    const nothing = { scores: new Float32Array(), counts: new Uint32Array(rows) };
    return { ...from, ...nothing, keys: noKeys, groups: groupBy === undefined ? undefined : [] };
  }
  const filter = only && index.filter(present(index, only));
  const lists = exclude && listsOf(exclude);
  if (score !== undefined) {
    if (rows !== 1) throw broken('it asks several queries at once for all that is near');
    const { ef, recall, exact, where } = rest;
    const narrowed = { ef, recall, exact, where, filter, exclude: lists?.[0] };
    const found = await index.searchWithin(queries, { score, ...narrowed });
    const counts = Uint32Array.of(found.scores.length);
    return { ...from, counts, ...{ keys: found.keys, scores: found.scores }, groups: undefined };
  }
  const found = await index.searchBatch(queries, {
    ...{ ...rest, k: wanted, groupBy, filter, exclude: lists },
  });
  const { keys, scores } = packed(found.keys, found.scores, found.counts, wanted);
  const groups = groupBy === undefined ? undefined : groupsOf(index, keys, groupBy);
  return { ...from, counts: found.counts, keys, scores, groups };
}

/** Results without the places that are not taken. */
function packed(keys: KeyList, scores: Float32Array, counts: Uint32Array, k: number) {
  if (counts.every((count) => count === k)) return { keys, scores };
  const rows = Array.from(counts, (count, query) =>
    Array.from({ length: count }, (_, at) => query * k + at),
  ).flat();
  return {
    keys:
      keys instanceof Float64Array
        ? Float64Array.from(rows, (row) => keys[row]!)
        : rows.map((row) => keys[row]!),
    scores: Float32Array.from(rows, (row) => scores[row]!),
  };
}

function groupsOf(index: VectorIndex<Key>, keys: KeyList, groupBy: string) {
  if (keys.length === 0) return [];
  const values = index.attributesOf(keys)[groupBy]!;
  return Array.from(values as ArrayLike<string | number | null>, (value) =>
    typeof value === 'number' && Number.isNaN(value) ? null : value,
  );
}

function listsOf({ keys, ends }: NonNullable<SearchRequest['exclude']>) {
  return Array.from(ends, (end, query) => keys.slice(ends[query - 1] ?? 0, end));
}

function present(index: VectorIndex<Key>, keys: KeyList): KeysInput<Key> {
  if (keys instanceof Float64Array) return keys.filter((key) => index.has(key));
  return keys.filter((key) => index.has(key));
}

/**
 * A question about keys (`fetch`: vectors and attributes of those that are there) or about a change (`outcome`), or the
 * wish for a `checkpoint`.
 */
async function answerQuestion(
  state: ShardState,
  bytes: Uint8Array,
  { replica, checkpoint }: { readonly replica: string; readonly checkpoint: () => void },
  requireRoom: (bytes: number) => void,
): Promise<Uint8Array> {
  const { header, sections } = decodeFrame(bytes);
  const { ask, after, withinMs, sequence } = header;
  const wait = typeof withinMs === 'number' ? Math.min(withinMs, MOST_DEADLINE_MS) : 0;
  switch (ask) {
    case 'outcome':
      if (!Number.isSafeInteger(sequence)) throw broken('it names no change');
      await state.reaches(sequence as number, wait);
      return encodeFrame({ outcome: state.outcomeOf(sequence as number) }, []);
    case 'fetch':
      if (!(await state.reaches(Number(after) || 0, wait))) throw behind(state);
      return fetchRows(state.index, header, sections, requireRoom);
    case 'checkpoint':
      if (!(await state.reaches(Number(after) || 0, wait))) throw behind(state);
      // Whoever asks sees by the key-value store when it is there, and by this replica's statistics if it cannot be.
      checkpoint();
      return encodeFrame({ sequence: state.sequence, replica }, []);
    default:
      throw broken('it asks nothing that is known');
  }
}

function fetchRows(
  index: VectorIndex<Key>,
  { isInteger, wantsVectors, wantsAttributes }: Readonly<Record<string, unknown>>,
  [first]: readonly Uint8Array[],
  requireRoom: (bytes: number) => void,
): Uint8Array {
  const keys = isInteger === true ? float64sOf(first) : (listOf(first) as string[]);
  const found = Array.from(keys as ArrayLike<Key>, (key) => (index.has(key) ? 1 : 0));
  const rows = found.flatMap((is, at) => (is === 1 ? [at] : []));
  if (wantsVectors === true) requireRoom(4 * rows.length * index.dim);
  const vectors = new Float32Array(wantsVectors === true ? rows.length * index.dim : 0);
  if (wantsVectors === true) {
    rows.forEach((row, at) => vectors.set(index.get(keys[row]!) ?? [], at * index.dim));
  }
  const columns: AttributesOf =
    wantsAttributes === true && rows.length > 0
      ? index.attributesOf(rows.map((row) => keys[row]!) as unknown as KeysInput<Key>)
      : {};
  const names = Object.keys(columns);
  return encodeFrame({ found, columns: names }, [
    vectors,
    ...names.map((name) => sectionOf(columns[name]!)),
  ]);
}
