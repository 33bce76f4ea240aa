import { vi } from 'vitest';
import { Batcher, type BatcherStatistics } from '../../src/batching/batcher.js';
import type { BatcherOptions } from '../../src/batching/batcher-options.js';
import { Random } from '../../src/vectors/random.js';
import { pass } from './helpers.js';

export interface SimulationOptions {
  readonly batcher: BatcherOptions;
  /** Milliseconds that each request has. */
  readonly sloMs: number;
  /** Requests a millisecond at a time in milliseconds. */
  readonly rate: (ms: number) => number;
  readonly ms: number;
  /** What comes before is not counted. */
  readonly fromMs: number;
  /** Milliseconds of a batch. */
  readonly batchMs: (size: number, random: Random) => number;
  readonly deadlineMs?: number;
}

export interface Simulated {
  /** Requests a second that were done within the SLO. */
  readonly goodput: number;
  readonly offered: number;
  /** Those that were done at all. */
  readonly answered: number;
  readonly p99: number;
  readonly stats: BatcherStatistics;
}

/** A batcher under Poisson arrivals in time that is not real, so that the outcome is the same on every machine. */
export async function simulate(options: SimulationOptions): Promise<Simulated> {
  const random = new Random(7);
  const service = new Random(11);
  const run = async (items: readonly number[]): Promise<readonly number[]> => {
    const took = options.batchMs(items.length, service);
    await new Promise((resolve) => setTimeout(resolve, took));
    return items;
  };
  const batcher = new Batcher(run, options.batcher);
  let good = 0;
  let offered = 0;
  const latencies: number[] = [];
  const started = performance.now();
  let next = 0;
  while (next < options.ms) {
    next += -Math.log(1 - random.uniform()) / options.rate(next);
    const now = performance.now() - started;
    if (next > now) await vi.advanceTimersByTimeAsync(next - now);
    const at = performance.now();
    const isCounted = next >= options.fromMs;
    if (isCounted) offered++;
    const given = { deadline: options.deadlineMs ?? options.sloMs };
    batcher.submit(1, given).then(
      () => {
        if (!isCounted) return;
        const took = performance.now() - at;
        latencies.push(took);
        if (took <= options.sloMs) good++;
      },
      () => undefined,
    );
  }
  await pass(1000);
  const seconds = (options.ms - options.fromMs) / 1000;
  latencies.sort((a, b) => a - b);
  return {
    goodput: good / seconds,
    offered: offered / seconds,
    answered: latencies.length / seconds,
    p99: latencies[Math.floor(latencies.length * 0.99)] ?? 0,
    stats: batcher.stats(),
  };
}
