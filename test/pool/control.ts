import { setImmediate } from 'node:timers/promises';

/** Words of the memory that a test and the towers of a pool share. */
export const WORDS = { begun: 0, gate: 1, action: 2, times: 3 } as const;

/** What the next calls of a tower do before they give vectors. */
export const ACTIONS = {
  exit: 1,
  uncaught: 2,
  exhaust: 3,
  fail: 4,
  shorten: 5,
  spoil: 6,
  wait: 7,
  spin: 8,
} as const;

/** How a test tells towers in workers what to do, and sees how far they are. */
export class Control {
  readonly words = new Int32Array(new SharedArrayBuffer(16));

  /** The next `times` calls, in whichever workers, do this. */
  next(action: keyof typeof ACTIONS, times = 1): void {
    Atomics.store(this.words, WORDS.gate, 0);
    Atomics.store(this.words, WORDS.action, ACTIONS[action]);
    Atomics.store(this.words, WORDS.times, times);
  }

  /** Once so many calls have begun since the last time. */
  async begun(calls: number): Promise<void> {
    await until(() => Atomics.load(this.words, WORDS.begun) >= calls);
    Atomics.store(this.words, WORDS.begun, 0);
  }

  get calls(): number {
    return Atomics.load(this.words, WORDS.begun);
  }

  /** Lets those go on that wait. */
  open(): void {
    Atomics.store(this.words, WORDS.gate, 1);
    Atomics.notify(this.words, WORDS.gate);
  }
}

/** Once it holds. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await setImmediate();
}
