import { afterEach, describe, expect, it, vi } from 'vitest';
import { LichenArgumentError } from '../../src/errors.js';
import { Recommender } from '../../src/serving/recommender.js';
import type { RecommenderOptions, RequestEvent } from '../../src/serving/recommender-options.js';
import { outcome } from '../batching/helpers.js';
import {
  after,
  AMPLE,
  deploymentOf,
  gate,
  heldOf,
  isClosed,
  randomVectors,
  settled,
  stopClock,
  until,
  vectorOf,
} from './helpers.js';

afterEach(() => {
  vi.useRealTimers();
});

const items = randomVectors(30, 29);

async function serving(
  options: RecommenderOptions = {},
  changes: Parameters<typeof deploymentOf<number>>[1] = {},
) {
  const events: RequestEvent[] = [];
  const index = await heldOf(items);
  const service = new Recommender({
    ...{ slo: AMPLE, k: 5, warmUp: 0, onRequest: (event) => events.push(event) },
    ...options,
  });
  await settled(service.deploy(deploymentOf(index, changes).deployment));
  return { service, events, index };
}

const NONE = { ok: 0, degraded: 0, shed: 0, deadline: 0, aborted: 0, invalid: 0, failed: 0 };

describe('other work', () => {
  it('is given what is in service, is counted, and told of', async () => {
    const { service, events, index } = await serving();
    const result = await service.run(
      'search',
      async (current, { priority, tenant }) => {
        expect(service.stats()).toMatchObject({ inFlight: 1, admitted: 1 });
        expect(current.version).toBe('v1');
        expect(current.index).toBe(index);
        expect(current.ids.keysOf(['3', 4])).toEqual([3, 4]);
        return Promise.resolve({ priority, tenant });
      },
      { priority: 7, tenant: 'shop' },
    );
    expect(result).toEqual({ priority: 7, tenant: 'shop' });
    expect(service.stats()).toMatchObject({ inFlight: 0, outcomes: { ...NONE, ok: 1 } });
    expect(events).toMatchObject([
      { kind: 'search', outcome: 'ok', cache: undefined, steps: [], tenant: 'shop' },
    ]);
    expect(events[0]!.ms).toBeGreaterThanOrEqual(0);
    await service.close();
  });

  it.each([
    ['failed', new RangeError('no')],
    ['invalid', new LichenArgumentError('ERR_LICHEN_UNKNOWN_KEY', 'no such key')],
    ['failed', undefined],
    ['failed', null],
    ['failed', 'a text'],
  ])('that ends with an error is %s, and the error is passed on', async (how, error) => {
    const { service, events } = await serving();
    for (const isLater of [true, false]) {
      const work = async (): Promise<never> => {
        if (isLater) await Promise.resolve();
        throw error as Error;
      };
      const came = await service.run('other', work).then(
        () => 'no error',
        (caught: unknown) => ({ caught }),
      );
      expect(came).toEqual({ caught: error });
    }
    expect(events.map((event) => event.outcome)).toEqual([how, how]);
    expect(service.stats()).toMatchObject({ inFlight: 0, outcomes: { ...NONE, [how]: 2 } });
    await service.close();
  });

  it('is not waited for beyond its deadline', async () => {
    stopClock();
    const { service, events } = await serving({ slo: 50 });
    const never = (): Promise<never> => new Promise(() => undefined);
    expect(await after(10, service.run('other', never, { deadline: 10 }))).toBe(
      'ERR_LICHEN_DEADLINE',
    );
    expect(await after(50, service.run('other', never))).toBe('ERR_LICHEN_DEADLINE');
    expect(events).toMatchObject([
      { outcome: 'deadline', ms: 10 },
      { outcome: 'deadline', ms: 50 },
    ]);
    expect(service.stats().inFlight).toBe(0);
  });

  it('is given up when its signal fires, before or meanwhile', async () => {
    const { service, events } = await serving();
    const work = vi.fn(() => new Promise<never>(() => undefined));
    expect(await outcome(service.run('other', work, { signal: AbortSignal.abort() }))).toBe(
      'ERR_LICHEN_ABORTED',
    );
    expect(work).not.toHaveBeenCalled();
    const abort = new AbortController();
    const request = service.run('other', work, { signal: abort.signal });
    abort.abort();
    // Half a second is more than an abort takes.
    const late = new Promise((resolve) => setTimeout(() => resolve('not given up'), 500));
    expect(await Promise.race([outcome(request), late])).toBe('ERR_LICHEN_ABORTED');
    expect(events.map((event) => event.outcome)).toEqual(['aborted', 'aborted']);
  });

  it('keeps what it works with from being closed', async () => {
    const { service, index } = await serving();
    const slow = gate();
    const work = service.run('other', async (current) => {
      await slow.promise;
      return current.index.size;
    });
    await service.deploy(deploymentOf(await heldOf(items), { version: 'v2' }).deployment);
    expect(isClosed(index)).toBe(false);
    slow.open();
    expect(await work).toBe(30);
    await until(() => isClosed(index));
    await service.close();
  });
});

