import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HnswIndex } from '../../src/index/hnsw.js';
import { Lease } from '../../src/index/lease.js';
import type { VectorIndex } from '../../src/index/vector-index.js';
import { RecallCanary, type CanarySample } from '../../src/serving/canary.js';
import { Recommender } from '../../src/serving/recommender.js';
import { pass } from '../batching/helpers.js';
import {
  AMPLE,
  bestOf,
  breathe,
  deploymentOf,
  flatOf,
  gate,
  heldOf,
  randomVectors,
  rowsOf,
  settled,
  stopClock,
  vectorOf,
} from './helpers.js';

beforeEach(stopClock);
afterEach(() => {
  vi.useRealTimers();
});

const items = randomVectors(200, 13);

function sampleOf(
  index: VectorIndex,
  user: number,
  changes: Partial<CanarySample<number>> = {},
): CanarySample<number> {
  const vector = vectorOf(user);
  return {
    ...{
      lease: new Lease({ index }, () => undefined),
      vector,
      where: undefined,
      exclude: undefined,
    },
    keys: Float64Array.from(rowsOf(bestOf(items, vector, { k: 10 }))),
    ...changes,
  };
}

/** Lets a canary do all that it can. */
async function rest(): Promise<void> {
  for (let round = 0; round < 100; round++) {
    await pass(100);
    await breathe();
  }
}

describe('which searches a canary wants', () => {
  it.each([
    [0, 0],
    [0.01, 10],
    [0.25, 250],
    [1, 1000],
  ])('is a share of %d', (share, expected) => {
    const canary = new RecallCanary<number>(share, () => true);
    let wanted = 0;
    for (let at = 0; at < 1000; at++) if (canary.wants()) wanted++;
    expect(Math.abs(wanted - expected)).toBeLessThanOrEqual(1);
  });
});

describe('the recall of a canary', () => {
  it('is not known before there are samples', () => {
    const canary = new RecallCanary<number>(1, () => true);
    expect(canary.stats()).toEqual({ recall: NaN, samples: 0, skipped: 0 });
  });

  it('is the share of the nearest that were found', async () => {
    const index = await heldOf(items);
    const canary = new RecallCanary<number>(1, () => true);
    canary.offer(sampleOf(index, 1));
    await rest();
    expect(canary.stats()).toEqual({ recall: 1, samples: 1, skipped: 0 });
    // Of ten that are nearest, six were found.
    const best = rowsOf(bestOf(items, vectorOf(2), { k: 14 }));
    canary.offer(
      sampleOf(index, 2, { keys: Float64Array.from([...best.slice(0, 6), ...best.slice(10)]) }),
    );
    await rest();
    expect(canary.stats()).toMatchObject({ recall: 0.8, samples: 2 });
    canary.offer(sampleOf(index, 3, { keys: Float64Array.from([-1, -2, -3]) }));
    await rest();
    expect(canary.stats().recall).toBeCloseTo((1 + 0.6 + 0) / 3, 10);
    await canary.close();
  });

  it('is that of the condition and the exclusion of the search', async () => {
    const index = await flatOf(items, {
      schema: { year: 'number' },
      attributes: { year: items.map((_, at) => at) },
    });
    const canary = new RecallCanary<number>(1, () => true);
    const exclude = rowsOf(bestOf(items, vectorOf(1), { k: 3 }));
    const without = [...items.map((_, at) => at).filter((at) => at >= 100), ...exclude];
    const keys = Float64Array.from(rowsOf(bestOf(items, vectorOf(1), { k: 10, without })));
    canary.offer(sampleOf(index, 1, { where: { year: { lt: 100 } }, exclude, keys }));
    await rest();
    expect(canary.stats()).toMatchObject({ recall: 1, samples: 1 });
    await canary.close();
  });

  it('is of the latest thousand', async () => {
    const index = await heldOf(items);
    const canary = new RecallCanary<number>(1, () => true);
    const wrong = Float64Array.from([-1, -2]);
    for (let at = 0; at < 1010; at++) {
      canary.offer(sampleOf(index, at, at < 510 ? { keys: wrong } : {}));
      await pass(60);
    }
    await rest();
    const { samples, recall } = canary.stats();
    expect(samples).toBe(1010);
    expect(recall).toBeCloseTo(0.5, 10);
    await canary.close();
  });
});

