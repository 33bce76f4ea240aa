import type { StreamInfo } from '@nats-io/jetstream';
import type { Cluster } from './connection.js';
import type { ShardState, StreamChange } from './shard-state.js';

/** So long after another server has begun to lead a stream its changes are compared. */
const AUDIT_MS = 30_000;
/** Changes before the last calm moment that are compared as well. */
const MARGIN = 500;
const MOST_CHANGES = 10_000;
const AT_ONCE = 32;

/**
 * Sees to it that a replica has done what the leader of its stream holds. A replica reads from whichever server its consumer
 * is on. Under NATS 2.9 a server that was cut off while it led a stream could come to hold other changes under some numbers
 * than the others do, for good; a change that a majority had acknowledged was then missing in what it gave out. So after
 * every change of leaders the last changes are read from the leader, and done where they are missing.
 */
export class Auditor {
  #leader: string | undefined;
  #until = 0;
  /** Numbers from here on are to be compared, as the present leader has them. */
  #from: number;
  #calm: number;
  #isFirst = true;

  constructor(
    private readonly cluster: Cluster,
    private readonly stream: string,
    private readonly state: ShardState,
  ) {
    this.#calm = state.sequence;
    this.#from = state.sequence;
  }

  /** @returns changes that were missing and are done now. @throws what NATS or a change throws. */
  async look({ cluster, state }: StreamInfo): Promise<number> {
    const leader = cluster === undefined ? '' : cluster.leader;
    const now = performance.now();
    if (leader !== this.#leader || this.#isFirst) {
      this.#leader = leader;
      this.#until = now + AUDIT_MS;
      this.#from = Math.min(this.#from, this.#calm) - MARGIN;
    }
    // While nobody leads nothing is acknowledged.
    if (leader === undefined) return 0;
    if (now > this.#until) {
      this.#calm = this.state.sequence;
      this.#from = this.#calm;
      return 0;
    }
    this.#isFirst = false;
    const done = this.state.sequence;
    const from = Math.max(this.#from, state.first_seq, state.last_seq - MOST_CHANGES, 1);
    const { manager } = this.cluster;
    const changes = await readChanges(manager, this.stream, from, state.last_seq);
    let mended = 0;
    if (!this.state.hasAll(changes)) {
      // Once more, while the replica does nothing else, so that what comes later is known.
      mended = await this.state.mend(async () => {
        const { state: end } = await manager.streams.info(this.stream);
        return readChanges(manager, this.stream, from, end.last_seq);
      });
    }
    this.#from = Math.min(state.last_seq, done) + 1;
    return mended;
  }
}

/** What the leader of a stream holds, in order; what is trimmed, or to come, is left out. */
export async function readChanges(
  { streams }: Cluster['manager'],
  stream: string,
  from: number,
  to: number,
): Promise<StreamChange[]> {
  const changes: StreamChange[] = [];
  for (let begin = from; begin <= to; begin += AT_ONCE) {
    const count = Math.min(AT_ONCE, to - begin + 1);
    const some = await Promise.all(
      Array.from({ length: count }, (_, at) =>
        streams.getMessage(stream, { seq: begin + at }).catch((error: unknown) => {
          if (/no message found/i.test((error as Error).message)) return null;
          throw error;
        }),
      ),
    );
    for (const message of some) if (message !== null) changes.push(message);
  }
  return changes;
}
