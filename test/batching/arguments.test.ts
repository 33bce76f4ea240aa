import { describe, expect, it } from 'vitest';
import { Batcher, type BatchFunction } from '../../src/batching/batcher.js';
import type { BatcherOptions, SubmitOptions } from '../../src/batching/batcher-options.js';
import { outcome } from './helpers.js';

const same: BatchFunction<number, number> = (items) => items;

describe('arguments of a Batcher', () => {
  it.each<[string, unknown]>([
    ['policy', { policy: 'some' }],
    ['policy', { policy: null }],
    ['policy', { policy: {} }],
    ['policy', { policy: 'toString' }],
    ['maxBatch', { maxBatch: 0 }],
    ['maxBatch', { maxBatch: 65_537 }],
    ['maxBatch', { maxBatch: 1.5 }],
    ['maxDelayMs', { maxDelayMs: -1 }],
    ['maxDelayMs', { maxDelayMs: NaN }],
    ['slo', { slo: 0 }],
    ['slo', { slo: '25' }],
    ['slo', { slo: {} }],
    ['slo', { slo: { ms: 25, percent: 99 } }],
    ['slo', { slo: { ms: Infinity } }],
    ['slo.percentile', { slo: { ms: 25, percentile: 100 } }],
    ['patience', { patience: 2 }],
    ['concurrency', { concurrency: 0 }],
    ['maxQueue', { maxQueue: 0 }],
    ['splitsFailed', { splitsFailed: 1 }],
    ['unknown option', { maxDelay: 1 }],
    ['options', 5],
  ])('says what is wrong with %s: %j', (name, options) => {
    expect(() => new Batcher(same, options as BatcherOptions)).toThrowError(
      expect.objectContaining({
        code: 'ERR_LICHEN_ARGUMENT',
        message: expect.stringContaining(name) as string,
      }),
    );
  });

  it('wants a function', () => {
    expect(() => new Batcher('run' as unknown as typeof same)).toThrow(/run must be a function/);
  });

  it.each([
    { deadline: -1 },
    { deadline: NaN },
    { deadline: new Date(NaN) },
    { deadline: '5' },
    { priority: 0.5 },
    { priority: 101 },
    { tenant: 5 },
    { signal: {} },
    { timeout: 5 },
  ])('refuses a request with %j, and nothing comes of it', async (options) => {
    const batcher = new Batcher(same);
    expect(await outcome(batcher.submit(1, options as SubmitOptions))).toBe('ERR_LICHEN_ARGUMENT');
    expect(batcher.stats()).toMatchObject({ queued: 0, running: 0, rejected: 0, arrivalRate: 0 });
    await batcher.close();
  });

  it('takes all of them', async () => {
    const batcher = new Batcher(same, {
      ...{ policy: 'model', maxBatch: 8, maxDelayMs: 1, slo: { ms: 10, percentile: 95 } },
      ...{ patience: 0.5, concurrency: 2, maxQueue: 10, splitsFailed: false },
    } as const);
    const { signal } = new AbortController();
    const given = { deadline: 1000, priority: -100, tenant: 'me', signal };
    expect(await batcher.submit(1, given)).toBe(1);
    expect(await batcher.submit(2, { deadline: new Date(Date.now() + 1000) })).toBe(2);
    await batcher.close();
  });
});
