// The thread of an ArrivalClock: says how many arrivals are due.

import { parentPort } from 'node:worker_threads';

/** What the thread is told. */
export interface Schedule {
  /** Milliseconds after the start, ascending. */
  readonly arrivals: Float64Array;
  readonly startMs: number;
}

/** Milliseconds by a clock that all threads share. */
export function sharedClockMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

const nobody = new Int32Array(new SharedArrayBuffer(4));

parentPort?.on('message', ({ arrivals, startMs }: Schedule) => {
  let next = 0;
  while (next < arrivals.length) {
    const now = sharedClockMs() - startMs;
    // Nobody wakes it: it sleeps to a tenth of a millisecond, which a timer does not.
    if (arrivals[next]! > now) Atomics.wait(nobody, 0, 0, arrivals[next]! - now);
    else {
      while (next < arrivals.length && arrivals[next]! <= now) next++;
      parentPort!.postMessage(next);
    }
  }
});
