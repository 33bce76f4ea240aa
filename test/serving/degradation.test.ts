import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LichenArgumentError } from '../../src/errors.js';
import type { SharedTier } from '../../src/cache/shared-tier.js';
import { Recommender, type Recommendation } from '../../src/serving/recommender.js';
import type { Deployment, EncodeContext, UserQuery, UserVectors } from '../../src/index.js';
import { outcome, pass } from '../batching/helpers.js';
import {
  after,
  bestOf,
  deploymentOf,
  DIM,
  heldOf,
  rowsOf,
  settled,
  stopClock,
  vectorOf,
  wait,
} from './helpers.js';
import {
  HASTY_ITEMS as items,
  hasty as serving,
  never,
  usualItems,
  usualVector,
} from './services.js';

beforeEach(stopClock);
afterEach(() => {
  vi.useRealTimers();
});

describe('a deadline that is over', () => {
  it.each([['no milliseconds', 0] as const, ['a time of before', -1000] as const])(
    'as %s fails the request, and nothing is asked',
    async (_what, ms) => {
      const { service, asked, index } = await serving();
      const deadline = ms === 0 ? 0 : new Date(Date.now() + ms);
      expect(await after(1, service.recommend({ user: 1 }, { deadline }))).toBe(
        'ERR_LICHEN_DEADLINE',
      );
      expect([asked.length, index.searches]).toEqual([0, 0]);
      expect(service.stats().outcomes).toMatchObject({ deadline: 1, ok: 0 });
    },
  );
});

describe('a user tower that takes too long', () => {
  it('fails the request at its deadline when there is no usual vector', async () => {
    const signals: AbortSignal[] = [];
    const encode = (_users: unknown, { signal }: EncodeContext<unknown>): Promise<never> => {
      signals.push(signal);
      return never();
    };
    const { service } = await serving({ encode });
    expect(await after(50, service.recommend({ user: 1 }))).toBe('ERR_LICHEN_DEADLINE');
    // Nobody waits for it any more.
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(await after(10, service.recommend({ user: 2 }, { deadline: 10 }))).toBe(
      'ERR_LICHEN_DEADLINE',
    );
    expect(service.stats()).toMatchObject({ inFlight: 0, outcomes: { deadline: 2 } });
  });

  it('leaves time to search for the usual vector instead, and the answer says so', async () => {
    const { service, index } = await serving({ encode: never, usualVector });
    index.before = () => wait(1);
    for (let round = 0; round < 3; round++) {
      const answer = (await after(50, service.recommend({ user: round }))) as Recommendation;
      expect(answer.items).toEqual(usualItems());
      const { isDegraded, steps, ms, cache } = answer.explanation;
      expect({ isDegraded, cache }).toEqual({ isDegraded: true, cache: 'none' });
      expect(steps[0]).toMatchObject({ name: 'encode', outcome: 'late', wanted: 1, candidates: 0 });
      expect(steps[0]!.reason).toContain('the usual vector');
      expect(steps[1]).toMatchObject({ name: 'retrieval', outcome: 'full', candidates: 5 });
      expect(ms).toBeLessThanOrEqual(50);
    }
    expect(service.stats().outcomes).toMatchObject({ degraded: 3, ok: 0 });
  });

  it('is not said to have failed, and serves again once it is fast', async () => {
    let ms = 200;
    const { service } = await serving({
      usualVector,
      encode: async (queries) => {
        await wait(ms);
        return queries.map(({ user }) => vectorOf(user));
      },
    });
    const isDegraded = async (): Promise<boolean> => {
      const answer = service.recommend({ user: 1 });
      const came = (await after(50, answer)) as Recommendation;
      await pass(350);
      return came.explanation.isDegraded;
    };
    for (let round = 0; round < 5; round++) expect(await isDegraded()).toBe(true);
    expect(service.stats().deployment!.encode.breaker).toBe('closed');
    ms = 1;
    const outcomes: boolean[] = [];
    for (let round = 0; round < 30; round++) outcomes.push(await isDegraded());
    expect(outcomes.at(-1)).toBe(false);
  });

  it('is not waited for longer if a tier of vectors that processes share is slow as well', async () => {
    const shared: SharedTier = {
      getMany: never,
      setMany: never,
      fillMany: never,
      publish: never,
      subscribe: () => () => undefined,
      close: () => Promise.resolve(),
    };
    const index = await heldOf(items);
    const vectorCache = { maxBytes: 1 << 20, ttlMs: 60_000, shared, sharedTimeoutMs: 10_000 };
    const service = new Recommender({ slo: 50, k: 5, warmUp: 0, vectorCache });
    await settled(service.deploy(deploymentOf(index, { usualVector }).deployment));
    const answer = (await after(50, service.recommend({ user: 1 }))) as Recommendation;
    expect(answer.explanation?.ms).toBeLessThanOrEqual(50);
    expect(answer.items).toHaveLength(5);
  });

  it('because of its features is no other', async () => {
    const { service } = await serving({ features: never, usualVector });
    const answer = (await after(50, service.recommend({ user: 1 }))) as Recommendation;
    expect(answer.items).toEqual(usualItems());
  });
});