describe('each outcome', () => {
  it('is counted and told of', async () => {
    const { service, events, index } = await serving(
      {
        resultCache: { maxUsers: 10, ttlMs: AMPLE },
        vectorCache: { maxBytes: 1 << 20, ttlMs: AMPLE },
      },
      {
        usualVector: vectorOf('usual'),
        encode: (queries) =>
          queries.map(({ user }) => (user === 'bad' ? new Error('who?') : vectorOf(user))),
      },
    );
    const told = async (request: Promise<unknown>): Promise<RequestEvent> => {
      await outcome(request);
      return events.at(-1)!;
    };
    expect(await told(service.recommend({ user: 1 }, { tenant: 't' }))).toMatchObject({
      ...{ kind: 'recommend', outcome: 'ok', cache: 'none', tenant: 't' },
      steps: [{ name: 'encode' }, { name: 'retrieval' }],
    });
    expect(await told(service.recommend({ user: 1 }, { k: 4 }))).toMatchObject({
      outcome: 'ok',
      cache: 'vector',
    });
    expect(await told(service.recommend({ user: 1 }))).toMatchObject({
      outcome: 'ok',
      cache: 'result',
      steps: [],
    });
    expect(await told(service.recommend({ user: 'bad' }))).toMatchObject({
      outcome: 'degraded',
      cache: 'none',
    });
    expect(await told(service.recommend({ user: 2 }, { where: { a: 1 } }))).toMatchObject({
      outcome: 'invalid',
    });
    expect(
      await told(service.recommend({ user: 2 }, { signal: AbortSignal.abort() })),
    ).toMatchObject({ outcome: 'aborted' });
    index.before = () => Promise.reject(new Error('broken'));
    expect(await told(service.recommend({ user: 3 }))).toMatchObject({ outcome: 'degraded' });
    const { outcomes } = service.stats();
    expect(outcomes).toEqual({ ...NONE, ok: 3, degraded: 2, invalid: 1, aborted: 1 });
    await service.close();
    expect(await told(service.recommend({ user: 2 }))).toMatchObject({
      outcome: 'shed',
      steps: [],
    });
    expect(events).toHaveLength(8);
  });

  it('of a call with bad arguments is invalid', async () => {
    const { service, events } = await serving();
    await outcome(service.recommend({ user: 1 }, { k: -1 }));
    await outcome(service.run('other', () => Promise.resolve(1), { priority: NaN }));
    expect(events.map(({ kind, outcome: how }) => [kind, how])).toEqual([
      ['recommend', 'invalid'],
      ['other', 'invalid'],
    ]);
    expect(service.stats().outcomes).toEqual({ ...NONE, invalid: 2 });
    await service.close();
  });

  it('is told of to whoever listens, until he does not any more', async () => {
    const { service, events } = await serving();
    const listener = vi.fn();
    const end = service.observe(listener);
    await service.recommend({ user: 1 });
    end();
    end();
    await service.recommend({ user: 2 });
    expect(listener).toHaveBeenCalledTimes(1);
    expect(listener).toHaveBeenCalledWith(events[0]);
    expect(events).toHaveLength(2);
    await service.close();
  });
});

describe('a listener that fails', () => {
  it.each([
    [
      'throws',
      (): never => {
        throw new Error('log is full');
      },
    ],
    ['rejects', () => Promise.reject(new Error('log is full'))],
  ])('because it %s does no harm', async (_what, onRequest) => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    try {
      // Typed as one that gives nothing, which a function that gives a promise may be taken for.
      const listener: unknown = onRequest;
      const { service } = await serving({ onRequest: listener as () => void });
      expect((await service.recommend({ user: 1 })).items).toHaveLength(5);
      expect(await service.run('other', () => Promise.resolve(1))).toBe(1);
      await outcome(service.run('other', () => Promise.reject(new Error('x'))));
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(service.stats()).toMatchObject({ inFlight: 0, outcomes: { ok: 2, failed: 1 } });
      expect(unhandled).not.toHaveBeenCalled();
      await service.close();
    } finally {
      process.off('unhandledRejection', unhandled);
      warned.mockRestore();
    }
  });
});

describe('latency', () => {
  it('is that of answers of the last seconds', async () => {
    stopClock();
    const { service } = await serving(
      { slo: 100 },
      {
        encode: async (queries) => {
          await new Promise((resolve) => setTimeout(resolve, 20));
          return queries.map(({ user }) => vectorOf(user));
        },
      },
    );
    expect(service.stats().latency).toEqual({ p50us: 0, p99us: 0 });
    for (let user = 0; user < 5; user++) await after(20, service.recommend({ user }));
    const { p50us } = service.stats().latency;
    expect(p50us).toBeGreaterThanOrEqual(19_900);
    expect(p50us).toBeLessThanOrEqual(20_500);
    await vi.advanceTimersByTimeAsync(10_001);
    expect(service.stats().latency).toEqual({ p50us: 0, p99us: 0 });
  });
});
