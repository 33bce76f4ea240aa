import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Subscription } from '@nats-io/transport-node';
import { badArgument } from '../cache/cache-limits.js';
import { LichenError, shown } from '../errors.js';
import { requireInteger, requireOptions, requirePath } from '../index/arguments.js';
import { ownVersion } from '../vectors/packages.js';
import { ADDRESS_OPTIONS, openCluster, type Cluster, type ClusterAddress } from './connection.js';
import { announceService } from './discovery.js';
import { dropShard } from './epochs.js';
import { EpochReplica, type EpochStatistics } from './epoch-replica.js';
import { LinkWatch } from './link-watch.js';
import { MOST_SHARDS } from './names.js';
import { pause } from './pause.js';
import { readMap, type ShardMap } from './shard-map.js';

/** Options of {@link ClusterNode.start}. */
export interface ClusterNodeOptions extends ClusterAddress {
  /** The shard that this node holds, from 0, and of how many. */
  shard: number;
  /** Number of shards; the node serves maps of so many. */
  shards: number;
  /** A folder for its snapshots; of nobody else. Made if it is not there. */
  directory: string;
  /** Changes from which a checkpoint is made. Default 10,000. */
  checkpointEvery?: number | undefined;
  /** Milliseconds that an epoch is served after another has taken its place. Default 10,000. */
  grace?: number | undefined;
  /** Milliseconds between two looks at the shard map and the stream. Default 1,000. */
  pollInterval?: number | undefined;
  /** What happens, in a line each. */
  onEvent?: ((text: string) => void) | undefined;
}

/** What a replica tells of itself. */
export interface NodeStatistics {
  /** The name that it gave itself when it started. */
  readonly replica: string;
  /** The name of its machine. */
  readonly host: string;
  /** Its process. */
  readonly pid: number;
  /** The version of lichen. */
  readonly version: string;
  /** The shard that it holds, from 0. */
  readonly shard: number;
  /** Of how many. */
  readonly shards: number;
  /** What it holds of each epoch. */
  readonly epochs: readonly EpochStatistics[];
}

const OPTIONS = [
  ...ADDRESS_OPTIONS,
  ...(['shard', 'shards', 'directory', 'checkpointEvery', 'grace', 'pollInterval'] as const),
  'onEvent',
] as const;
interface ResolvedOptions extends ClusterNodeOptions {
  checkpointEvery: number;
  grace: number;
  pollInterval: number;
}

const SERVICE = 'lichen-shard';
/** Electing a leader takes NATS less. */
const SILENCE_MS = 12_000;
const MOST_MS = 24 * 3600 * 1000;

/**
 * A replica of a shard: it holds the shard of the epoch that is in force, and prepares that of the next one. Any number of
 * nodes may hold the same shard; they share its searches and all do its changes.
 *
 * @example
 * const servers = ['nats://10.0.0.1:4222', 'nats://10.0.0.2:4222'];
 * const node = await ClusterNode.start({ servers, name: 'items', shard: 0, shards: 2, directory: 'shard-0' });
 * process.once('SIGTERM', () => void node.close());
 */
export class ClusterNode {
  /** Fulfilled when it answers; rejected when it never will. */
  readonly ready: Promise<void>;
  /** Fulfilled when it is closed, or has ended since it cannot go on: with the reason then. */
  readonly ended: Promise<unknown>;
  /** This replica's own name. */
  readonly replica = randomBytes(6).toString('hex');
  readonly #cluster: Cluster;
  readonly #link: LinkWatch;
  readonly #options: ResolvedOptions;
  readonly #epochs = new Map<number, EpochReplica>();
  /** When an epoch was left, by the clock of this process. */
  readonly #leftAt = new Map<number, number>();
  readonly #statistics: Subscription;
  readonly #service: { close(): void };
  #timer: NodeJS.Timeout | undefined;
  #polling: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;
  #settleReady!: (error?: Error) => void;
  #end!: (reason?: unknown) => void;
  #hasNoPart = false;