describe('a user tower that fails', () => {
  const failing = (): never => {
    throw new RangeError('weights are gone');
  };

  it.each<[string, Partial<Deployment>]>([
    ['throws', { encode: failing }],
    ['rejects', { encode: () => Promise.reject(new RangeError('weights are gone')) }],
    ['gives an error for the user', { encode: () => [new RangeError('weights are gone')] }],
    ['has no features', { features: failing }],
  ])(
    'because it %s passes its error on, or gives way to the usual vector',
    async (_what, changes) => {
      const { service } = await serving(changes);
      expect(await after(5, service.recommend({ user: 1 }))).toBe('weights are gone');
      expect(service.stats().outcomes).toMatchObject({ failed: 1 });
      const { service: usual } = await serving({ ...changes, usualVector });
      const { items: got, explanation } = await settled(usual.recommend({ user: 1 }));
      expect(got).toEqual(usualItems());
      expect(explanation.steps[0]).toMatchObject({ name: 'encode', outcome: 'failed' });
      expect(explanation.steps[0]!.reason).toContain('weights are gone');
    },
  );

  it.each<[string, UserVectors]>([
    ['nothing', undefined as never],
    ['a vector too many', [vectorOf(1), vectorOf(2)]],
    ['values too few', new Float32Array(DIM - 1)],
    ['a vector of another length', [new Float32Array(DIM + 1)]],
    ['what is no vector', ['vector'] as never],
    ['no vector', [null] as never],
    ['NaN', new Float32Array(DIM).fill(NaN)],
    ['infinity', [new Array(DIM).fill(Infinity)]],
  ])('because it gives %s is not the fault of the caller', async (_what, given) => {
    const { service } = await serving({ encode: () => given });
    const error = await after(5, service.recommend({ user: 1 }));
    expect(error).not.toBe('pending');
    expect(service.stats().outcomes).toMatchObject({ failed: 1, invalid: 0 });
    const { service: usual } = await serving({ encode: () => given, usualVector });
    const { items: got, explanation } = await settled(usual.recommend({ user: 1 }));
    expect(got).toEqual(usualItems());
    expect(explanation.isDegraded).toBe(true);
  });

  it('for one user fails that one alone', async () => {
    const encode = vi.fn((queries: readonly UserQuery[]) => {
      if (queries.some(({ user }) => user === 'bad')) throw new Error('no such user');
      return queries.map(({ user }) => vectorOf(user));
    });
    const { service } = await serving({ encode });
    const users = ['a', 'b', 'bad', 'c', 'd'];
    const results = users.map((user) => outcome(service.recommend({ user })));
    const came = await settled(Promise.all(results));
    users.forEach((user, at) => {
      if (user === 'bad') expect(came[at]).toBe('no such user');
      else
        expect((came[at] as Recommendation).items).toEqual(
          rowsOf(bestOf(items, vectorOf(user), { k: 5 })),
        );
    });
  });

  it('again and again is left alone for a while, then tried, and used again', async () => {
    let isBroken = true;
    const encode = vi.fn((queries: readonly UserQuery[]) => {
      if (isBroken) throw new Error('down');
      return queries.map(({ user }) => vectorOf(user));
    });
    const { service } = await serving({ encode, usualVector });
    for (let round = 0; round < 10; round++) await settled(service.recommend({ user: round }));
    expect(encode).toHaveBeenCalledTimes(3);
    expect(service.stats().deployment!.encode.breaker).toBe('open');
    const { explanation, items: got } = await settled(service.recommend({ user: 1 }));
    expect(explanation.steps[0]!.reason).toContain('left alone');
    expect(got).toEqual(usualItems());
    await pass(300);
    // One tries it and fails, the others do not wait.
    await settled(Promise.all([1, 2, 3].map((user) => service.recommend({ user }))));
    expect(encode).toHaveBeenCalledTimes(4);
    isBroken = false;
    await pass(5000);
    const { explanation: good } = await settled(service.recommend({ user: 'a' }));
    expect(good.isDegraded).toBe(false);
    expect(service.stats().deployment!.encode.breaker).toBe('closed');
  });

  it('without a usual vector is left alone as well', async () => {
    const { service } = await serving({ encode: () => Promise.reject(new Error('down')) });
    const codes: unknown[] = [];
    for (let round = 0; round < 4; round++)
      codes.push(await after(1, service.recommend({ user: 1 })));
    expect(codes).toEqual(['down', 'down', 'down', 'ERR_LICHEN_IO']);
  });

  it('for bad arguments is not left alone, and passes them on although there is a usual vector', async () => {
    const encode = vi.fn((queries: readonly UserQuery[]) => {
      if (queries.some(({ context }) => context !== undefined)) {
        throw new LichenArgumentError('ERR_LICHEN_ARGUMENT', 'no such feature');
      }
      return queries.map(({ user }) => vectorOf(user));
    });
    const { service } = await serving({ encode, usualVector });
    for (let round = 0; round < 10; round++) {
      const bad = service.recommend({ user: 'a', context: { nonsense: 1 } });
      expect(await after(1, bad)).toBe('ERR_LICHEN_ARGUMENT');
    }
    expect(encode).toHaveBeenCalledTimes(10);
    const { explanation } = await settled(service.recommend({ user: 'a' }));
    expect(explanation.isDegraded).toBe(false);
    expect(service.stats().outcomes).toMatchObject({ invalid: 10, ok: 1, failed: 0 });
  });
});
