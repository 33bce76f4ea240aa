import { LichenError } from '../errors.js';
import { Auditor } from './auditor.js';
import { isNotFound, messageOf, natsError } from './connection.js';
import { Endpoints, type EndpointCounts } from './endpoints.js';
import { followStream } from './follower.js';
import { preparedKey, readCheckpoint, type Checkpoint } from './shard-map.js';
import {
  checkpointShard,
  differs,
  loadShard,
  removeFiles,
  saveOwn,
  type ShardPlace,
} from './shard-files.js';
import type { ShardCounts, ShardState } from './shard-state.js';
import { pause } from './pause.js';

/** What a replica is told besides its place. */
export interface EpochReplicaOptions extends ShardPlace {
  readonly replica: string;
  /** Changes after the last checkpoint from which this replica makes one. */
  readonly checkpointEvery: number;
  readonly onEvent: (text: string) => void;
  /** It cannot go on. */
  readonly onFailure: (error: unknown) => void;
}

/** A replica's shard in one epoch. */
export interface EpochStatistics {
  /** Its number. */
  readonly epoch: number;
  /** Whether it answers. */
  readonly isReady: boolean;
  /** The version of the model that made its vectors. */
  readonly modelVersion: string | undefined;
  /** The last change that searches find. */
  readonly sequence: number;
  /** Changes of the stream that it has not done yet, as of the last look at it; undefined before the first. */
  readonly lag: number | undefined;
  /** The change that the newest checkpoint ends with. */
  readonly checkpoint: number;
  /** Why this replica could not make the last checkpoint that it began; undefined if it could. */
  readonly checkpointError: string | undefined;
  /** Vectors in the shard. */
  readonly size: number;
  /** Bytes of memory. */
  readonly bytes: number;
  /** Rows removed or replaced that still take memory. */
  readonly dead: number;
  /** What became of changes. */
  readonly changes: ShardCounts;
  /** What became of requests. */
  readonly requests: EndpointCounts;
}

/** Dead rows from which a checkpoint leaves them out: this share of all. */
const DEAD_SHARE = 0.1;
/** A server that was cut off may tell of a stream as it was. */
const MOST_LOOKS_BACK = 10;
const AGAIN_MS = 500;
const TELL_EVERY_S = 5;
const MOST_TRIES = 5;

/**
 * One shard of one epoch: it is loaded, follows its stream, and answers from when it has caught up with what the stream
 * held at that moment.
 */
export class EpochReplica {
  readonly #options: EpochReplicaOptions;
  readonly #endpoints: Endpoints;
  #state: ShardState | undefined;
  #follower: { stop(): Promise<void> } | undefined;
  #auditor: Auditor | undefined;
  #isReady = false;
  #isClosed = false;
  #lag: number | undefined;
  #checkpoint = 0;
  #checkpointing: Promise<void> | undefined;
  #checkpointError: string | undefined;
  #lastTrouble = '';
  /** Looks at the stream, one after another, that found it to end before what was done. */
  #looksBack = 0;
  /** Whether following has ended since changes are missing. */
  #hasGap = false;