  private constructor(cluster: Cluster, options: ResolvedOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = (error) => (error === undefined ? resolve() : reject(error));
    });
    this.ready.catch(() => undefined);
    this.ended = new Promise((resolve) => (this.#end = resolve));
    const { connection, names } = cluster;
    this.#link = new LinkWatch(connection, SILENCE_MS);
    this.#statistics = connection.subscribe(names.stats, {
      callback: (error, message) => {
        if (error === null) message.respond(JSON.stringify(this.statistics()));
      },
    });
    this.#service = announceService(
      connection,
      () => this.#describe(),
      () => this.#figures(),
    );
    this.#poll();
  }

  /**
   * Connects and begins to load. See {@link ready}.
   * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_NOT_FOUND if the index was never made, ERR_LICHEN_IO, and as the connection.
   */
  static async start(options: ClusterNodeOptions): Promise<ClusterNode> {
    const given = requireOptions(options, OPTIONS);
    const { checkpointEvery = 10_000, grace = 10_000, pollInterval = 1000 } = given;
    requireInteger('shards', given.shards, 1, MOST_SHARDS);
    requireInteger('shard', given.shard, 0, given.shards - 1);
    requireInteger('checkpointEvery', checkpointEvery, 1, Number.MAX_SAFE_INTEGER);
    requireInteger('grace', grace, 0, MOST_MS);
    requireInteger('pollInterval', pollInterval, 10, MOST_MS);
    requirePath(given.directory);
    if (given.onEvent !== undefined && typeof given.onEvent !== 'function') {
      throw badArgument(`onEvent must be a function, got ${shown(given.onEvent)}`);
    }
    const cluster = await openCluster(given);
    try {
      const bucket = await cluster.bucket();
      const current = await readMap(bucket, 'current');
      const next = await readMap(bucket, 'next');
      requirePart(given, [current?.map, next?.map]);
      return new ClusterNode(cluster, { ...given, checkpointEvery, grace, pollInterval });
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  /** What the node tells of itself; `ClusterIndex.statistics` gathers it of all. */
  statistics(): NodeStatistics {
    const { shard, shards } = this.#options;
    return {
      ...{ replica: this.replica, host: hostname(), pid: process.pid, version: ownVersion() },
      ...{ shard, shards },
      epochs: [...this.#epochs.values()].map((epoch) => epoch.statistics()),
    };
  }

  /** Makes a checkpoint of what is in force now. */
  async checkpoint(): Promise<void> {
    await this.#newest()?.checkpoint();
  }

  /** Answers what has come, keeps the shard as a file for the next start, and leaves. */
  close(): Promise<void> {
    this.#closing ??= this.#close('save');
    return this.#closing;
  }

  /** As `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(keep: 'save' | 'files', reason?: unknown): Promise<void> {
    clearTimeout(this.#timer);
    this.#settleReady(
      (reason as Error | undefined) ?? new LichenError('ERR_LICHEN_CLOSED', 'the node is closed'),
    );
    try {
      const { connection } = this.#cluster;
      if (!connection.isClosed()) {
        this.#service.close();
        this.#statistics.unsubscribe();
      }
      const closings = [...this.#epochs.values()].map((epoch) => epoch.close(keep));
      await Promise.allSettled([...closings, this.#polling]);
      // Answers that are still to be sent.
      if (!connection.isClosed()) await Promise.race([connection.flush(), pause(500)]);
      await this.#cluster.close();
    } finally {
      this.#end(reason);
    }
  }

  #fail(error: unknown): void {
    this.#event(`this replica ends: ${(error as Error).message}`);
    this.#closing ??= this.#close('files', error);
  }

  #poll(): void {
    this.#polling = this.#look()
      .then(() => this.#link.fine())
      .catch((error: unknown) => {
        this.#link.silent();
        this.#event((error as Error).message);
      })
      .then(() => {
        if (this.#closing !== undefined) return;
        this.#timer = setTimeout(() => this.#poll(), this.#options.pollInterval);
      });
  }

  /** What is in force and what is to come; what is old goes. */
  async #look(): Promise<void> {
    const bucket = await this.#cluster.bucket();
    const current = (await readMap(bucket, 'current'))?.map;
    const next = (await readMap(bucket, 'next'))?.map;
    const { shards, grace } = this.#options;
    const wanted = [current, next].filter((map): map is ShardMap => map?.shards === shards);
    for (const map of wanted)
      this.#begin(map, map.epoch === current?.epoch || current === undefined);
    const now = performance.now();
    for (const [epoch, replica] of this.#epochs) {
      if (wanted.some((map) => map.epoch === epoch)) continue;
      const left = this.#leftAt.get(epoch) ?? now;
      this.#leftAt.set(epoch, left);
      if (now - left < grace) continue;
      this.#epochs.delete(epoch);
      await replica.close('nothing');
      if (current !== undefined && epoch < current.epoch) {
        await dropShard(this.#cluster, epoch, this.#options.shard);
      }
      this.#event(`epoch ${epoch} is over`);
    }
    if (wanted.length === 0 && this.#epochs.size === 0 && !this.#hasNoPart) {
      this.#hasNoPart = true;
      this.#event(
        `the index has ${String(current?.shards)} shards now: this node has no part in it`,
      );
    }
    if (wanted.length > 0) this.#hasNoPart = false;
    // What is over takes no more changes, and its stream may be gone.
    const lasting = [...this.#epochs].filter(([epoch]) => !this.#leftAt.has(epoch));
    await Promise.all(lasting.map(([, replica]) => replica.tick()));
  }

  #begin(map: ShardMap, isInForce: boolean): void {
    this.#leftAt.delete(map.epoch);
    if (this.#epochs.has(map.epoch)) return;
    const { shard, directory, checkpointEvery } = this.#options;
    const replica = new EpochReplica({
      ...{ cluster: this.#cluster, map, shard, directory, checkpointEvery },
      replica: this.replica,
      onEvent: (text) => this.#event(text),
      onFailure: (error) => this.#fail(error),
    });
    this.#epochs.set(map.epoch, replica);
    replica.start().then(
      () => this.#settleReady(),
      async (error: unknown) => {
        if (this.#closing !== undefined) return;
        // One that is only to come may be put right and is tried again; so is one that NATS cannot tell of now.
        const isPassing = (error as LichenError).code === 'ERR_LICHEN_IO';
        if (isInForce && !isPassing) return this.#fail(error);
        this.#event(`epoch ${map.epoch} cannot be loaded yet: ${(error as Error).message}`);
        await replica.close('files').catch(() => undefined);
        if (this.#epochs.get(map.epoch) === replica) this.#epochs.delete(map.epoch);
      },
    );
  }

  #newest(): EpochReplica | undefined {
    return [...this.#epochs.values()].filter(({ isReady }) => isReady)[0];
  }

  #describe() {
    const { names } = this.#cluster;
    const { shard, shards } = this.#options;
    const queue = { queue_group: `shard-${shard}` };
    const endpoints = [...this.#epochs.values()]
      .filter(({ isReady }) => isReady)
      .flatMap(({ map: { epoch } }) => [
        { name: 'search', subject: names.search(epoch), ...queue },
        { name: 'ask', subject: names.ask(epoch, shard), ...queue },
      ]);
    return {
      ...{ name: SERVICE, id: this.replica, version: ownVersion(), endpoints },
      description: `shard ${shard} of ${shards} of ${names.index} of ${names.tenant}`,
      metadata: {
        ...{ tenant: names.tenant, index: names.index },
        ...{ shard: String(shard), shards: String(shards) },
      },
    };
  }

  #figures() {
    const all = [...this.#epochs.values()].map((epoch) => epoch.statistics().requests);
    const sum = (pick: (counts: (typeof all)[number]) => number) =>
      all.reduce((total, counts) => total + pick(counts), 0);
    return {
      requests: sum(({ requests }) => requests),
      errors: sum(({ errors }) => errors),
      ms: sum(({ ms }) => ms),
    };
  }

  #event(text: string): void {
    try {
      this.#options.onEvent?.(text);
    } catch {
      // What a listener throws is nothing to a replica.
    }
  }
}

/** @throws ERR_LICHEN_ARGUMENT for a shard of another number of shards than there is or is to come. */
function requirePart(
  { shard, shards, name }: ClusterNodeOptions,
  maps: readonly (ShardMap | undefined)[],
): void {
  const there = maps.filter((map) => map !== undefined);
  if (there.length === 0) {
    const message = `the index ${name} has no shard map: lichen cluster create`;
    throw new LichenError('ERR_LICHEN_NOT_FOUND', message);
  }
  if (there.some((map) => map.shards === shards)) return;
  const counts = [...new Set(there.map((map) => map.shards))].join(' or ');
  throw badArgument(`shard ${shard} is of ${shards}, but the index has ${counts} shards`);
}
