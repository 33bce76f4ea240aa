import { describe, expect, it } from 'vitest';
import {
  dot,
  failure,
  get,
  indexOf,
  nearest,
  post,
  ROWS,
  served,
  vectorOf,
  VECTORS,
} from './helpers.js';

interface Recommended {
  readonly items: { id: string | number; score: number; scoredBy?: string; attributes?: object }[];
  readonly version: string;
  readonly degraded: boolean;
  readonly cache: string;
  readonly steps?: { name: string; outcome: string }[];
}

interface Found {
  readonly results: { ids: (string | number)[]; scores: number[] }[];
  readonly version: string;
}

describe('POST /v1/recommend', () => {
  it('gives the nearest items of the user’s vector, with their scores', async () => {
    const { url } = await served();
    const { status, body } = await post<Recommended>(`${url}/v1/recommend`, { user: 'u7', k: 4 });
    expect(status).toBe(200);
    expect(body.items.map(({ id }) => id)).toEqual(nearest(vectorOf('u7')).slice(0, 4));
    const [first] = body.items;
    expect(first!.score).toBeCloseTo(dot(VECTORS[first!.id as number]!, vectorOf('u7')), 5);
    expect(body).toMatchObject({ version: 'v1', degraded: false, cache: 'none' });
    expect(body.steps).toBeUndefined();
    expect(first!.scoredBy).toBeUndefined();
  });

  it('leaves out what is excluded and what the user has met', async () => {
    const { url } = await served();
    const [one, two, three] = nearest(vectorOf('u1'));
    const { body } = await post<Recommended>(`${url}/v1/recommend`, {
      ...{ user: 'u1', history: [one], exclude: [two], k: 2 },
    });
    expect(body.items.map(({ id }) => id)).toEqual(
      nearest(vectorOf('u1'), [one!, two!]).slice(0, 2),
    );
    expect(body.items[0]!.id).toBe(three);
  });

  it('explains itself, and tells attributes, when that is wanted', async () => {
    const { url } = await served({}, {}, { index: await indexOf(undefined, true) });
    const { body } = await post<Recommended>(`${url}/v1/recommend`, {
      ...{ user: 'u2', k: 3, explain: true, attributes: ['kind'], where: { kind: 'odd' } },
    });
    const odd = nearest(vectorOf('u2')).filter((row) => row % 2 === 1);
    expect(body.items.map(({ id }) => id)).toEqual(odd.slice(0, 3));
    expect(body.items.map(({ attributes }) => attributes)).toEqual(Array(3).fill({ kind: 'odd' }));
    expect(body.items.map(({ scoredBy }) => scoredBy)).toEqual(Array(3).fill('retrieval'));
    expect(body.steps!.map(({ name, outcome }) => [name, outcome])).toEqual([
      ['encode', 'full'],
      ['retrieval', 'full'],
    ]);
  });

  it.each([
    ['a member that is not known', { user: 'a', kk: 1 }],
    ['a k of no size', { user: 'a', k: 0 }],
    ['a k above what is allowed', { user: 'a', k: 1001 }],
    ['a k that is a text', { user: 'a', k: '5' }],
    ['a user that is an object', { user: {} }],
    ['a user that is no integer', { user: 1.5 }],
    ['a history that is no list', { history: 'a' }],
    ['a condition that is a text', { user: 'a', where: 'x' }],
    ['a condition on what is not there', { user: 'a', where: { year: 1 } }],
    ['an attribute that is not there', { user: 'a', attributes: ['year'] }],
    ['a list', []],
    ['null', null],
  ])('refuses %s', async (_, body) => {
    const { url, recommender } = await served();
    expect(failure(await post(`${url}/v1/recommend`, body))).toEqual([400, 'ERR_LICHEN_ARGUMENT']);
    expect(recommender.stats().outcomes.ok).toBe(0);
  });

  it('gives the request up at its deadline', async () => {
    let answer: (() => void) | undefined;
    const slow = new Promise<void>((resolve) => (answer = resolve));
    const encode = async (users: readonly object[]) => {
      await slow;
      return users.map(() => vectorOf(1));
    };
    const { url } = await served({}, {}, { encode });
    const late = await post(`${url}/v1/recommend`, { user: 'a' }, { 'x-deadline-ms': '20' });
    expect(failure(late)).toEqual([504, 'ERR_LICHEN_DEADLINE']);
    const wrong = await post(`${url}/v1/recommend`, { user: 'a' }, { 'x-deadline-ms': '-1' });
    expect(failure(wrong)).toEqual([400, 'ERR_LICHEN_ARGUMENT']);
    answer!();
  });

  it('tells nothing of what went wrong within', async () => {
    const { url } = await served(
      {},
      {},
      {
        encode: () => {
          throw new Error('the password is 1234');
        },
      },
    );
    const { status, body } = await post(`${url}/v1/recommend`, { user: 'a' });
    expect([status, body]).toEqual([
      500,
      { error: { code: 'ERR_LICHEN_INTERNAL', message: 'the request failed' } },
    ]);
  });
});

