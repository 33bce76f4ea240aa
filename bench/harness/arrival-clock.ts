import { extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Arrivals } from './arrivals.js';
import { sharedClockMs, type Schedule } from './arrival-worker.js';

const AHEAD_MS = 20;

/**
 * Makes requests when they are due, whether earlier ones have been answered or not. A thread sleeps until then: where what
 * answers runs on the same processors, one that looks at the clock again and again would take one of them away.
 */
export class ArrivalClock implements AsyncDisposable {
  readonly #worker = new Worker(join(__dirname, `arrival-worker${extname(__filename)}`), {
    execArgv: ['--require', require.resolve('tsx/cjs')],
  });

  /**
   * @param ask makes request number `at`; fulfilled when it has an answer.
   * @returns of each request the microseconds from when it was due to its answer; NaN if it was refused.
   */
  async latencies(
    arrivals: Arrivals,
    ask: (at: number) => Promise<unknown>,
  ): Promise<Float64Array> {
    const micros = new Float64Array(arrivals.length).fill(NaN);
    if (arrivals.length === 0) return micros;
    const schedule: Schedule = { arrivals, startMs: sharedClockMs() + AHEAD_MS };
    await new Promise<void>((resolve) => {
      let next = 0;
      let open = arrivals.length;
      const end = (): void => {
        if (--open > 0) return;
        this.#worker.removeListener('message', due);
        resolve();
      };
      const due = (count: number): void => {
        while (next < count) {
          const at = next++;
          ask(at).then(
            () => {
              micros[at] = 1000 * (sharedClockMs() - schedule.startMs - arrivals[at]!);
              end();
            },
            () => end(),
          );
        }
      };
      this.#worker.on('message', due);
      this.#worker.postMessage(schedule);
    });
    return micros;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}
