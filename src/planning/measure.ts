import { setImmediate } from 'node:timers/promises';
import { spreadOf, type Spread } from '../evaluation/statistics.js';

/** What doing something once costs, in microseconds. */
export interface Cost {
  /** Elapsed, over several batches. */
  readonly us: Spread;
  /** Of all processors, on average: more than elapsed where several work. */
  readonly cpuUs: number;
}

/** Options of {@link measureCost}. */
export interface MeasureCostOptions {
  /** Batches that count; one comes before them. Default 7. */
  readonly batches?: number | undefined;
  /** How long a batch takes at least. Default 20. */
  readonly batchMs?: number | undefined;
}

/**
 * Measures what `work` costs; it is told the number of the call.
 *
 * @example
 * const { us, cpuUs } = await measureCost(() => index.searchSync(query, { k: 10 }));
 * console.log(us.median, cpuUs);
 */
export async function measureCost(
  work: (call: number) => unknown,
  { batches = 7, batchMs = 20 }: MeasureCostOptions = {},
): Promise<Cost> {
  const micros: number[] = [];
  let call = 0;
  let cpu = 0;
  let calls = 0;
  for (let batch = 0; batch <= batches; batch++) {
    await setImmediate();
    const before = process.cpuUsage();
    const started = performance.now();
    let count = 0;
    let elapsed = 0;
    do {
      const result = work(call++);
      // Waiting for what is no promise would cost more than many a piece of work.
      if (result instanceof Promise) await result;
      count++;
      elapsed = performance.now() - started;
    } while (elapsed < batchMs);
    if (batch === 0) continue;
    const { user, system } = process.cpuUsage(before);
    cpu += user + system;
    calls += count;
    micros.push((elapsed * 1000) / count);
  }
  return { us: spreadOf(micros), cpuUs: cpu / calls };
}