describe('a canary', () => {
  it('does nothing while there is much to do', async () => {
    let isIdle = false;
    const index = await heldOf(items);
    const canary = new RecallCanary<number>(1, () => isIdle);
    canary.offer(sampleOf(index, 1));
    await rest();
    expect([index.searches, canary.stats().samples]).toEqual([0, 0]);
    isIdle = true;
    await rest();
    expect([index.searches, canary.stats().samples]).toEqual([1, 1]);
    await canary.close();
  });

  it('skips samples when too many wait', async () => {
    const index = await heldOf(items);
    const canary = new RecallCanary<number>(1, () => true);
    for (let user = 0; user < 40; user++) canary.offer(sampleOf(index, user));
    expect(canary.stats().skipped).toBe(24);
    await rest();
    expect(canary.stats()).toEqual({ recall: 1, samples: 16, skipped: 24 });
    await canary.close();
  });

  it('rests nineteen times as long as an exact search took', async () => {
    const index = await heldOf(items);
    const begun: number[] = [];
    index.before = async () => {
      begun.push(performance.now());
      await new Promise((resolve) => setTimeout(resolve, 50));
    };
    const canary = new RecallCanary<number>(1, () => true);
    for (let user = 0; user < 4; user++) canary.offer(sampleOf(index, user));
    await pass(10_000);
    expect(begun).toHaveLength(4);
    for (let at = 1; at < 4; at++) expect(begun[at]! - begun[at - 1]!).toBeGreaterThanOrEqual(1000);
    await canary.close();
  });

  it('gives up what takes too long, and goes on', async () => {
    const index = await heldOf(items);
    index.before = () => (index.searches === 1 ? new Promise(() => undefined) : undefined);
    const canary = new RecallCanary<number>(1, () => true);
    canary.offer(sampleOf(index, 1));
    canary.offer(sampleOf(index, 2));
    await pass(1_000_000);
    expect(canary.stats()).toEqual({ recall: 1, samples: 1, skipped: 1 });
    await canary.close();
  });

  it('does not fail for an index that was replaced or closed', async () => {
    const [gone, closed, good] = [await heldOf(items), await heldOf(items), await heldOf(items)];
    const canary = new RecallCanary<number>(1, () => true);
    const left = new Lease<{ readonly index: VectorIndex }>({ index: gone }, ({ index }) =>
      index.close(),
    );
    canary.offer(sampleOf(gone, 1, { lease: left }));
    canary.offer(sampleOf(closed, 2));
    canary.offer(sampleOf(good, 3));
    left.leave();
    closed.close();
    await rest();
    expect(gone.searches).toBe(0);
    expect(canary.stats()).toEqual({ recall: 1, samples: 1, skipped: 2 });
    await canary.close();
  });

  it('does nothing after it was closed, and closing ends what it does', async () => {
    const index = await heldOf(items);
    const canary = new RecallCanary<number>(1, () => true);
    for (let user = 0; user < 5; user++) canary.offer(sampleOf(index, user));
    await settled(canary.close());
    canary.offer(sampleOf(index, 9));
    await rest();
    expect(index.searches).toBe(0);
    expect(canary.stats().samples).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('can be closed while it searches', async () => {
    const index = await heldOf(items);
    const slow = gate();
    index.before = async ({ signal }) => {
      const aborted = new Promise((resolve) => signal!.addEventListener('abort', resolve));
      await Promise.race([slow.promise, aborted]);
      signal!.throwIfAborted();
    };
    const canary = new RecallCanary<number>(1, () => true);
    canary.offer(sampleOf(index, 1));
    await pass(30);
    expect(index.searches).toBe(1);
    await settled(canary.close());
    expect(canary.stats().samples).toBe(0);
  });

  it('takes no part in a search that found nothing', async () => {
    const index = await heldOf(items);
    const canary = new RecallCanary<number>(1, () => true);
    canary.offer(sampleOf(index, 1, { keys: new Float64Array(0) }));
    await rest();
    expect(index.searches).toBe(0);
    await canary.close();
  });
});

describe('the canary of a service', () => {
  async function served(
    index: VectorIndex,
    changes: Parameters<typeof deploymentOf<number>>[1] = {},
    canaryShare = 1,
  ) {
    const service = new Recommender({ slo: AMPLE, k: 10, warmUp: 0, canaryShare });
    await settled(service.deploy(deploymentOf(index, changes).deployment));
    const ask = async (users: number): Promise<void> => {
      for (let user = 0; user < users; user++) {
        await settled(service.recommend({ user, history: [user] }, { exclude: [100 + user] }));
        await rest();
      }
    };
    return { service, ask };
  }

  it('finds a recall of 1 where the search is exact', async () => {
    const { service, ask } = await served(await flatOf(items));
    await ask(5);
    expect(service.stats().canary).toEqual({ recall: 1, samples: 5, skipped: 0 });
    await settled(service.close());
  });

  it('finds a recall of 1 where the search is exact and the deployment has a condition', async () => {
    const index = await flatOf(items, {
      schema: { year: 'number' },
      attributes: { year: items.map((_, at) => at) },
    });
    const { service, ask } = await served(index, { search: { where: { year: { lt: 100 } } } });
    await ask(5);
    expect(service.stats().canary).toEqual({ recall: 1, samples: 5, skipped: 0 });
    await settled(service.close());
  });

  it('finds the recall that a bad search has', async () => {
    const many = randomVectors(3000, 17, 32);
    const index = new HnswIndex({ dim: 32, metric: 'dot', m: 2, efConstruction: 2 });
    await index.add([...many], { threads: 1 });
    const search = { ef: 1 };
    let found = 0;
    const service = new Recommender({ slo: AMPLE, k: 10, warmUp: 0, canaryShare: 1 });
    await settled(service.deploy(deploymentOf(index, { search }).deployment));
    for (let user = 0; user < 10; user++) {
      const { items: got } = await settled(service.recommend({ user }));
      const best = new Set<unknown>(rowsOf(bestOf(many, vectorOf(user, 32), { k: 10 })));
      found += got.filter((row) => best.has(row)).length;
      await rest();
    }
    const { recall, samples } = service.stats().canary;
    expect(samples).toBe(10);
    expect(recall).toBeCloseTo(found / 100, 10);
    expect(recall).toBeLessThan(0.9);
    await settled(service.close());
  });

  it('counts as found what should have been found and was not', async () => {
    // Of what is there, a search finds the first three only.
    const index = await heldOf(items);
    const { service, ask } = await served(index);
    const searchBatch = index.searchBatch.bind(index);
    const few = vi.spyOn(index, 'searchBatch').mockImplementation(async (queries, options) => {
      const result = await searchBatch(queries, options);
      return { ...result, counts: result.counts.map(() => 3) };
    });
    await ask(4);
    expect(few).toHaveBeenCalled();
    expect(service.stats().canary.recall).toBeCloseTo(0.3, 10);
    await settled(service.close());
  });

  it('goes on when its index is replaced', async () => {
    const { service, ask } = await served(await flatOf(items));
    await settled(service.recommend({ user: 1 }));
    await settled(service.deploy(deploymentOf(await flatOf(items), { version: 'v2' }).deployment));
    await rest();
    await ask(3);
    const { samples, skipped, recall } = service.stats().canary;
    expect(samples + skipped).toBe(4);
    expect(samples).toBeGreaterThanOrEqual(3);
    expect(recall).toBe(1);
    await settled(service.close());
  });

  it('is not there unless it is wanted', async () => {
    const { service, ask } = await served(await flatOf(items), {}, 0);
    await ask(3);
    expect(service.stats().canary.samples).toBe(0);
    await settled(service.close());
  });
});
