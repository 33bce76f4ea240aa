import { badArgument } from './cache-limits.js';
import type { Redis, RedisOptions } from 'ioredis';
import { LichenError, shown } from '../errors.js';
import { importPackage, requirePackage } from '../vectors/packages.js';
import type { SharedEntry, SharedTier } from './shared-tier.js';

/** Options of {@link openRedisTier}. */
export interface RedisTierOptions {
  /** `redis://[user:password@]host[:port][/database]`, `rediss://` for TLS. */
  url: string;
  /** More options of ioredis, for its connections. */
  redis?: RedisOptions;
}

/** Milliseconds between attempts to connect: a little longer each time, a second at most. */
const MOST_WAIT_MS = 1000;

/** Stores values except where one stands that begins with the guard: KEYS, then guard, value, milliseconds, value, … */
const FILL = `
for at = 1, #KEYS do
  if redis.call('GETRANGE', KEYS[at], 0, #ARGV[1] - 1) ~= ARGV[1] then
    redis.call('SET', KEYS[at], ARGV[2 * at], 'PX', ARGV[2 * at + 1])
  end
end`;

/**
 * Redis as the tier that processes share (package ioredis, an optional peer). It need not be reachable yet: until it is,
 * and whenever it is not, requests are rejected at once and it is tried again in the background.
 * @throws ERR_LICHEN_ARGUMENT for an address that is none, ERR_LICHEN_MISSING_PACKAGE.
 *
 * @example
 * const shared = await openRedisTier({ url: 'redis://localhost' });
 * const cache = new TieredCache<string>({ name: 'users', maxBytes: 64e6, ttlMs: 60_000, shared });
 */
export async function openRedisTier(options: RedisTierOptions): Promise<RedisTier> {
  const redis = await connectRedis(options);
  return new RedisTier(redis);
}

/** A connection to Redis that does not queue while it is down. */
export async function connectRedis({ url, redis }: RedisTierOptions): Promise<Redis> {
  if (typeof url !== 'string' || !/^rediss?:\/\//.test(url)) {
    throw badArgument(`url must begin with redis:// or rediss://, got ${shown(url)}`);
  }
  type Package = { Redis: new (url: string, options: RedisOptions) => Redis };
  const ioredis = await requirePackage<Package>(importPackage, 'ioredis', 6);
  const connection = new ioredis.Redis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 5000,
    retryStrategy: (times: number) => Math.min(50 * times, MOST_WAIT_MS),
    ...redis,
  });
  // Without a listener an error would end the process; requests are rejected with it besides.
  connection.on('error', () => undefined);
  return connection;
}

/**
 * See {@link openRedisTier}.
 *
 * @example
 * const tier: RedisTier = await openRedisTier({ url: 'redis://localhost' });
 * const [bytes] = await tier.getMany(['u1']); // null where there is nothing
 */
export class RedisTier implements SharedTier {
  private readonly listener: Redis;
  private readonly channels = new Map<string, Set<Subscription>>();

  /** @internal */
  constructor(private readonly redis: Redis) {
    // A connection that listens can do nothing else.
    this.listener = redis.duplicate();
    this.listener.on('error', () => undefined);
    this.listener.on('message', (channel: string, text: string) => {
      for (const { onText } of this.channels.get(channel) ?? []) onText(text);
    });
    this.listener.on('ready', () => void this.resubscribe());
  }

  /** What stands under each key, null where there is nothing: one MGET. */
  async getMany(keys: readonly string[]): Promise<(Uint8Array | null)[]> {
    return this.redis.mgetBuffer([...keys]);
  }

  /** Stores entries in one pipeline, whatever stands there. */
  async setMany(entries: readonly SharedEntry[]): Promise<void> {
    const pipeline = this.redis.pipeline();
    for (const { key, bytes, ttlMs } of entries) {
      if (ttlMs === Infinity) pipeline.set(key, bufferOf(bytes));
      else pipeline.set(key, bufferOf(bytes), 'PX', wholeMs(ttlMs));
    }
    const replies = await pipeline.exec();
    for (const [error] of replies ?? []) if (error) throw error;
    if (replies === null) throw new LichenError('ERR_LICHEN_IO', 'Redis gave no reply');
  }

  /** Stores entries by a script, except where an entry begins with the bytes of `guard`. */
  async fillMany(entries: readonly SharedEntry[], guard: Uint8Array): Promise<void> {
    const keys = entries.map(({ key }) => key);
    const values = entries.flatMap(({ bytes, ttlMs }) => [bufferOf(bytes), wholeMs(ttlMs)]);
    await this.redis.eval(FILL, keys.length, ...keys, bufferOf(guard), ...values);
  }

  /** Sends a text to all who listen to a channel. */
  async publish(channel: string, text: string): Promise<void> {
    await this.redis.publish(channel, text);
  }

  /** Listens to a channel; see {@link SharedTier.subscribe}. */
  subscribe(channel: string, onText: (text: string) => void, onGap: () => void): () => void {
    const subscription = { onText, onGap };
    const others = this.channels.get(channel);
    if (others !== undefined) others.add(subscription);
    else this.channels.set(channel, new Set([subscription]));
    if (this.listener.status === 'ready') void this.listen(channel, [subscription]);
    return () => {
      const left = this.channels.get(channel);
      left?.delete(subscription);
      if (left?.size !== 0) return;
      this.channels.delete(channel);
      this.listener.unsubscribe(channel).catch(() => undefined);
    };
  }

  /** Ends both connections. */
  close(): Promise<void> {
    this.channels.clear();
    this.listener.disconnect();
    this.redis.disconnect();
    return Promise.resolve();
  }

  private async resubscribe(): Promise<void> {
    for (const [channel, all] of this.channels) await this.listen(channel, [...all]);
  }

  private async listen(channel: string, subscriptions: readonly Subscription[]): Promise<void> {
    try {
      await this.listener.subscribe(channel);
      const tell = (): void => {
        for (const { onGap } of subscriptions) onGap();
      };
      // Who is told of a gap asks what was missed.
      if (this.redis.status === 'ready') tell();
      else this.redis.once('ready', tell);
    } catch {
      // The connection is gone again: "ready" comes once more.
    }
  }
}

interface Subscription {
  readonly onText: (text: string) => void;
  readonly onGap: () => void;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function wholeMs(ttlMs: number): number {
  return Math.max(1, Math.ceil(ttlMs));
}
