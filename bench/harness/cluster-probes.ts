// What a search of a cluster is made of, measured a piece at a time.

import type * as frames from '../../src/cluster/frame.js';
import type * as merging from '../../src/cluster/merge.js';
import type * as messages from '../../src/cluster/search-message.js';
import type { ClusterIndex } from '../../src/index.js';
import { closedLoop } from './closed-loop.js';
import type { Deployment } from './cluster-fleet.js';
import { compiledPart } from './compiled.js';

/** Requests of all kinds, for vectors in turn. */
export interface Searches {
  readonly queries: readonly Float32Array[];
  readonly k: number;
  readonly ef: number;
}

/** Pieces of a search, in microseconds. */
export interface Pieces {
  /** Of a message to a replica that has nothing to do for it, and back. */
  readonly roundTripUs: Float64Array;
  /** Of a search of one shard alone, without that. */
  readonly shardUs: Float64Array;
  /** Putting the answers of all shards together. */
  readonly mergeUs: number;
}

const TIMEOUT_MS = 10_000;
const MERGES = 2000;

export function searchOf(index: ClusterIndex, { queries, k, ef }: Searches) {
  return (at: number) => index.search(queries[at % queries.length]!, { k, ef });
}

/** Asks one shard by itself, all its replicas at once: the first answer counts. */
export function shardAsker({ cluster: { connection, names }, index }: Deployment) {
  const { encodeSearch } = compiledPart<typeof messages>('cluster/search-message.js');
  const { epoch } = index.map;
  const idOf = searchIds();
  return (shard: number, queries: Float32Array, options: messages.ShardSearchOptions) =>
    connection.request(
      names.hedge(epoch, shard),
      encodeSearch(searchOfAll(idOf(), queries, options)),
      { timeout: TIMEOUT_MS },
    );
}

/** Asks every shard, one replica of each, without a `ClusterIndex`, and waits for all answers. */
export function bareSearch({ cluster: { connection, names }, index, shards }: Deployment) {
  const { encodeSearch } = compiledPart<typeof messages>('cluster/search-message.js');
  const subject = names.search(index.map.epoch);
  const idOf = searchIds();
  return async (queries: Float32Array, options: messages.ShardSearchOptions) => {
    const payload = encodeSearch(searchOfAll(idOf(), queries, options));
    const count = { strategy: 'count', maxMessages: shards, maxWait: TIMEOUT_MS } as const;
    for await (const answer of await connection.requestMany(subject, payload, count)) {
      if (answer instanceof Error) throw answer;
    }
  };
}

function searchIds(): () => string {
  const run = `${process.pid}-${performance.now()}`;
  let count = 0;
  return () => `${run}-${count++}`;
}

function searchOfAll(id: string, queries: Float32Array, options: messages.ShardSearchOptions) {
  const within = { after: [], withinMs: TIMEOUT_MS };
  return { id, queries, options, exclude: undefined, only: undefined, ...within };
}

/** Messages to shards in turn that have nothing to do for them, and back, in microseconds. */
export async function measureRoundTrip(
  { cluster: { connection, names }, index, shards }: Deployment,
  seconds: number,
): Promise<Float64Array> {
  const { encodeFrame } = compiledPart<typeof frames>('cluster/frame.js');
  const nothing = encodeFrame({ ask: 'outcome', sequence: 0, withinMs: 0 }, []);
  const { micros } = await closedLoop(1, seconds, (at) =>
    connection.request(names.ask(index.map.epoch, at % shards), nothing, { timeout: TIMEOUT_MS }),
  );
  return micros;
}

/** Measures the pieces, each for so long, one request at a time. */
export async function measurePieces(
  deployment: Deployment,
  { queries, k, ef }: Searches,
  seconds: number,
): Promise<Pieces> {
  const { decodeFrame } = compiledPart<typeof frames>('cluster/frame.js');
  const { mergeReplies } = compiledPart<typeof merging>('cluster/merge.js');
  const { replyOf } = compiledPart<typeof messages>('cluster/search-message.js');
  const { shards } = deployment;
  const ask = shardAsker(deployment);
  const alone = (shard: number, at: number) => ask(shard, queries[at % queries.length]!, { k, ef });
  const roundTripUs = await measureRoundTrip(deployment, seconds);
  const { micros: aloneUs } = await closedLoop(1, seconds, (at) => alone(at % shards, at));
  const replies: Uint8Array[] = [];
  for (let shard = 0; shard < shards; shard++) {
    replies.push((await alone(shard, aloneUs.length + shard)).data);
  }
  const started = performance.now();
  for (let at = 0; at < MERGES; at++) {
    const taken = replies.map((bytes) => replyOf(decodeFrame(bytes), 1, 'integer'));
    mergeReplies(taken, 1, { metric: 'l2', k, isInteger: true, groupSize: undefined });
  }
  const mergeUs = ((performance.now() - started) * 1000) / MERGES;
  const roundTrip = roundTripUs.slice().sort()[roundTripUs.length >> 1]!;
  return {
    ...{ roundTripUs, mergeUs },
    shardUs: aloneUs.map((micros) => Math.max(1, micros - roundTrip)),
  };
}
