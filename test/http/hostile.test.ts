import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { failure, get, post, rawConnection, ROWS, served, untilEnd, vectorOf } from './helpers.js';

/** What stands after the head of a response. */
const errorIn = (text: string): string | undefined => /"code":"([A-Z_]+)"/.exec(text)?.[1];

const head = (...lines: string[]): string =>
  `${['POST /v1/recommend HTTP/1.1', 'host: 127.0.0.1', ...lines].join('\r\n')}\r\n\r\n`;

describe('what is no request', () => {
  it.each([
    ['cut off JSON', '{"user":'],
    ['nothing', ''],
    ['a prototype', '{"__proto__":{"admin":true}}'],
    ['a constructor', '{"constructor":{"prototype":{"admin":true}}}'],
    ['bytes that are no text', '\u0000\u0001\uffff'],
    ['a thousand times nested', `${'['.repeat(1000)}${']'.repeat(1000)}`],
  ])('%s is refused', async (_, body) => {
    const { url } = await served();
    expect(failure(await post(`${url}/v1/recommend`, body))).toEqual([400, 'ERR_LICHEN_ARGUMENT']);
    expect(({} as { admin?: unknown }).admin).toBeUndefined();
  });

  it('a condition nested without end is refused, and the service goes on', async () => {
    const { url } = await served();
    const deep = `{"user":1,"where":${'{"and":['.repeat(20_000)}{}${']}'.repeat(20_000)}}`;
    const { status } = await post(`${url}/v1/recommend`, deep);
    expect(status).toBe(400);
    const search = deep.replace('"user":1', '"vectors":[[1,2,3,4]]');
    expect((await post(`${url}/v1/search`, search)).status).toBe(400);
    expect((await post(`${url}/v1/recommend`, { user: 1 })).status).toBe(200);
  });

  it('another type of content is refused', async () => {
    const { url } = await served();
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
      const answer = await post(`${url}/v1/recommend`, 'user=1', { 'content-type': type });
      expect(failure(answer)).toEqual([415, 'ERR_LICHEN_UNSUPPORTED']);
    }
    const bytes = await post(`${url}/v1/recommend`, 'abc', {
      'content-type': 'application/octet-stream',
    });
    expect(bytes.status).toBe(400);
  });

  it('other methods and paths are not there', async () => {
    const { url } = await served();
    expect(failure(await get(`${url}/v1/recommend`))[0]).toBe(404);
    for (const path of [
      '/assets/../server.js',
      '/assets/%2e%2e%2fserver.js',
      '/..%2f',
      '/v1/%00',
    ]) {
      const socket = await rawConnection(url);
      socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n`);
      expect(await untilEnd(socket)).toMatch(/^HTTP\/1\.1 40[04] /);
    }
  });
});

describe('what is too much', () => {
  it('a large body is refused before it is read', async () => {
    const { url } = await served({ bodyLimit: 1000 });
    expect(failure(await post(`${url}/v1/recommend`, 'x'.repeat(1001)))).toEqual([
      413,
      'ERR_LICHEN_TOO_LARGE',
    ]);
    const socket = await rawConnection(url);
    socket.write(head('content-type: application/json', 'content-length: 100000000000'));
    expect(errorIn(await untilEnd(socket))).toBe('ERR_LICHEN_TOO_LARGE');
  });

  it('a body without a length is cut off where it is too large', async () => {
    const { url } = await served({ bodyLimit: 1000 });
    const socket = await rawConnection(url);
    socket.write(head('content-type: application/json', 'transfer-encoding: chunked'));
    const answer = untilEnd(socket);
    for (let part = 0; part < 20 && socket.writable; part++) {
      socket.write(`64\r\n${'x'.repeat(100)}\r\n`);
    }
    expect(errorIn(await answer)).toBe('ERR_LICHEN_TOO_LARGE');
  });

  it('headers without end are refused', async () => {
    const { url } = await served();
    const socket = await rawConnection(url);
    const answer = untilEnd(socket);
    socket.write(head(`x-large: ${'x'.repeat(100_000)}`));
    expect(await answer).toMatch(/^HTTP\/1\.1 431 /);
    expect((await get(`${url}/healthz`)).status).toBe(200);
  });

  it('a request that comes a byte at a time is given up', async () => {
    const { url } = await served({ requestTimeoutMs: 300 });
    const socket = await rawConnection(url);
    const answer = untilEnd(socket);
    socket.write('POST /v1/recommend HTTP/1.1\r\nhost: 127.0.0.1\r\n');
    const drip = setInterval(() => socket.writable && socket.write('x'), 50);
    expect(await answer).toMatch(/^(HTTP\/1\.1 408 |$)/);
    clearInterval(drip);
  });

  it('lists that are too long are refused', async () => {
    const { url } = await served({ maxIds: 10, maxVectors: 2, maxK: 7 });
    const many = Array.from({ length: 11 }, (_, at) => at);
    const vector = [...vectorOf(1)];
    for (const [path, body] of [
      ['recommend', { history: many }],
      ['recommend', { user: 1, exclude: many }],
      ['recommend', { user: 1, k: 8 }],
      ['search', { vectors: [vector, vector, vector] }],
      ['search', { vectors: [vector], k: 8 }],
    ] as const) {
      const answer = await post(`${url}/v1/${path}`, body);
      expect(failure(answer)).toEqual([400, 'ERR_LICHEN_ARGUMENT']);
    }
  });

  it('connections beyond the most are closed', async () => {
    const { url } = await served({ maxConnections: 3 });
    const sockets = await Promise.all(Array.from({ length: 3 }, () => rawConnection(url)));
    const another = await rawConnection(url);
    await once(another, 'close');
    expect(sockets.every(({ destroyed }) => !destroyed)).toBe(true);
  });
});

describe('clients that go away', () => {
  it('are not worked for any more', async () => {
    let begun: (() => void) | undefined;
    let end: (() => void) | undefined;
    const hasBegun = new Promise<void>((resolve) => (begun = resolve));
    const hasEnded = new Promise<void>((resolve) => (end = resolve));
    let fired: Promise<unknown> | undefined;
    const { url, recommender } = await served(
      {},
      {},
      {
        encode: async (users, { signal }) => {
          fired = once(signal, 'abort');
          begun!();
          await hasEnded;
          return users.map(() => vectorOf(1));
        },
      },
    );
    const outcome = new Promise((resolve) =>
      recommender.observe((event) => resolve(event.outcome)),
    );
    const gone = new AbortController();
    const request = fetch(`${url}/v1/recommend`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"user":1}',
      signal: gone.signal,
    }).catch(() => 'gone');
    await hasBegun;
    gone.abort();
    expect(await request).toBe('gone');
    await fired;
    expect(await outcome).toBe('aborted');
    end!();
  });

  it('do not take back a change that was begun', async () => {
    const { url, recommender } = await served({ allowsWrites: true });
    const seen = new Promise<string>((resolve) =>
      recommender.observe(({ outcome }) => resolve(outcome)),
    );
    const body = JSON.stringify({ ids: [0], vectors: [[9, 9, 9, 9]] });
    const socket = await rawConnection(url);
    socket.write(
      [
        'POST /v1/upsert HTTP/1.1',
        'host: 127.0.0.1',
        'content-type: application/json',
        `content-length: ${body.length}`,
        '',
        body,
      ].join('\r\n'),
    );
    socket.end();
    socket.destroySoon();
    expect(await seen).toMatch(/^(ok|invalid)$/);
    expect((await get(`${url}/healthz`)).status).toBe(200);
  });

  it('leave garbage behind that harms nobody', async () => {
    const { url } = await served();
    for (const garbage of ['\r\n\r\n\r\n', 'GET', '\u0016\u0003\u0001', 'GET / HTTP/9.9\r\n\r\n']) {
      const socket = await rawConnection(url);
      socket.end(garbage);
      await untilEnd(socket);
    }
    const found = await post(`${url}/v1/search`, { vectors: [[1, 1, 1, 1]], k: ROWS });
    expect(found.status).toBe(200);
  });
});

describe('under load', () => {
  it('requests beyond the limit are refused before their bodies are read', async () => {
    let end: (() => void) | undefined;
    const hasEnded = new Promise<void>((resolve) => (end = resolve));
    const { url, recommender } = await served(
      {},
      { limit: { initial: 2, least: 2, most: 2 } },
      {
        encode: async (users) => {
          await hasEnded;
          return users.map(() => vectorOf(1));
        },
      },
    );
    const held = [1, 2].map((user) => post(`${url}/v1/recommend`, { user }));
    while (recommender.stats().inFlight < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    // Of the body only a part: the answer comes all the same.
    const socket = await rawConnection(url);
    socket.write(
      head('content-type: application/json', 'content-length: 100', 'connection: close'),
    );
    const text = await untilEnd(socket);
    expect(text).toMatch(/^HTTP\/1\.1 503 /);
    expect(text.toLowerCase()).toContain('retry-after: 1');
    expect(errorIn(text)).toBe('ERR_LICHEN_OVERLOADED');
    expect(recommender.stats().shed).toBe(1);
    end!();
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200]);
  });
});
