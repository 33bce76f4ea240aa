import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openRedisTier } from '../../src/cache/redis-tier.js';
import { until, type ServerProcess } from '../servers/processes.js';
import { REDIS_MISSING, REDIS_NOTE, startRedis } from '../servers/redis.js';
import { sealed, withCode } from './helpers.js';
import { Caches, vector } from './redis-caches.js';

describe.skipIf(REDIS_MISSING)(`TieredCaches that share Redis${REDIS_NOTE}`, () => {
  let server: ServerProcess;
  let url: string;
  const caches = new Caches();

  beforeAll(async () => {
    ({ server, url } = await startRedis());
  });
  beforeEach(() => caches.raw(url).flushall());
  afterEach(() => caches.close());
  afterAll(() => server.kill());

  const inRedis = async (name: string): Promise<void> => {
    const raw = caches.raw(url);
    await until(async () => (await raw.strlen(name)) > 40, `${name} in Redis`);
  };

  // See tiered-values.test.ts: what comes as a Buffer is not copied from where it lies.
  it('share what one of them loaded, bit by bit', async () => {
    const odd = new Float32Array(Uint32Array.of(0x7fc00001, 0x80000000, 1, 0xff800000).buffer);
    const a = await caches.open(url, 1, { load: () => [odd] });
    await a.cache.get('x');
    await inRedis('test:0:sx');
    const b = await caches.open(url, 2);
    const got = (await b.cache.get('x'))!;
    expect(b.cache.stats()).toMatchObject({ hits: { shared: 1, origin: 0 }, origin: { loads: 0 } });
    expect(Buffer.from(got.buffer, got.byteOffset, got.byteLength)).toEqual(
      Buffer.from(odd.buffer),
    );
    expect(b.cache.stats().shared).toMatchObject({ errors: 0, poisoned: 0, state: 'closed' });
  });

  it('share what one of them set, and the others forget theirs', async () => {
    const a = await caches.open(url, 1);
    const b = await caches.open(url, 2);
    await b.cache.get(1);
    await inRedis('test:0:i1');
    await a.cache.set(1, vector(5));
    await until(() => b.cache.peek(1) === undefined, 'news of the set');
    await b.cache.get(1);
    expect(b.cache.peek(1)).toEqual(vector(5));
    expect(b.cache.stats().hits).toMatchObject({ shared: 1, origin: 1 });
  });

  it('hear of what one of them invalidates, and do not take it from Redis', async () => {
    const a = await caches.open(url, 1);
    const b = await caches.open(url, 2);
    await b.cache.getMany([1, 2]);
    await inRedis('test:0:i2');
    expect(await a.cache.invalidate([1])).toBe(true);
    await until(() => b.cache.peek(1) === undefined, 'news of the invalidation');
    expect(b.cache.peek(2)).toEqual(vector(2, 2));
    expect(await a.cache.get(1)).toEqual(vector(1, 1));
    expect(a.cache.stats().hits).toMatchObject({ shared: 0, origin: 1 });
  });

  it('do not store a load that began before an invalidation', async () => {
    const a = await caches.open(url, 1);
    const raw = caches.raw(url);
    await a.cache.invalidate(1);
    const ttl = await raw.pttl('test:0:i1');
    expect(ttl).toBeGreaterThan(0);
    expect(ttl).toBeLessThanOrEqual(11_000);
    // As a process that has not heard of it yet stores its load.
    const { tier } = await caches.open(url, 3);
    const guard = await raw.getBuffer('test:0:i1');
    const entry = (key: string) => ({ key, bytes: sealed(vector(9), {}), ttlMs: 5000.5 });
    await tier.fillMany([entry('test:0:i1'), entry('test:0:i2')], guard!);
    expect(await raw.getBuffer('test:0:i1')).toEqual(guard);
    expect(await raw.getBuffer('test:0:i2')).toEqual(sealed(vector(9), {}));
    expect(await raw.pttl('test:0:i2')).toBeGreaterThan(4000);
  });

  it('go over to what one of them publishes', async () => {
    const a = await caches.open(url, 1);
    const b = await caches.open(url, 2);
    const pinned = await caches.open(url, 3, { version: 'mine' });
    await b.cache.get(1);
    expect(await a.cache.publish('v2')).toBe(true);
    await until(() => b.cache.version === 'v2' && pinned.cache.version === 'v2', 'the news');
    expect(b.cache.peek(1)).toBeUndefined();
    expect(await a.cache.get(1)).toEqual(vector(1, 1));
    // Those that begin later find it there, unless they have a version of their own.
    const late = await caches.open(url, 4);
    await until(() => late.cache.version === 'v2', 'the version');
    const latePinned = await caches.open(url, 5, { version: 'theirs' });
    expect(await latePinned.cache.get(1)).toEqual(vector(5, 1));
    expect(latePinned.cache.version).toBe('theirs');
    await inRedis('test:theirs:i1');
    await a.cache.publish('v3');
    await until(() => latePinned.cache.version === 'v3', 'the news');
  });

  it('count what is no value, and load it anew', async () => {
    const raw = caches.raw(url);
    const good = sealed(vector(7, 7), { freshUntil: Date.now() + 50_000, freshMs: 50_000 });
    const change = (at: number, byte: number): Buffer => {
      const bytes = Buffer.from(good);
      bytes[at] = byte;
      return bytes;
    };
    const poison: Record<string, Buffer> = {
      nothing: Buffer.alloc(0),
      garbage: Buffer.from('garbage that is longer than the header of an envelope, by some bytes'),
      short: good.subarray(0, -1),
      long: Buffer.concat([good, Buffer.alloc(4)]),
      header: good.subarray(0, 39),
      kind: change(3, 200),
      length: change(4, 12),
      version: change(2, 2),
      structure: change(3, 14),
      time: change(15, 0xff),
    };
    const keys = Object.keys(poison);
    for (const key of keys) await raw.set(`test:0:s${key}`, poison[key]!);
    await raw.set('test:0:sgood', good);
    const { cache } = await caches.open(url, 1);
    const values = await cache.getMany([...keys, 'good']);
    for (const value of values.slice(0, -1)) expect(value).toEqual(vector(1, NaN));
    expect(cache.peek('good')).toEqual(vector(7, 7));
    expect(cache.stats()).toMatchObject({
      hits: { shared: 1, origin: keys.length },
      shared: { poisoned: keys.length, errors: 0, state: 'closed' },
    });
    // What was loaded anew stands there now.
    await inRedis('test:0:snothing');
    const other = await caches.open(url, 2);
    await other.cache.getMany(keys);
    expect(other.cache.stats().shared!.poisoned).toBe(0);
  });

  // The check is given other bytes than those that lie in Redis.
  it('count what is not valid', async () => {
    const raw = caches.raw(url);
    const times = { freshUntil: Date.now() + 50_000, freshMs: 50_000 };
    await raw.set('test:0:i1', sealed(vector(1, 2, 3), times));
    await raw.set('test:0:i2', sealed(vector(4, 5), times));
    await raw.set('test:0:i3', sealed(vector(-1, 5), times));
    const isValid = (value: Float32Array): boolean => {
      if (value[0] === -1) throw new Error('broken check');
      return value.length === 2;
    };
    const { cache } = await caches.open(url, 1, { isValid });
    expect(await cache.getMany([1, 2, 3])).toEqual([vector(1, 1), vector(4, 5), vector(1, 3)]);
    expect(cache.stats().shared!.poisoned).toBe(2);
  });

  it('take keys of another type in Redis for an error', async () => {
    await caches.raw(url).lpush('test:0:i1', 'an element');
    const { cache } = await caches.open(url, 1);
    // MGET gives nothing for those.
    expect(await cache.get(1)).toEqual(vector(1, 1));
    expect(await cache.get(1)).toEqual(vector(1, 1));
  });

  it('are not harmed by messages that are none', async () => {
    const a = await caches.open(url, 1);
    const b = await caches.open(url, 2);
    const raw = caches.raw(url);
    await a.cache.getMany([1, 2]);
    const messages = ['', '{', 'null', '[]', '5', '"keys"', '{"keys":5}', '{"version":5}'];
    messages.push('{"keys":[null,{},[],1.5,true]}', '{"version":null,"keys":null}', '\u0000\uffff');
    for (const message of messages) await raw.publish('test', message);
    // Messages come in order: this one shows that the ones before have come.
    await b.cache.invalidate(2);
    await until(() => a.cache.peek(2) === undefined, 'the invalidation');
    expect(a.cache.peek(1)).toEqual(vector(1, 1));
    expect(a.cache.version).toBe('0');
  });

  it('do not hear of caches of another name', async () => {
    const a = await caches.open(url, 1, { name: 'one' });
    const b = await caches.open(url, 2, { name: 'two' });
    await a.cache.get(1);
    await b.cache.invalidate(1);
    await b.cache.publish('v2');
    expect(await b.cache.get(1)).toEqual(vector(2, 1));
    await a.cache.invalidate(5);
    expect(a.cache.peek(1)).toEqual(vector(1, 1));
    expect(a.cache.version).toBe('0');
  });

  it('stop listening when they are closed, and leave the tier to others', async () => {
    const { cache, tier } = await caches.open(url, 1);
    const raw = caches.raw(url);
    const listeners = async (): Promise<number> => Number((await raw.pubsub('NUMSUB', 'test'))[1]);
    await until(async () => (await listeners()) === 1, 'listening');
    await cache.close();
    await until(async () => (await listeners()) === 0, 'the end of listening');
    await tier.setMany([{ key: 'k', bytes: Uint8Array.of(1), ttlMs: Infinity }]);
    expect(await tier.getMany(['k', 'none'])).toEqual([Buffer.of(1), null]);
    expect(await raw.pttl('k')).toBe(-1);
  });

  // Redis refuses to keep something for "Infinity" milliseconds.
  it('refuse to share what never ends', async () => {
    for (const options of [
      { negativeTtlMs: Infinity },
      { ttlMs: Infinity },
      { staleMs: Infinity },
    ]) {
      await expect(caches.open(url, 1, options)).rejects.toEqual(withCode('ERR_LICHEN_ARGUMENT'));
    }
  });

  it.each(['', 'localhost', 'http://x', 5, undefined])('cannot be opened at %j', async (bad) => {
    await expect(openRedisTier({ url: bad as never })).rejects.toEqual(
      withCode('ERR_LICHEN_ARGUMENT'),
    );
  });
});