describe('POST /v1/search', () => {
  it('finds the nearest of several vectors', async () => {
    const { url } = await served();
    const vectors = [vectorOf(1), vectorOf(2)].map((vector) => [...vector]);
    const { body } = await post<Found>(`${url}/v1/search`, { vectors, k: 3 });
    expect(body.version).toBe('v1');
    expect(body.results.map(({ ids }) => ids)).toEqual(
      vectors.map((vector) => nearest(vector).slice(0, 3)),
    );
    expect(body.results[0]!.scores[0]).toBeCloseTo(
      dot(VECTORS[body.results[0]!.ids[0] as number]!, vectors[0]!),
      5,
    );
  });

  it('takes conditions and exclusions, and gives what there is', async () => {
    const { url } = await served({}, {}, { index: await indexOf(undefined, true) });
    const vector = [...vectorOf(3)];
    const [first] = nearest(vector).filter((row) => row % 2 === 0);
    const { body } = await post<Found>(`${url}/v1/search`, {
      ...{ vectors: [vector], k: 1000, where: { kind: 'even' }, exclude: [first] },
    });
    const rest = nearest(vector).filter((row) => row % 2 === 0 && row !== first);
    expect(body.results[0]!.ids).toEqual(rest);
  });

  it('speaks binary: vectors in, keys and scores out', async () => {
    const { url } = await served();
    const vectors = Float32Array.from([...vectorOf(1), ...vectorOf(2), ...vectorOf(3)]);
    const response = await fetch(`${url}/v1/search?k=4`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream', accept: 'application/octet-stream' },
      body: vectors,
    });
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    const memory = await response.arrayBuffer();
    const [rows, k] = new Uint32Array(memory, 0, 2);
    expect([rows, k]).toEqual([3, 4]);
    const keys = new Float64Array(memory, 8, 12);
    expect([...keys]).toEqual([1, 2, 3].flatMap((user) => nearest(vectorOf(user)).slice(0, 4)));
    const scores = new Float32Array(memory, 8 + 96, 12);
    expect(scores[0]).toBeCloseTo(dot(VECTORS[keys[0]!]!, vectorOf(1)), 5);
    expect(memory.byteLength).toBe(8 + 12 * 12);
  });

  it.each([
    ['a vector of another dimension', { vectors: [[1, 2, 3]] }, [400, 'ERR_LICHEN_DIMENSION']],
    ['no vectors', { vectors: [] }, [400, 'ERR_LICHEN_ARGUMENT']],
    ['a number of no size', '{"vectors":[[1,2,3,1e999]]}', [400, 'ERR_LICHEN_ARGUMENT']],
    ['a text among numbers', { vectors: [[1, 2, 3, 'x']] }, [400, 'ERR_LICHEN_ARGUMENT']],
    ['null among numbers', { vectors: [[1, 2, 3, null]] }, [400, 'ERR_LICHEN_ARGUMENT']],
    [
      'ef and recall',
      { vectors: [[1, 2, 3, 4]], ef: 10, recall: 0.9 },
      [400, 'ERR_LICHEN_ARGUMENT'],
    ],
  ])('refuses %s', async (_, body, expected) => {
    const { url } = await served();
    expect(failure(await post(`${url}/v1/search`, body))).toEqual(expected);
  });

  it.each([
    ['an empty body', new Uint8Array(0), '', 'ERR_LICHEN_EMPTY'],
    ['a byte too many', new Uint8Array(17), '', 'ERR_LICHEN_DIMENSION'],
    ['NaN', new Float32Array([1, NaN, 1, 1]), '', 'ERR_LICHEN_NOT_FINITE'],
    ['more vectors than may be', new Float32Array(4 * 1025), '', 'ERR_LICHEN_ARGUMENT'],
    ['a k that is none', new Float32Array(4), '?k=x', 'ERR_LICHEN_ARGUMENT'],
    ['an option that is none', new Float32Array(4), '?kk=3', 'ERR_LICHEN_ARGUMENT'],
  ])('refuses %s, binary', async (_, body, query, code) => {
    const { url } = await served();
    const response = await fetch(`${url}/v1/search${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body,
    });
    const { error } = (await response.json()) as { error: { code: string } };
    expect([response.status, error.code]).toEqual([400, code]);
  });
});

describe('POST /v1/upsert and /v1/delete', () => {
  it('are not there unless changes are allowed', async () => {
    const { url } = await served();
    for (const path of ['upsert', 'delete']) {
      const answer = await post(`${url}/v1/${path}`, { ids: [1], vectors: [[1, 2, 3, 4]] });
      expect(failure(answer)).toEqual([404, 'ERR_LICHEN_NOT_FOUND']);
    }
  });

  it('change what is found from then on, also of results that were kept', async () => {
    const { url } = await served(
      { allowsWrites: true },
      { resultCache: { maxUsers: 10, ttlMs: 60_000 } },
      { index: await indexOf(VECTORS.map((_, row) => row)) },
    );
    const ask = async () =>
      (await post<Recommended>(`${url}/v1/recommend`, { user: 'u4', k: 1 })).body.items[0]!.id;
    const first = await ask();
    expect(first).toBe(nearest(vectorOf('u4'))[0]);
    const near = [...vectorOf('u4')].map((value) => 100 * value);
    const upserted = await post(`${url}/v1/upsert`, { ids: [900], vectors: [near] });
    expect([upserted.status, upserted.body]).toEqual([200, { upserted: 1, size: ROWS + 1 }]);
    expect(await ask()).toBe(900);
    const deleted = await post(`${url}/v1/delete`, { ids: [900] });
    expect([deleted.status, deleted.body]).toEqual([200, { deleted: 1, size: ROWS }]);
    expect(await ask()).toBe(first);
  });

  it('take keys that are strings, attributes, and binary bodies', async () => {
    const keys = VECTORS.map((_, row) => `item ${row}`);
    const { url } = await served(
      { allowsWrites: true },
      {},
      { index: await indexOf<string>(keys, true) },
    );
    const vector = [...vectorOf(5)].map((value) => 50 * value);
    await post(`${url}/v1/upsert`, {
      ids: ['new'],
      vectors: [vector],
      attributes: { kind: ['odd'] },
    });
    const { body } = await post<Found>(`${url}/v1/search`, {
      ...{ vectors: [vector], k: 1, where: { kind: 'odd' } },
    });
    expect(body.results[0]!.ids).toEqual(['new']);

    const numbers = await served(
      { allowsWrites: true },
      {},
      { index: await indexOf(VECTORS.map((_, row) => row)) },
    );
    const bytes = Buffer.concat([
      Buffer.from(Float64Array.of(77).buffer),
      Buffer.from(Float32Array.from(vector).buffer),
    ]);
    const send = (path: string, content: Uint8Array) =>
      fetch(`${numbers.url}/v1/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/octet-stream' },
        body: content,
      });
    expect(await (await send('upsert', bytes)).json()).toEqual({ upserted: 1, size: ROWS + 1 });
    const found = await post<Found>(`${numbers.url}/v1/search`, { vectors: [vector], k: 1 });
    expect(found.body.results[0]!.ids).toEqual([77]);
    const gone = await send('delete', new Uint8Array(Float64Array.of(77).buffer));
    expect(await gone.json()).toEqual({ deleted: 1, size: ROWS });
  });

  it('keep to the limits with binary bodies too, and change nothing beyond', async () => {
    const index = await indexOf(VECTORS.map((_, row) => row));
    const { url } = await served({ allowsWrites: true, maxVectors: 2, maxIds: 3 }, {}, { index });
    for (const [path, bytes] of [
      ['upsert', 3 * (8 + 16)],
      ['delete', 4 * 8],
    ] as const) {
      const response = await fetch(`${url}/v1/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/octet-stream' },
        body: new Uint8Array(bytes),
      });
      const { error } = (await response.json()) as { error: { code: string } };
      expect([response.status, error.code]).toEqual([400, 'ERR_LICHEN_ARGUMENT']);
    }
    expect(index.size).toBe(ROWS);
  });

  it.each([
    ['upsert', { ids: [1, 2], vectors: [[1, 2, 3, 4]] }, [400, 'ERR_LICHEN_ARGUMENT']],
    [
      'upsert',
      {
        ids: [1, 'a'],
        vectors: [
          [1, 2, 3, 4],
          [1, 2, 3, 4],
        ],
      },
      [400, 'ERR_LICHEN_ARGUMENT'],
    ],
    [
      'upsert',
      {
        ids: [1, 1],
        vectors: [
          [1, 2, 3, 4],
          [1, 2, 3, 4],
        ],
      },
      [409, 'ERR_LICHEN_DUPLICATE_KEY'],
    ],
    ['upsert', { ids: ['a'], vectors: [[1, 2, 3, 4]] }, [400, 'ERR_LICHEN_ARGUMENT']],
    ['upsert', { ids: [1], vectors: [[1, 2, 3]] }, [400, 'ERR_LICHEN_DIMENSION']],
    [
      'upsert',
      { ids: [1], vectors: [[1, 2, 3, 4]], attributes: { a: [1] } },
      [400, 'ERR_LICHEN_ARGUMENT'],
    ],
    ['delete', { ids: [12_345] }, [404, 'ERR_LICHEN_UNKNOWN_KEY']],
    ['delete', { ids: [] }, [400, 'ERR_LICHEN_ARGUMENT']],
  ])('%s refuses %j and changes nothing', async (path, body, expected) => {
    const index = await indexOf(VECTORS.map((_, row) => row));
    const { url } = await served({ allowsWrites: true }, {}, { index });
    expect(failure(await post(`${url}/v1/${path}`, body))).toEqual(expected);
    expect(index.size).toBe(ROWS);
    expect([...index.get(1)!]).toEqual([...VECTORS[1]!]);
  });
});

describe('operation', () => {
  it('tells of life and readiness', async () => {
    const { url, recommender } = await served();
    expect((await get(`${url}/healthz`)).body).toEqual({ status: 'ok' });
    expect((await get(`${url}/readyz`)).body).toEqual({ status: 'ready', version: 'v1' });
    await recommender.close();
    expect((await get(`${url}/healthz`)).status).toBe(200);
    const closing = await get(`${url}/readyz`);
    expect(failure(closing)).toEqual([503, 'ERR_LICHEN_NOT_READY']);
    expect(closing.headers.get('retry-after')).toBe('1');
    expect(failure(await post(`${url}/v1/recommend`, { user: 1 }))[0]).toBe(503);
  });

  it('counts requests, steps, batches and caches for Prometheus', async () => {
    const { url } = await served({}, { vectorCache: { maxBytes: 1 << 20, ttlMs: 60_000 } });
    for (const user of ['a', 'a', 'b']) await post(`${url}/v1/recommend`, { user });
    await post(`${url}/v1/recommend`, { user: 'a', where: { year: 1 } });
    const { body, headers } = await get<string>(`${url}/metrics`);
    expect(headers.get('content-type')).toMatch(/^text\/plain/);
    const value = (name: string): number => {
      const line = body.split('\n').find((one) => one.startsWith(`${name} `));
      if (line === undefined) throw new Error(`no ${name} in\n${body}`);
      return Number(line.slice(name.length + 1));
    };
    expect(value('lichen_requests_total{kind="recommend",outcome="ok"}')).toBe(3);
    expect(value('lichen_requests_total{kind="recommend",outcome="invalid"}')).toBe(1);
    expect(value('lichen_request_seconds_count{kind="recommend"}')).toBe(3);
    expect(value('lichen_stage_seconds_count{stage="retrieval"}')).toBe(3);
    expect(value('lichen_stage_outcomes_total{stage="encode",outcome="full"}')).toBe(3);
    expect(value('lichen_cache_use_total{cache="vector"}')).toBe(1);
    expect(value('lichen_vector_cache_hits{tier="memory"}')).toBe(2);
    expect(value('lichen_batches{up_to="1"}')).toBe(2);
    expect(value('lichen_index_vectors')).toBe(ROWS);
    expect(value('lichen_deployment_info{version="v1"}')).toBe(1);
    expect(value('lichen_http_responses_total{route="/v1/recommend",status="200"}')).toBe(3);
    expect(value('process_cpu_seconds_total')).toBeGreaterThan(0);
  });

  it('has statistics for the page', async () => {
    const { url } = await served();
    await post(`${url}/v1/recommend`, { user: 'a' });
    const { body } = await get(`${url}/v1/stats`);
    expect(body).toMatchObject({
      ...{ isReady: true, inFlight: 0, degradations: [], cacheUse: { none: 1 } },
      outcomes: { ok: 1, failed: 0 },
      deployment: { version: 'v1', items: ROWS, attributes: [] },
      canary: { recall: null, samples: 0 },
    });
    expect(Object.keys(body['recentStages'] as object).sort()).toEqual(['encode', 'retrieval']);
  });
});
