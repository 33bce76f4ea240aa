import type { Redis } from 'ioredis';
import { connectRedis, type RedisTierOptions } from '../cache/redis-tier.js';
import { keyOfText, keyText, type FeatureKey } from './keys.js';
import {
  latestEntries,
  movedCheckpoint,
  requirePrefix,
  storeClosed,
  storeError,
  type Checkpoint,
  type OnlineStore,
  type ReadRequest,
  type RecordVisitor,
  type WriteBatch,
} from './store.js';

/** Options of {@link openRedisStore}. */
export interface RedisStoreOptions extends RedisTierOptions {
  /** What keys begin with. Default `lichen`. */
  prefix?: string;
}

/**
 * KEYS: the checkpoint, then a key a record. ARGV: the expected sequence (or -1), the new checkpoint, milliseconds that
 * records last, then the records. Times are doubles at byte 8 of a record.
 */
const WRITE = `
if tonumber(ARGV[1]) >= 0 then
  local found = redis.call('GET', KEYS[1])
  local sequence = 0
  if found then sequence = cjson.decode(found).sequence end
  if sequence ~= tonumber(ARGV[1]) then return -1 end
end
local stored = 0
for at = 2, #KEYS do
  local record = ARGV[at + 2]
  local old = redis.call('GETRANGE', KEYS[at], 8, 15)
  if #old < 8 or struct.unpack('<d', old) <= struct.unpack('<d', string.sub(record, 9, 16)) then
    redis.call('SET', KEYS[at], record, 'PX', ARGV[3])
    stored = stored + 1
  end
end
if tonumber(ARGV[1]) >= 0 then redis.call('SET', KEYS[1], ARGV[2]) end
return stored`;

/** Removes what is older than a time: KEYS, then the time. */
const PRUNE = `
local removed = 0
for at = 1, #KEYS do
  local old = redis.call('GETRANGE', KEYS[at], 8, 15)
  if #old == 8 and struct.unpack('<d', old) < tonumber(ARGV[1]) then
    removed = removed + redis.call('DEL', KEYS[at])
  end
end
return removed`;

/** Redis takes no expiry beyond this; longer is as good as for ever. */
const MOST_TTL_MS = 2 ** 43;
const SCANNED = 1000;

/**
 * Opens a store that is a Redis server (package ioredis, an optional peer), one request for all keys. It need not be
 * reachable yet. How durable a write is depends on the server's settings.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_MISSING_PACKAGE.
 *
 * @example
 * const store = await openRedisStore({ url: 'redis://localhost' });
 * await materialize(profile, store);
 */
export async function openRedisStore(options: RedisStoreOptions): Promise<RedisStore> {
  const { prefix = 'lichen' } = options;
  requirePrefix('prefix', prefix);
  return new RedisStore(await connectRedis(options), prefix);
}

/** See {@link openRedisStore}. */
export class RedisStore implements OnlineStore {
  readonly kind = 'Redis';
  private isClosed = false;

  /** @internal */
  constructor(
    private readonly redis: Redis,
    private readonly prefix: string,
  ) {}

  async read(requests: readonly ReadRequest[], visit: RecordVisitor): Promise<void> {
    const names = requests.flatMap(({ table, keys }) => keys.map((key) => this.name(table, key)));
    if (names.length === 0) return;
    const records = await this.ask('read', () => this.redis.mgetBuffer(names));
    let next = 0;
    requests.forEach(({ keys }, request) => {
      for (let at = 0; at < keys.length; at++) visit(request, at, records[next++] ?? undefined);
    });
  }

  async write({ table, entries, ttlMs, checkpoint }: WriteBatch): Promise<number> {
    const latest = latestEntries(entries);
    const keys = [
      this.checkpointName(checkpoint?.name ?? ''),
      ...latest.map(({ key }) => this.name(table, key)),
    ];
    const sequence = checkpoint === undefined ? -1 : checkpoint.expected;
    const next = { sequence: sequence + 1, text: checkpoint?.text ?? '' };
    const ttl = Math.max(1, Math.ceil(Math.min(ttlMs, MOST_TTL_MS)));
    const stored = await this.ask('write', () =>
      this.redis.eval(
        WRITE,
        keys.length,
        ...keys,
        ...[sequence, JSON.stringify(next), ttl],
        ...latest.map(({ record }) => record),
      ),
    );
    if (stored === -1) throw movedCheckpoint(checkpoint!.name);
    return stored as number;
  }

  async checkpoint(name: string): Promise<Checkpoint | undefined> {
    const text = await this.ask('read', () => this.redis.get(this.checkpointName(name)));
    return text === null ? undefined : (JSON.parse(text) as Checkpoint);
  }

  async prune(table: string, time: number): Promise<number> {
    let removed = 0;
    for await (const names of this.names(table)) {
      removed += (await this.ask('prune', () =>
        this.redis.eval(PRUNE, names.length, ...names, time),
      )) as number;
    }
    return removed;
  }

  async scan(table: string, visit: (key: FeatureKey, record: Uint8Array) => void): Promise<void> {
    const from = this.name(table, '').length - 1;
    const seen = new Set<string>();
    for await (const names of this.names(table)) {
      const records = await this.ask('scan', () => this.redis.mgetBuffer(names));
      names.forEach((name, at) => {
        const record = records[at];
        // A scan of Redis may give a key twice, and one that has just gone.
        if (seen.has(name) || !record) return;
        seen.add(name);
        visit(keyOfText(name.slice(from)), record);
      });
    }
  }

  close(): Promise<void> {
    this.isClosed = true;
    this.redis.disconnect();
    return Promise.resolve();
  }

  private name(table: string, key: FeatureKey): string {
    return `${this.prefix}:${table}:${keyText(key)}`;
  }

  private checkpointName(name: string): string {
    return `${this.prefix}#${name}`;
  }

  /** Names of a table's keys, some at a time. */
  private async *names(table: string): AsyncGenerator<string[]> {
    const match = `${this.prefix}:${table}:*`;
    let cursor = '0';
    do {
      const [next, names] = await this.ask('scan', () =>
        this.redis.scan(cursor, 'MATCH', match, 'COUNT', SCANNED),
      );
      cursor = next;
      if (names.length > 0) yield names;
    } while (cursor !== '0');
  }

  private async ask<T>(what: string, request: () => Promise<T>): Promise<T> {
    if (this.isClosed) throw storeClosed(this.kind);
    try {
      return await request();
    } catch (cause) {
      throw storeError(this.kind, what, cause);
    }
  }
}
