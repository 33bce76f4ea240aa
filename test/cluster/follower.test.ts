import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { AppliedIds } from '../../src/cluster/applied-ids.js';
import type { Cluster } from '../../src/cluster/connection.js';
import { followStream } from '../../src/cluster/follower.js';
import { ShardState, type StreamChange } from '../../src/cluster/shard-state.js';
import { encodeWrite, type WriteRules } from '../../src/cluster/write-message.js';
import { resolveSchema } from '../../src/index/attributes.js';
import { FlatIndex } from '../../src/index/flat.js';
import type { Key } from '../../src/index/types.js';

const RULES: WriteRules = { dim: 1, keys: 'integer', schema: resolveSchema({}) };
const COUNT = 600;

const CHANGES: StreamChange[] = Array.from({ length: COUNT }, (_, at) => ({
  seq: at + 1,
  data: encodeWrite({
    ...{ kind: 'upsert', id: `${at}`, columns: undefined },
    ...{ keys: Float64Array.of(at), vectors: Float32Array.of(at) },
  }),
}));

interface Stream {
  /** Whether the server that the consumer is on hands a change out. */
  readonly isHandedOut: (seq: number) => boolean;
  /** Whether the leader has it. */
  readonly isHeld?: (seq: number) => boolean;
  readonly first?: number;
  /** Questions to the leader that fail before one is answered. */
  readonly failures?: number;
}

/** A stream of as much of NATS as following one needs. */
function clusterOf({ isHandedOut, isHeld = () => true, first = 1, failures = 0 }: Stream) {
  let left = failures;
  const info = async () => {
    await sleep(0);
    if (left-- > 0) throw new Error('timeout');
    return { state: { first_seq: first, last_seq: COUNT } };
  };
  const getMessage = async (_: string, { seq }: { seq: number }) => {
    await sleep(0);
    if (seq < first || !isHeld(seq)) throw new Error('no message found');
    return CHANGES[seq - 1];
  };
  const get = (_: string, { opt_start_seq: from }: { opt_start_seq: number }) => {
    let stop = (): void => undefined;
    const stopped = new Promise<void>((resolve) => (stop = resolve));
    async function* messages() {
      for (const change of CHANGES.slice(Math.max(from, first) - 1)) {
        if (isHandedOut(change.seq)) yield change;
      }
      await stopped;
    }
    return Promise.resolve({
      consume: () => Promise.resolve(Object.assign(messages(), { stop: () => stop() })),
    });
  };
  const direct = { getMessage: () => Promise.resolve(null) };
  const manager = { streams: { info, getMessage }, direct };
  return { jetstream: { consumers: { get } }, manager } as unknown as Cluster;
}

/** Follows until all is done, or it cannot go on. */
async function follow(stream: Stream) {
  const index = new FlatIndex<Key>({ dim: 1, metric: 'l2' });
  const state = new ShardState(index, RULES, new AppliedIds(), 0);
  const said: string[] = [];
  let follower: { stop(): Promise<void> } | undefined;
  await new Promise<void>((resolve) => {
    const end = (what: string) => {
      said.push(what);
      resolve();
    };
    follower = followStream(clusterOf(stream), 's', state, {
      onGap: () => end('gap'),
      onFailure: (error) => end(`failure: ${String(error)}`),
      onTrouble: () => said.push('trouble'),
    });
    void state.reaches(COUNT, 20_000).then(() => resolve());
  });
  await follower!.stop();
  const keys = [...(index.keys() as unknown as Float64Array)].sort((a, b) => a - b);
  return { said, keys, sequence: state.sequence };
}

const upTo = (count: number) => Array.from({ length: count }, (_, at) => at);

describe('following a stream', () => {
  it('does all changes', async () => {
    const all = { said: [], keys: upTo(COUNT), sequence: COUNT };
    expect(await follow({ isHandedOut: () => true })).toEqual(all);
  });

  it('has the leader give what is missing on another server, few or many', async () => {
    const all = { said: [], keys: upTo(COUNT), sequence: COUNT };
    expect(await follow({ isHandedOut: (seq) => seq % 7 !== 3 })).toEqual(all);
    expect(await follow({ isHandedOut: (seq) => seq < 3 || seq > 590 })).toEqual(all);
  });

  it('asks again while the leader does not answer', async () => {
    const { said, keys } = await follow({ isHandedOut: (seq) => seq !== 5, failures: 2 });
    expect(said).toEqual(['trouble', 'trouble']);
    expect(keys).toEqual(upTo(COUNT));
  });

  it('tells of a gap where the leader does not have it either', async () => {
    const trimmed = await follow({ isHandedOut: (seq) => seq > 20, first: 21 });
    expect(trimmed).toEqual({ said: ['gap'], keys: [], sequence: 0 });
    const lost = (seq: number) => seq !== 9;
    const { said, sequence } = await follow({ isHandedOut: lost, isHeld: lost });
    expect({ said, sequence }).toEqual({ said: ['gap'], sequence: 8 });
  });
});
