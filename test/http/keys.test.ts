import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createServer } from '../../src/http/index.js';
import { ApiKeys, keyOfHeaders } from '../../src/http/api-keys.js';
import { failure, get, post, rawConnection, served, untilEnd } from './helpers.js';
import { outcome } from '../batching/helpers.js';

const READER = 'reader-0123456789abcdef';
const WRITER = 'writer-0123456789abcdef';
const KEYS = [
  { id: 'reader', key: READER },
  {
    id: 'writer',
    sha256: createHash('sha256').update(WRITER).digest('hex'),
    allows: ['write', 'observe'] as const,
  },
];
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

describe('keys', () => {
  it('are asked for by all that is not health, documents or the page', async () => {
    const { url } = await served({ keys: KEYS, allowsWrites: true });
    for (const path of ['recommend', 'search', 'upsert', 'delete']) {
      const answer = await post(`${url}/v1/${path}`, {});
      expect(failure(answer)).toEqual([401, 'ERR_LICHEN_UNAUTHORIZED']);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
    for (const path of ['metrics', 'v1/stats'])
      expect((await get(`${url}/${path}`)).status).toBe(401);
    for (const path of ['healthz', 'readyz', 'openapi.json', '']) {
      expect((await get(`${url}/${path}`)).status).toBe(200);
    }
  });

  it('may come in either header, as they are or as their hash is known', async () => {
    const { url } = await served({ keys: KEYS, allowsWrites: true });
    const ask = (headers: Record<string, string>) =>
      post(`${url}/v1/recommend`, { user: 1 }, headers);
    expect((await ask(bearer(READER))).status).toBe(200);
    expect((await ask({ 'x-api-key': READER })).status).toBe(200);
    expect((await ask({ authorization: `bearer  ${READER}` })).status).toBe(200);
    expect((await ask(bearer(`${READER}x`))).status).toBe(401);
    expect((await ask(bearer(READER.slice(0, -1)))).status).toBe(401);
    expect((await ask({ authorization: `Basic ${READER}` })).status).toBe(401);
    expect((await ask({ 'x-api-key': '' })).status).toBe(401);
    expect((await get(`${url}/v1/stats`, bearer(WRITER))).status).toBe(200);
  });

  it('allow what they are for, and no more', async () => {
    const { url } = await served({ keys: KEYS, allowsWrites: true });
    const write = await post(
      `${url}/v1/upsert`,
      { ids: [1], vectors: [[1, 2, 3, 4]] },
      bearer(READER),
    );
    expect(failure(write)).toEqual([403, 'ERR_LICHEN_FORBIDDEN']);
    const read = await post(`${url}/v1/recommend`, { user: 1 }, bearer(WRITER));
    expect(failure(read)).toEqual([403, 'ERR_LICHEN_FORBIDDEN']);
    expect(failure(await get(`${url}/metrics`, bearer(READER)))[0]).toBe(403);
  });

  it('are found by comparing all of them', () => {
    const keys = new ApiKeys(KEYS);
    expect(keys.find(READER)?.id).toBe('reader');
    expect(keys.find(WRITER)?.id).toBe('writer');
    expect(keys.find('')).toBeUndefined();
    expect(keyOfHeaders({ authorization: `Bearer ${READER}` })).toBe(READER);
    expect(keyOfHeaders({ authorization: 'Bearer a b' })).toBeUndefined();
    expect(keyOfHeaders({})).toBeUndefined();
  });

  it.each([
    [{ id: '', key: READER }],
    [{ id: 'a' }],
    [{ id: 'a', key: READER, sha256: 'b'.repeat(64) }],
    [{ id: 'a', key: 'short' }],
    [{ id: 'a', sha256: 'xyz' }],
    [{ id: 'a', key: READER, allows: ['everything'] }],
    [{ id: 'a', key: READER, ratePerSecond: 0 }],
    [{ id: 'a', key: READER, priority: 1000 }],
    [{ id: 'a', key: READER, other: 1 }],
    [null],
  ])('%j is refused', (key) => {
    expect(() => new ApiKeys([key as never])).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
    );
  });

  it('need ids of their own', () => {
    expect(() => new ApiKeys([KEYS[0]!, { ...KEYS[1]!, id: 'reader' }])).toThrow(/two keys/);
  });

  it('say whose requests are whose, and what they are worth', async () => {
    const events: string[] = [];
    const { url, recommender } = await served({ keys: [{ ...KEYS[0]!, priority: 7 }] });
    recommender.observe(({ tenant }) => events.push(tenant));
    await post(`${url}/v1/recommend`, { user: 1 }, bearer(READER));
    expect(events).toEqual(['reader']);
  });
});

describe('rates', () => {
  it('are kept for each key, and leave the others alone', async () => {
    const slow = { ...KEYS[0]!, ratePerSecond: 3 };
    const { url } = await served({ keys: [slow, { ...KEYS[1]!, allows: ['read'] }] });
    const ask = (key: string) => post(`${url}/v1/recommend`, { user: 1 }, bearer(key));
    const answers = await Promise.all(Array.from({ length: 12 }, () => ask(READER)));
    const refused = answers.filter(({ status }) => status === 429);
    // A second may have ended between two of them.
    expect(refused.length).toBeGreaterThanOrEqual(6);
    expect(failure(refused[0]!)).toEqual([429, 'ERR_LICHEN_RATE_LIMITED']);
    expect(refused[0]!.headers.get('retry-after')).toBe('1');
    const others = await Promise.all(Array.from({ length: 12 }, () => ask(WRITER)));
    expect(others.map(({ status }) => status)).toEqual(Array(12).fill(200));
  });

  it('hold for an address that tries keys', async () => {
    const { url } = await served({ keys: KEYS, ratePerSecond: 5 });
    const tries = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        post(`${url}/v1/recommend`, { user: 1 }, bearer(`guess-0123456789-${at}`)),
      ),
    );
    expect(tries.filter(({ status }) => status === 429).length).toBeGreaterThanOrEqual(10);
    expect(tries.every(({ status }) => status === 401 || status === 429)).toBe(true);
  });
});

describe('who is let in', () => {
  it('is this machine alone, unless there are keys or it is said that all are', async () => {
    const { recommender } = await served();
    const listen = (options: object) =>
      createServer({ recommender, port: 0, log: false, ...options }).then(async (server) => {
        await server.close();
        return 'listens';
      });
    expect(await outcome(listen({ host: '0.0.0.0' }))).toBe('ERR_LICHEN_ARGUMENT');
    expect(await outcome(listen({ host: '0.0.0.0', keys: [] }))).toBe('ERR_LICHEN_ARGUMENT');
    expect(await outcome(listen({ host: '0.0.0.0', keys: KEYS }))).toBe('listens');
    expect(await outcome(listen({ host: '0.0.0.0', isOpen: true }))).toBe('listens');
    expect(await outcome(listen({ host: '127.0.0.1' }))).toBe('listens');
  });

  it('is nobody who was led here by another name', async () => {
    const { url } = await served();
    const socket = await rawConnection(url);
    socket.write('GET /healthz HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n');
    expect(await untilEnd(socket)).toMatch(/^HTTP\/1.1 403 /);
  });
});
