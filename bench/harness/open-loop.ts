import { latencySummary } from '../../src/index.js';
import type { Arrivals } from './arrivals.js';

/** What came of requests that were made at given times. */
export interface OpenLoop {
  /** Requests a second, of those that count. */
  readonly offered: number;
  /** Requests a second that were answered within the bound. */
  readonly goodput: number;
  /** Share of the answers that came later than that. */
  readonly lateShare: number;
  /** Of the answers, in milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  /** Processor time of this process for each answer, in microseconds. */
  readonly cpuUs: number;
}

/** Options of {@link openLoop}. */
export interface OpenLoopOptions {
  /** Milliseconds within which an answer is a good one. */
  readonly boundMs: number;
  /** Requests before and from then on do not count, in milliseconds. */
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * Makes requests when they are due, whether earlier ones have been answered or not, and measures each from when it was
 * due: so requests that a stall keeps from being made are as late as they would be for users.
 * @param ask makes request number `at`, which was due `lateMs` ago; rejects if it has no answer
 */
export async function openLoop(
  arrivals: Arrivals,
  ask: (at: number, lateMs: number) => Promise<unknown>,
  { boundMs, fromMs, toMs }: OpenLoopOptions,
): Promise<OpenLoop> {
  const latencies: number[] = [];
  let offered = 0;
  let answered = 0;
  let good = 0;
  let open = 0;
  const cpu = process.cpuUsage();
  const start = performance.now();
  const make = (at: number): void => {
    const due = arrivals[at]!;
    const counts = due >= fromMs && due < toMs;
    if (counts) offered++;
    open++;
    ask(at, performance.now() - start - due).then(
      () => {
        open--;
        answered++;
        if (!counts) return;
        const took = performance.now() - start - due;
        latencies.push(took);
        if (took <= boundMs) good++;
      },
      () => open--,
    );
  };
  await new Promise<void>((resolve) => {
    let next = 0;
    const tick = (): void => {
      const now = performance.now() - start;
      while (next < arrivals.length && arrivals[next]! <= now) make(next++);
      if (next === arrivals.length && open === 0) {
        resolve();
        return;
      }
      // Timers are late by up to two milliseconds; the last ones are waited for in turns of the event loop.
      const left = next < arrivals.length ? arrivals[next]! - now : 1;
      if (left > 3) setTimeout(tick, left - 2);
      else setImmediate(tick);
    };
    tick();
  });
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (toMs - fromMs) / 1000;
  const micros = latencies.map((ms) => ms * 1000);
  const { p50us, p99us } = latencySummary(micros.length > 0 ? micros : [0]);
  const ascending = latencies.sort((a, b) => a - b);
  return {
    offered: offered / seconds,
    goodput: good / seconds,
    lateShare: latencies.length === 0 ? 0 : 1 - good / latencies.length,
    p50: p50us / 1000,
    p99: p99us / 1000,
    p999: ascending[Math.ceil(0.999 * ascending.length) - 1] ?? 0,
    cpuUs: (user + system) / Math.max(1, answered),
  };
}
