import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { BatcherOptions } from '../../src/batching/batcher-options.js';
import type { Random } from '../../src/vectors/random.js';
import { stopTime } from './helpers.js';
import { simulate, type Simulated } from './simulation.js';

beforeEach(stopTime);
afterEach(() => {
  vi.useRealTimers();
});

const SLO_MS = 250;
const ALPHA = 10;
const BETA = 1;
/** One batch in a hundred takes twice as long. */
const batchMs = (size: number, random: Random): number =>
  (ALPHA + BETA * size) * (1 + 0.1 * random.uniform() + (random.uniform() < 0.01 ? 1 : 0));

/** Size, and what a request may wait at most: the settings that somebody might find by hand. */
const FIXED = [
  [16, 250],
  [48, 250],
  [96, 250],
  [96, 150],
  [160, 100],
  [160, 250],
] as const;

interface Load {
  readonly rate: (ms: number) => number;
  readonly ms: number;
  readonly fromMs: number;
}

const under = (load: Load, batcher: BatcherOptions, deadlineMs = SLO_MS): Promise<Simulated> =>
  simulate({
    ...load,
    sloMs: SLO_MS,
    batchMs,
    deadlineMs,
    batcher: { maxBatch: 256, slo: SLO_MS, ...batcher },
  });

async function bestFixed(load: Load): Promise<number> {
  let best = 0;
  for (const [maxBatch, deadlineMs] of FIXED) {
    const { goodput } = await under(load, { policy: 'fixed', maxBatch, maxDelayMs: 0 }, deadlineMs);
    best = Math.max(best, goodput);
  }
  return best;
}

/** Requests a millisecond that batches of any size can do. */
const MOST = 1 / BETA;

describe('policies under load', () => {
  it.each([0.2, 0.8, 0.95, 2])(
    'model comes near the best fixed setting at %d of what can be done',
    async (load) => {
      const steady: Load = { rate: () => load * MOST, ms: 5000, fromMs: 2000 };
      const model = await under(steady, { policy: 'model' });
      expect(model.goodput).toBeGreaterThan(0.95 * (await bestFixed(steady)));
      // What is answered is answered in time, but for the slowest batches.
      expect(model.goodput).toBeGreaterThan(0.95 * model.answered);
    },
  );

  it('model follows a load that changes within a second', async () => {
    const steps: Load = { rate: (ms) => (ms < 2000 ? 0.2 : 2), ms: 5000, fromMs: 3000 };
    const model = await under(steps, { policy: 'model' });
    expect(model.goodput).toBeGreaterThan(0.95 * (await bestFixed(steps)));
  });

  it('without batches far less is done', async () => {
    const load: Load = { rate: () => 2 * MOST, ms: 4000, fromMs: 2000 };
    const none = await under(load, { policy: 'none' });
    const model = await under(load, { policy: 'model' });
    // 1 / (ALPHA + BETA) is the most that single requests come to.
    expect(none.goodput).toBeLessThan(1000 / (ALPHA + BETA));
    expect(none.goodput).toBeGreaterThan(0.75 * (1000 / (ALPHA + BETA)));
    expect(model.goodput).toBeGreaterThan(5 * none.goodput);
  });

  it('aimd finds a size that keeps the SLO', async () => {
    const load: Load = { rate: () => 2 * MOST, ms: 8000, fromMs: 4000 };
    const { goodput, stats } = await under(load, { policy: 'aimd' });
    expect(goodput).toBeGreaterThan(0.6 * 1000 * MOST);
    expect(stats.batchSizes.length).toBeLessThan(9);
  });

  it('patience makes larger batches, and the SLO is kept', async () => {
    const load: Load = { rate: () => 0.3 * MOST, ms: 5000, fromMs: 2000 };
    const eager = await under(load, { policy: 'model' });
    const patient = await under(load, { policy: 'model', patience: 0.5 });
    expect(patient.stats.batches).toBeLessThan(0.5 * eager.stats.batches);
    expect(patient.goodput).toBeGreaterThan(0.97 * patient.offered);
  });

  it('nobody waits for others that are not likely to come', async () => {
    const load: Load = { rate: () => 0.002, ms: 50_000, fromMs: 0 };
    const { stats } = await under(load, { policy: 'model', patience: 1 });
    expect(stats.completed).toBeGreaterThan(60);
    expect(stats.waitP50us).toBeLessThan(2000);
  });

  it('requests without deadlines that have queued up are worked off by large batches', async () => {
    const load: Load = { rate: (ms) => (ms < 1000 ? 3 : 0.3), ms: 7000, fromMs: 5500 };
    const { goodput, offered, stats } = await under(
      load,
      { policy: 'model', maxQueue: 10_000 },
      2 ** 31 - 1,
    );
    expect(stats.expired + stats.rejected).toBe(0);
    expect(goodput).toBeGreaterThan(0.97 * offered);
  });
});
