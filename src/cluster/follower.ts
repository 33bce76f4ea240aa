import { natsError, type Cluster } from './connection.js';
import { pause } from './pause.js';
import { readChanges } from './auditor.js';
import type { ShardState, StreamChange } from './shard-state.js';

/** What {@link followStream} tells. */
export interface FollowerEvents {
  /** Changes were missed that the stream has no more: the shard must be loaded anew. Following has ended. */
  onGap(): void;
  /** This replica cannot do what the others do. Following has ended. */
  onFailure(error: unknown): void;
  /** NATS cannot be asked at present; it is tried again. */
  onTrouble(error: unknown): void;
}

const AHEAD = 256;
/** A pull lasts so long, and two heartbeats that do not come make it anew. */
const PULL_MS = 5000;
const HEARTBEAT_MS = 500;
const AGAIN_MS = 200;
/** A change that is waited for longer is asked for by itself. */
const DIRECT_AFTER_MS = 20;

/** Why following has come to an end: the stream itself, what is missing in it, this replica, or NATS for now. */
type End = 'ended' | 'gap' | 'failed' | 'again';

/**
 * Does the changes of a stream, in their order and each once, from behind the last that the state has, until it is told to
 * stop. The consumer is ordered: it is made anew behind what came last whenever something is missing or silent.
 */
export function followStream(
  { jetstream, manager }: Pick<Cluster, 'jetstream' | 'manager'>,
  stream: string,
  state: ShardState,
  events: FollowerEvents,
): { stop(): Promise<void> } {
  let isStopped = false;
  let stopMessages: (() => void) | undefined;
  let wake: (() => void) | undefined;

  const apply = async (changes: readonly StreamChange[]): Promise<boolean> => {
    try {
      await state.apply(changes);
      return true;
    } catch (error) {
      events.onFailure(error);
      return false;
    }
  };

  /**
   * Does changes that came. A server that was killed may hand out its stream with holes from then on, as NATS 2.9 does: what
   * the leader has of them is done before what came after.
   */
  const doAll = async (changes: readonly StreamChange[]): Promise<End> => {
    const last = changes.at(-1)!.seq;
    if (!(await apply(changes))) return 'failed';
    try {
      while (state.sequence < last && !isStopped) {
        const from = state.sequence + 1;
        const { state: held } = await manager.streams.info(stream);
        if (held.first_seq > from) return 'gap';
        const missing = readChanges(manager, stream, from, Math.min(last, from + AHEAD - 1));
        if (!(await apply(await missing))) return 'failed';
        if (state.sequence < from) return 'gap';
      }
      return 'ended';
    } catch (error) {
      events.onTrouble(natsError(`reading the stream ${stream}`, error));
      return 'again';
    }
  };

  const once = async (): Promise<End> => {
    const consumer = await jetstream.consumers.get(stream, { opt_start_seq: state.sequence + 1 });
    const messages = await consumer.consume({
      ...{ max_messages: AHEAD, expires: PULL_MS, idle_heartbeat: HEARTBEAT_MS },
    });
    stopMessages = () => messages.stop();
    if (isStopped) messages.stop();
    let end: End = 'ended';
    const come: StreamChange[] = [];
    let working: Promise<void> | undefined;
    /** Does what has come, and what comes meanwhile: the more that is, the more goes together. */
    const work = async (): Promise<void> => {
      while (come.length > 0 && end === 'ended') end = await doAll(come.splice(0));
      working = undefined;
      if (end !== 'ended') messages.stop();
    };
    try {
      for await (const { seq, data } of messages) {
        if (isStopped || end !== 'ended') break;
        if (seq <= state.sequence) continue;
        come.push({ seq, data });
        working ??= work();
        if (come.length >= AHEAD) await working;
      }
      await working;
      return end;
    } finally {
      messages.stop();
      stopMessages = undefined;
    }
  };

  /** A consumer dies with its server, and making another takes NATS seconds; single changes any server gives out. */
  let fetching: Promise<void> | undefined;
  const fetchUpTo = async (last: number): Promise<void> => {
    await pause(DIRECT_AFTER_MS);
    while (!isStopped && state.sequence < last) {
      const message = await manager.direct.getMessage(stream, { seq: state.sequence + 1 });
      if (message === null || message.seq !== state.sequence + 1) return;
      await apply([message]);
    }
  };
  state.onWait = (sequence) => {
    fetching ??= fetchUpTo(sequence)
      // Not there yet, or nobody to ask: the consumer brings it.
      .catch(() => undefined)
      .finally(() => (fetching = undefined));
  };

  const run = async (): Promise<void> => {
    while (!isStopped) {
      const before = state.sequence;
      try {
        const end = await once();
        if (end === 'gap') events.onGap();
        if (end === 'gap' || end === 'failed') return;
      } catch (error) {
        if (!isStopped) events.onTrouble(natsError(`reading the stream ${stream}`, error));
      }
      if (isStopped || state.sequence > before) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, AGAIN_MS).unref();
      });
    }
  };

  const running = run();
  return {
    async stop() {
      isStopped = true;
      stopMessages?.();
      wake?.();
      state.onWait = () => undefined;
      await Promise.all([running, fetching]);
      await state.idle();
    },
  };
}
