import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Batcher } from '../../src/batching/batcher.js';
import { doubling, outcome, pass, stopTime } from './helpers.js';

beforeEach(stopTime);
afterEach(async () => {
  // Whatever a test did, nothing may wait any more.
  await pass(1);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const submitAll = (batcher: Batcher<number, number>, items: readonly number[]) =>
  items.map((item) => outcome(batcher.submit(item)));

describe('what goes together', () => {
  it('is what is called for in one turn of the event loop, in order', async () => {
    const { run, batches } = doubling(() => 5);
    const batcher = new Batcher(run, { policy: 'fixed', maxDelayMs: 0 });
    const results = submitAll(batcher, [1, 2, 3]);
    expect(batches).toEqual([]);
    await pass(5);
    expect(await Promise.all(results)).toEqual([2, 4, 6]);
    expect(batches).toEqual([[1, 2, 3]]);
    await batcher.close();
  });

  it('is what came while the executor was busy, up to maxBatch', async () => {
    const { run, batches } = doubling(() => 5);
    const batcher = new Batcher(run, { policy: 'fixed', maxDelayMs: 0, maxBatch: 3 });
    const first = submitAll(batcher, [0]);
    await pass(1);
    const rest = submitAll(batcher, [1, 2, 3, 4]);
    await pass(20);
    expect(await Promise.all([...first, ...rest])).toEqual([0, 2, 4, 6, 8]);
    expect(batches).toEqual([[0], [1, 2, 3], [4]]);
    expect(batcher.stats()).toMatchObject({ batches: 3, batchSizes: [2, 0, 1], completed: 5 });
  });

  it('has as many batches at once as there are executors', async () => {
    const { run, batches } = doubling(() => 10);
    const batcher = new Batcher(run, { policy: 'none', concurrency: 2 });
    const results = submitAll(batcher, [1, 2, 3]);
    await pass(1);
    expect(batches).toEqual([[1], [2]]);
    expect(batcher.stats()).toMatchObject({ queued: 1, running: 2 });
    await pass(20);
    expect(await Promise.all(results)).toEqual([2, 4, 6]);
  });

  it('waits to be full for as long as it may', async () => {
    const { run, batches } = doubling(() => 1);
    const batcher = new Batcher(run, { policy: 'fixed', maxBatch: 3, maxDelayMs: 4 });
    const results = submitAll(batcher, [1]);
    await pass(3);
    results.push(...submitAll(batcher, [2]));
    expect(batches).toEqual([]);
    await pass(2);
    expect(batches).toEqual([[1, 2]]);
    results.push(...submitAll(batcher, [3, 4, 5]));
    await pass(2);
    expect(batches[1]).toEqual([3, 4, 5]);
    await pass(1);
    expect(await Promise.all(results)).toEqual([2, 4, 6, 8, 10]);
  });

  it('waits for less than a millisecond where that is asked for', async () => {
    const { run, batches } = doubling(() => 1);
    const batcher = new Batcher(run, { policy: 'fixed', maxBatch: 3, maxDelayMs: 0.5 });
    const result = outcome(batcher.submit(1));
    await pass(3);
    expect(batches).toEqual([[1]]);
    expect(await result).toBe(2);
  });
});

describe('a request', () => {
  it('is dropped when its deadline comes, also while all executors are busy', async () => {
    const { run, batches } = doubling(() => 100);
    const batcher = new Batcher(run, { policy: 'none' });
    const first = outcome(batcher.submit(1, { deadline: 10 }));
    const second = outcome(batcher.submit(2, { deadline: 20 }));
    const third = outcome(batcher.submit(3, { deadline: 50 }));
    await pass(22);
    expect(batcher.stats()).toMatchObject({ expired: 1, queued: 1, running: 1 });
    expect(await second).toBe('ERR_LICHEN_DEADLINE');
    await pass(200);
    // Begun in time, and done: it is not taken away.
    expect(await first).toBe(2);
    expect(await third).toBe('ERR_LICHEN_DEADLINE');
    expect(batches).toEqual([[1]]);
  });

  it('whose deadline has passed is never begun', async () => {
    const { run, batches } = doubling(() => 1);
    const batcher = new Batcher(run);
    const late = [0, new Date(Date.now() - 5)].map((deadline) =>
      outcome(batcher.submit(1, { deadline })),
    );
    await pass(5);
    expect(await Promise.all(late)).toEqual(['ERR_LICHEN_DEADLINE', 'ERR_LICHEN_DEADLINE']);
    expect(batches).toEqual([]);
    expect(batcher.stats()).toMatchObject({ expired: 2, failed: 0 });
  });

  it('is given up at once when it is aborted, and not begun', async () => {
    const { run, batches } = doubling(() => 10);
    const batcher = new Batcher(run, { policy: 'none' });
    const abort = new AbortController();
    const first = outcome(batcher.submit(1));
    const second = outcome(batcher.submit(2, { signal: abort.signal }));
    await pass(1);
    abort.abort(new Error('gone'));
    expect(await second).toBe('ERR_LICHEN_ABORTED');
    expect(batcher.stats()).toMatchObject({ aborted: 1, queued: 0 });
    await pass(20);
    expect(await first).toBe(2);
    expect(batches).toEqual([[1]]);
    expect(await outcome(batcher.submit(3, { signal: abort.signal }))).toBe('ERR_LICHEN_ABORTED');
    await pass(1);
  });

  it('that is aborted while it is done leaves the others to go on; the last one ends the batch', async () => {
    const { run, signals } = doubling(() => 10);
    const batcher = new Batcher(run, { policy: 'fixed', maxDelayMs: 0 });
    const aborts = [new AbortController(), new AbortController()];
    const results = aborts.map(({ signal }, item) => outcome(batcher.submit(item, { signal })));
    await pass(1);
    aborts[0]!.abort();
    expect(await results[0]).toBe('ERR_LICHEN_ABORTED');
    expect(signals[0]!.aborted).toBe(false);
    aborts[1]!.abort();
    expect(signals[0]!.aborted).toBe(true);
    await pass(20);
    expect(await results[1]).toBe('ERR_LICHEN_ABORTED');
  });

  it('may share its signal with many', async () => {
    const warned = vi.fn();
    process.on('warning', warned);
    const { run } = doubling(() => 1);
    const batcher = new Batcher(run);
    const { signal } = new AbortController();
    const results = Array.from({ length: 100 }, (_, at) => batcher.submit(at, { signal }));
    await pass(50);
    expect(await Promise.all(results)).toHaveLength(100);
    process.off('warning', warned);
    expect(warned).not.toHaveBeenCalled();
  });

  it('of a higher priority goes first, and tenants take turns', async () => {
    const { run, batches } = doubling(() => 1);
    const batcher = new Batcher(run, { policy: 'none' });
    const results = [
      ...[1, 2, 3].map((item) => batcher.submit(item, { tenant: 'noisy' })),
      batcher.submit(4, { tenant: 'quiet' }),
      batcher.submit(5, { priority: 1 }),
      batcher.submit(6, { priority: -1 }),
    ];
    await pass(20);
    await Promise.all(results);
    expect(batches.flat()).toEqual([5, 1, 4, 2, 3, 6]);
  });

  it('is refused when as many wait as may, unless it goes before one of them', async () => {
    const { run } = doubling(() => 1);
    const batcher = new Batcher(run, { policy: 'none', maxQueue: 2 });
    const results = [1, 2, 3].map((item) => outcome(batcher.submit(item)));
    results.push(outcome(batcher.submit(4, { priority: 1 })));
    await pass(20);
    expect(await Promise.all(results)).toEqual([
      2,
      'ERR_LICHEN_QUEUE_FULL',
      'ERR_LICHEN_QUEUE_FULL',
      8,
    ]);
    expect(batcher.stats()).toMatchObject({ rejected: 1, displaced: 1, completed: 2 });
  });
});

describe('failures', () => {
  it('of one item are its own', async () => {
    const batcher = new Batcher((items: readonly number[]) =>
      items.map((item) => (item === 2 ? new RangeError('two') : item)),
    );
    const results = submitAll(batcher, [1, 2, 3]);
    await pass(1);
    expect(await Promise.all(results)).toEqual([1, 'two', 3]);
    expect(batcher.stats()).toMatchObject({ completed: 2, failed: 1 });
  });

  it('of a batch are narrowed down to the items at fault', async () => {
    const sizes: number[] = [];
    const batcher = new Batcher(
      (items: readonly number[]) => {
        sizes.push(items.length);
        if (items.some((item) => item % 10 === 7)) throw new Error('seven');
        return Promise.resolve(items.map((item) => 100 - item));
      },
      { policy: 'fixed', maxDelayMs: 0 },
    );
    const results = submitAll(
      batcher,
      Array.from({ length: 16 }, (_, at) => at),
    );
    await pass(1);
    expect(await Promise.all(results)).toEqual(
      Array.from({ length: 16 }, (_, at) => (at === 7 ? 'seven' : 100 - at)),
    );
    expect(sizes).toEqual([16, 8, 4, 4, 2, 2, 1, 1, 8]);
  });

  it('of a batch are everybody’s where that is asked for', async () => {
    const run = vi.fn(() => Promise.reject<number[]>(new Error('all')));
    const batcher = new Batcher<number, number>(run, {
      ...({ policy: 'fixed', maxDelayMs: 0, splitsFailed: false } as const),
    });
    const results = submitAll(batcher, [1, 2]);
    await pass(1);
    expect(await Promise.all(results)).toEqual(['all', 'all']);
    expect(run).toHaveBeenCalledTimes(1);
  });

  it.each([[[1]], [[]], [undefined], [null], [5], ['abc']])(
    'are results that are not one an item: %j',
    async (results) => {
      const run = vi.fn(() => results as number[]);
      const batcher = new Batcher<number, number>(run, { policy: 'fixed', maxDelayMs: 0 });
      const asked = submitAll(batcher, [1, 2]);
      await pass(1);
      expect(await Promise.all(asked)).toEqual(['ERR_LICHEN_ARGUMENT', 'ERR_LICHEN_ARGUMENT']);
      // Asking again would not help.
      expect(run).toHaveBeenCalledTimes(1);
    },
  );

  it('of a policy of the caller’s are a warning, and batches go on', async () => {
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    const { run } = doubling(() => 1);
    const batcher = new Batcher(run, {
      policy: {
        plan: () => {
          throw new Error('no plan');
        },
        observe: () => {
          throw new Error('no observation');
        },
      },
    });
    const results = submitAll(batcher, [1, 2]);
    await pass(5);
    expect(await Promise.all(results)).toEqual([2, 4]);
    expect((await warned).message).toContain('no plan');
  });

  it.each([NaN, -1, 0, 1e9, 2.5, Infinity])('are not sizes of %d', async (size) => {
    const { run, batches } = doubling(() => 1);
    const policy = { plan: () => ({ size, delayMs: NaN }), observe: () => undefined };
    const batcher = new Batcher(run, { policy, maxBatch: 3 });
    const results = submitAll(batcher, [1, 2, 3, 4]);
    await pass(9);
    expect(await Promise.all(results)).toEqual([2, 4, 6, 8]);
    expect(Math.max(...batches.map(({ length }) => length))).toBeLessThanOrEqual(3);
  });
});

describe('close', () => {
  it('lets all that were taken be done, without waiting for full batches, and takes no more', async () => {
    const { run, batches } = doubling(() => 10);
    const batcher = new Batcher(run, { policy: 'fixed', maxBatch: 2, maxDelayMs: 1000 });
    const results = submitAll(batcher, [1, 2, 3]);
    await pass(1);
    const closed = vi.fn();
    const closing = batcher.close().then(closed);
    expect(batcher.close()).toBe(batcher.close());
    expect(await outcome(batcher.submit(4))).toBe('ERR_LICHEN_CLOSED');
    await pass(10);
    expect(closed).not.toHaveBeenCalled();
    await pass(20);
    await closing;
    expect(await Promise.all(results)).toEqual([2, 4, 6]);
    expect(batches).toEqual([[1, 2], [3]]);
  });

  it('does not wait for what was aborted', async () => {
    const { run } = doubling(() => 10);
    const batcher = new Batcher(run, { policy: 'fixed', maxDelayMs: 1000 });
    const abort = new AbortController();
    const result = outcome(batcher.submit(1, { signal: abort.signal }));
    await pass(1);
    abort.abort();
    await pass(1);
    await batcher.close();
    expect(await result).toBe('ERR_LICHEN_ABORTED');
  });

  it('is what await using does', async () => {
    const { run } = doubling(() => 1);
    const batcher = new Batcher(run);
    const result = batcher.submit(1);
    const closing = batcher[Symbol.asyncDispose]();
    await pass(2);
    await closing;
    expect(await result).toBe(2);
  });
});