  constructor(options: EpochReplicaOptions) {
    this.#options = options;
    const { cluster, map, shard, replica } = options;
    this.#endpoints = new Endpoints({
      ...{ connection: cluster.connection, names: cluster.names, epoch: map.epoch },
      ...{ shard, replica, state: () => this.#state!, checkpoint: () => this.#checkpointLater() },
    });
  }

  get map() {
    return this.#options.map;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get state(): ShardState | undefined {
    return this.#state;
  }

  /**
   * Loads the shard and answers once it has caught up.
   * @throws as {@link loadShard}; ERR_LICHEN_CLOSED.
   */
  async start(): Promise<void> {
    const { map, shard, onEvent } = this.#options;
    const since = performance.now();
    const state = await loadShard(this.#options);
    if (this.#isClosed) {
      state.index.close();
      throw closed();
    }
    this.#state = state;
    this.#follow(state);
    const from = state.sequence;
    await this.#catchUp();
    this.#endpoints.open();
    this.#isReady = true;
    await this.#tellPrepared();
    const seconds = ((performance.now() - since) / 1000).toFixed(2);
    onEvent(
      `shard ${shard} of epoch ${map.epoch} is ready after ${seconds} s: ${state.index.size} vectors, ` +
        `from snapshot ${from} to change ${state.sequence}`,
    );
  }

  /** Looks how far the stream is, and makes a checkpoint where one is due. To be called now and then. */
  async tick(): Promise<void> {
    const state = this.#state;
    if (state === undefined || !this.#isReady) return;
    const { cluster, map, shard, checkpointEvery, replica, onEvent } = this.#options;
    const streamInfo = await this.#streamInfo();
    const info = streamInfo.state;
    this.#lag = Math.max(0, info.last_seq - state.sequence);
    if (info.first_seq > state.sequence + 1) {
      return this.#loadAnew('has missed changes that are only in a snapshot by now');
    }
    this.#looksBack = info.last_seq < state.sequence ? this.#looksBack + 1 : 0;
    if (this.#looksBack >= MOST_LOOKS_BACK) {
      return this.#loadAnew('has changes that its stream has lost', false);
    }
    const mended = await this.#auditor!.look(streamInfo);
    if (mended > 0) onEvent(`shard ${shard}: ${mended} changes were missing, and are done now`);
    const bucket = await cluster.bucket();
    const stored = await readCheckpoint(bucket, map.epoch, shard);
    this.#checkpoint = stored?.checkpoint.sequence ?? 0;
    if (stored !== undefined && differs(state, stored.checkpoint)) {
      return this.#loadAnew('has other changes than the last checkpoint', false);
    }
    if (state.sequence - this.#checkpoint < checkpointEvery) return;
    if (this.#checkpointing !== undefined || !(await this.#claims(replica))) return;
    this.#checkpointLater();
  }

  /** Writes a snapshot into the object store, unless one is being written. */
  checkpoint(): Promise<void> {
    if (this.#checkpointing !== undefined) return this.#checkpointing;
    this.#checkpointError = undefined;
    this.#checkpointing = this.#makeCheckpoint()
      .catch((error: unknown) => {
        this.#checkpointError = messageOf(error);
        throw error;
      })
      .finally(() => {
        this.#checkpointing = undefined;
      });
    return this.#checkpointing;
  }

  statistics(): EpochStatistics {
    // An index that is closed tells nothing.
    const state = this.#isClosed ? undefined : this.#state;
    return {
      ...{ epoch: this.map.epoch, isReady: this.#isReady, modelVersion: this.map.modelVersion },
      ...{ sequence: state?.sequence ?? 0, lag: this.#lag, checkpoint: this.#checkpoint },
      checkpointError: this.#checkpointError,
      ...{ size: state?.index.size ?? 0, bytes: state?.index.bytes ?? 0 },
      dead: state?.index.dead ?? 0,
      changes: state?.counts ?? { applied: 0, rejected: 0, duplicates: 0, mended: 0 },
      requests: this.#endpoints.counts,
    };
  }

  /**
   * Answers what has come, and lets go of the index.
   * @param keep `save`: the shard as it is, for the next start; `nothing`: its files go.
   */
  async close(keep: 'save' | 'files' | 'nothing'): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { cluster, map, shard, replica } = this.#options;
    const wasReady = this.#isReady;
    this.#isReady = false;
    if (!cluster.connection.isClosed()) await this.#endpoints.close();
    await this.#follower?.stop();
    await this.#checkpointing?.catch(() => undefined);
    const state = this.#state;
    if (state === undefined) return;
    try {
      if (keep === 'save' && wasReady) await saveOwn(this.#options, state);
      if (keep === 'nothing') await removeFiles(this.#options);
    } finally {
      state.index.close();
    }
    const bucket = await cluster.bucket();
    await bucket.delete(preparedKey(map.epoch, shard, replica)).catch(() => undefined);
  }

  #follow(state: ShardState): void {
    this.#hasGap = false;
    const { cluster, map, shard, onEvent, onFailure } = this.#options;
    const stream = cluster.names.stream(map.epoch, shard);
    this.#auditor = new Auditor(cluster, stream, state);
    this.#follower = followStream(cluster, stream, state, {
      onGap: () => {
        this.#hasGap = true;
        void this.#loadAnew('has missed changes that are only in a snapshot by now');
      },
      onFailure,
      onTrouble: (error) => {
        const text = (error as Error).message;
        if (text !== this.#lastTrouble) onEvent(text);
        this.#lastTrouble = text;
      },
    });
  }

  /** Waits until what the stream holds now is done. @throws ERR_LICHEN_IO when changes are missing. */
  async #catchUp(): Promise<void> {
    const { shard, onEvent } = this.#options;
    const { last_seq: last } = (await this.#streamInfo()).state;
    for (let seconds = 1; !(await this.#state!.reaches(last, 1000)); seconds++) {
      if (this.#isClosed) throw closed();
      if (seconds % TELL_EVERY_S === 0) {
        onEvent(`shard ${shard} has come to change ${this.#state!.sequence} of ${last}`);
      }
      if (!this.#hasGap) continue;
      const message = `changes of shard ${shard} after ${this.#state!.sequence} are missing`;
      throw new LichenError('ERR_LICHEN_IO', message);
    }
  }

  /** From the newest snapshot on. @param trustsOwn whether that may be one of this replica. */
  async #loadAnew(why: string, trustsOwn = true): Promise<void> {
    const { shard, onEvent, onFailure } = this.#options;
    // While it is being loaded, who loads it sees to that.
    if (this.#isClosed || !this.#isReady) return;
    this.#isReady = false;
    this.#looksBack = 0;
    onEvent(`this replica of shard ${shard} ${why}: it is loaded anew`);
    await this.#endpoints.close();
    for (;;) {
      try {
        return await this.#replace(trustsOwn);
      } catch (error) {
        if (this.#isClosed) return;
        if ((error as LichenError).code !== 'ERR_LICHEN_IO') return onFailure(error);
        onEvent((error as Error).message);
        await pause(AGAIN_MS);
      }
    }
  }

  async #replace(trustsOwn: boolean): Promise<void> {
    await this.#follower?.stop();
    const old = this.#state!;
    const state = await loadShard(this.#options, trustsOwn);
    this.#state = state;
    old.index.close();
    if (this.#isClosed) return state.index.close();
    this.#follow(state);
    await this.#catchUp();
    this.#endpoints.open();
    this.#isReady = true;
  }

  /** Nobody waits for it. */
  #checkpointLater(): void {
    const { onEvent } = this.#options;
    // One that is being made may be without the last changes.
    const before = this.#checkpointing?.catch(() => undefined) ?? Promise.resolve();
    before
      .then(() => (this.#isClosed ? undefined : this.checkpoint()))
      .catch((error: unknown) => onEvent((error as Error).message));
  }

  async #makeCheckpoint(): Promise<void> {
    const { shard, onEvent, replica } = this.#options;
    const state = this.#state!;
    const { dead, size } = state.index;
    if (dead > DEAD_SHARE * (size + dead)) await state.compact();
    let made: Checkpoint | undefined;
    for (let tries = 1; ; tries++) {
      try {
        made = await checkpointShard(this.#options, state, replica);
        break;
      } catch (error) {
        // What another replica has just written may be without the last changes.
        if ((error as LichenError).code !== 'ERR_LICHEN_BUSY' || tries === MOST_TRIES) throw error;
      }
    }
    if (made === undefined) return;
    this.#checkpoint = made.sequence;
    onEvent(`shard ${shard}: checkpoint of change ${made.sequence}, ${made.bytes} bytes`);
  }

  /** Whether this replica is the one that makes the next checkpoint. Claims end by themselves. */
  async #claims(replica: string): Promise<boolean> {
    const { cluster, map, shard } = this.#options;
    try {
      const claims = await cluster.claims();
      await claims.create(`checkpoint.${map.epoch}.${shard}`, replica);
      return true;
    } catch {
      return false;
    }
  }

  async #streamInfo() {
    const { cluster, map, shard } = this.#options;
    try {
      const stream = cluster.names.stream(map.epoch, shard);
      return await cluster.manager.streams.info(stream);
    } catch (cause) {
      if (isNotFound(cause)) {
        const message = `the stream of shard ${shard}, epoch ${map.epoch}, is gone`;
        throw new LichenError('ERR_LICHEN_NOT_FOUND', message, { cause });
      }
      throw natsError(`looking at the stream of shard ${shard}`, cause);
    }
  }

  async #tellPrepared(): Promise<void> {
    const { cluster, map, shard, replica } = this.#options;
    const bucket = await cluster.bucket();
    await bucket.put(preparedKey(map.epoch, shard, replica), new Date().toISOString());
  }
}

function closed(): LichenError {
  return new LichenError('ERR_LICHEN_CLOSED', 'the replica is closed');
}
