import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shown } from '../../src/errors.js';
import { Recommender } from '../../src/serving/recommender.js';
import type { RecommenderOptions } from '../../src/serving/recommender-options.js';
import { outcome } from '../batching/helpers.js';
import {
  AMPLE,
  deploymentOf,
  flatOf,
  heldOf,
  type HeldIndex,
  randomVectors,
  vectorOf,
} from './helpers.js';

const items = randomVectors(30, 23);
let service: Recommender;
let index: HeldIndex;

beforeAll(async () => {
  service = new Recommender({ slo: AMPLE, k: 5, warmUp: 0 });
  index = await heldOf(items);
  await service.deploy(deploymentOf(index).deployment);
});
afterAll(() => service.close());

const odd = [null, NaN, -1, 0.5, Infinity, 'five', {}, [], true, 5n, () => 5, Symbol('x')];
const without = (...values: unknown[]): unknown[] => odd.filter((one) => !values.includes(one));

/** Nothing was begun for it. */
async function refused(work: () => Promise<unknown>, code = 'ERR_LICHEN_ARGUMENT'): Promise<void> {
  const { admitted, inFlight } = service.stats();
  const { searches } = index;
  expect(await outcome(work())).toBe(code);
  expect(service.stats()).toMatchObject({ admitted, inFlight });
  expect(index.searches).toBe(searches);
}

describe('a query', () => {
  it.each([
    ...odd.filter((one) => one?.constructor !== Object),
    undefined,
    () => ({ user: 1 }),
    'user',
  ])('cannot be %o', async (query) => {
    await refused(() => service.recommend(query as never));
  });

  it.each([...without(-1), undefined, 2 ** 60])('has no user %o', async (user) => {
    if (user === undefined || user === 'five') return;
    await refused(() => service.recommend({ user: user as never }));
  });

  it.each([
    null,
    'items',
    5,
    {},
    { length: 1, 0: 1 },
    new Float64Array(2),
    [null],
    [[1]],
    [1.5],
    [NaN],
    [undefined],
    [1, {}],
  ])('has no history %o', async (history) => {
    await refused(() => service.recommend({ history: history as never }));
  });

  it.each([null, 5, 'context', true, () => ({})])('has no context %o', async (context) => {
    await refused(() => service.recommend({ context: context as never }));
  });

  it('has nothing else', async () => {
    await refused(() => service.recommend({ user: 1, usr: 2 } as never));
    await refused(() => service.recommend({ vector: vectorOf(1) } as never));
  });
});

describe('options of a request', () => {
  it.each([null, 5, 'k', true, [], [5], () => 5])('cannot be %o', async (options) => {
    await refused(() => service.recommend({ user: 1 }, options as never));
  });

  it.each([...odd, 0, 2 ** 31, '5'])('have no k of %o', async (k) => {
    await refused(() => service.recommend({ user: 1 }, { k: k as never }));
  });

  it.each([...without(0.5), 2 ** 31, new Date(NaN), '50'])(
    'have no deadline of %o',
    async (deadline) => {
      await refused(() => service.recommend({ user: 1 }, { deadline: deadline as never }));
      await refused(() =>
        service.run('other', () => Promise.resolve(1), { deadline: deadline as never }),
      );
    },
  );

  it.each([...without(-1), 101, -101])('have no priority of %o', async (priority) => {
    await refused(() => service.recommend({ user: 1 }, { priority: priority as never }));
    await refused(() =>
      service.run('other', () => Promise.resolve(1), { priority: priority as never }),
    );
  });

  it.each(without('five'))('have no tenant %o', async (tenant) => {
    await refused(() => service.recommend({ user: 1 }, { tenant: tenant as never }));
    await refused(() =>
      service.run('other', () => Promise.resolve(1), { tenant: tenant as never }),
    );
  });

  it.each([...odd, { aborted: true }])('have no signal %o', async (signal) => {
    await refused(() => service.recommend({ user: 1 }, { signal: signal as never }));
    await refused(() =>
      service.run('other', () => Promise.resolve(1), { signal: signal as never }),
    );
  });

  it.each([null, 'item', 5, {}, new Set([1]), Float64Array.of(1), [null], [1.5], [{}]])(
    'exclude no %o',
    async (exclude) => {
      await refused(() => service.recommend({ user: 1 }, { exclude: exclude as never }));
    },
  );

  it('of other work cannot be of another kind either', async () => {
    for (const options of [null, 5, 'k', true, [], [5], () => 5]) {
      await refused(() => service.run('other', () => Promise.resolve(1), options as never));
    }
  });

  it('are known ones', async () => {
    await refused(() => service.recommend({ user: 1 }, { limit: 5 } as never));
    await refused(() => service.run('other', () => Promise.resolve(1), { k: 5 } as never));
  });

  it.each([null, 5, 'where', [], {}, { year: 5 }, { and: [] }, () => true])(
    'have no condition %o, which is found out by the search',
    async (where) => {
      expect(await outcome(service.recommend({ user: 1 }, { where: where as never }))).toBe(
        'ERR_LICHEN_ARGUMENT',
      );
      expect(service.stats().inFlight).toBe(0);
    },
  );
});

describe('other work', () => {
  it('has to be a function', async () => {
    for (const work of [...odd.filter((one) => typeof one !== 'function'), undefined]) {
      await refused(() => service.run('other', work as never));
    }
  });

  it('is called by a text', async () => {
    for (const kind of [...without('five'), undefined]) {
      await refused(() => service.run(kind as never, () => Promise.resolve(1)));
    }
  });

  it('may give a value that is no promise', async () => {
    expect(await outcome(service.run('other', () => 5 as never))).toBe(5);
  });
});

describe('options of a service', () => {
  it.each<[string, unknown]>([
    ['null', null],
    ['an array', []],
    ['a number', 5],
    ['an unknown option', { sloMs: 5 }],
    ...without(0.5).map((slo): [string, unknown] => [`slo ${shown(slo)}`, { slo }]),
    ...odd.map((k): [string, unknown] => [`k ${shown(k)}`, { k }]),
    ...without(0.5).map((canaryShare): [string, unknown] => [
      `canaryShare ${shown(canaryShare)}`,
      { canaryShare },
    ]),
    ...odd.map((warmUp): [string, unknown] => [`warmUp ${shown(warmUp)}`, { warmUp }]),
    ['limit null', { limit: null }],
    ['a limit of another kind', { limit: 5 }],
    ['an unknown limit', { limit: { max: 5 } }],
    ['limit.initial below the least', { limit: { initial: 3 } }],
    ['limit.initial above the most', { limit: { initial: 10, most: 9 } }],
    ['limit.least 0', { limit: { least: 0 } }],
    ['limit.most NaN', { limit: { most: NaN } }],
    ['onRequest of another kind', { onRequest: 'log' }],
    ['resultCache without limits', { resultCache: {} }],
    ['resultCache null', { resultCache: null }],
    ['resultCache.ttlMs 0', { resultCache: { maxUsers: 5, ttlMs: 0 } }],
    ['resultCache.ttlMs NaN', { resultCache: { maxUsers: 5, ttlMs: NaN } }],
    ['vectorCache null', { vectorCache: null }],
    ['an unknown option of vectorCache', { vectorCache: { maxBytes: 1e6, ttlMs: 5, size: 1 } }],
    ['vectorCache without limits', { vectorCache: {} }],
    ['vectorCache.maxBytes -1', { vectorCache: { maxBytes: -1, ttlMs: 5 } }],
    ['vectorCache.ttlMs NaN', { vectorCache: { maxBytes: 1e6, ttlMs: NaN } }],
    ['an unknown option of batching', { batching: { size: 5 } }],
    ['batching.maxBatch 0', { batching: { maxBatch: 0 } }],
    ['batching.policy that is none', { batching: { policy: 'fast' } }],
    ['openTelemetry that is none', { openTelemetry: {} }],
  ])('cannot be %s', (_what, options) => {
    expect(() => new Recommender(options as RecommenderOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
    );
  });
});

describe('a deployment', () => {
  it.each<[string, object | null | undefined, string?]>([
    ['nothing', undefined],
    ['null', null],
    ['no version', { version: undefined }],
    ['an empty version', { version: '' }],
    ['a version that is a number', { version: 5 }],
    ['no index', { index: undefined }],
    ['an index that is none', { index: { dim: 6, search: () => undefined } }],
    ['no tower', { encode: undefined }],
    ['a tower that is none', { encode: {} }],
    ['a model in place of a tower', { model: {}, encode: undefined }],
    ['features that are none', { features: 5 }],
    ['seen that is none', { seen: [1, 2] }],
    ['close that is none', { close: true }],
    ['stages that are none', { stages: {} }],
    ['a stage that is none', { stages: [null] }],
    [
      'a stage called as the retrieval',
      { stages: [{ name: 'retrieval', candidates: 5, score: () => [] }] },
    ],
    ['no candidates', { candidates: 0 }],
    ['candidates that are no number', { candidates: NaN }],
    ['a usual vector of another length', { usualVector: [1, 2] }, 'ERR_LICHEN_DIMENSION'],
    ['a usual vector that is none', { usualVector: 'mean' }],
    [
      'a usual vector of no numbers',
      { usualVector: new Array(6).fill(NaN) },
      'ERR_LICHEN_NOT_FINITE',
    ],
    ['samples that are none', { samples: 5 }],
    ['samples of null', { samples: [null] }],
    ['items that are none', { items: ['a', 'b'] }, 'ERR_LICHEN_DIMENSION'],
    ['search options that are none', { search: 5 }],
  ])('cannot have %s', async (_what, changes, code = 'ERR_LICHEN_ARGUMENT') => {
    const open = await flatOf(items);
    const good = deploymentOf(open).deployment;
    const other = new Recommender({ slo: AMPLE });
    const given = changes === null || changes === undefined ? changes : { ...good, ...changes };
    expect(await outcome(other.deploy(given as never))).toBe(code);
    expect(other.isReady).toBe(false);
    expect(open.size).toBe(30);
    open.close();
    await other.close();
  });
});
