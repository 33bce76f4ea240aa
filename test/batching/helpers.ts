import { vi } from 'vitest';
import type { BatchContext } from '../../src/batching/batcher.js';

/** Time that stands still until a test lets it pass; promises go on by themselves. */
export function stopTime(): void {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance', 'Date'],
  });
}

export async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

/** A function for batches of numbers that takes so long for each: twice the number is the result. */
export function doubling(ms: (size: number) => number) {
  const batches: number[][] = [];
  const signals: AbortSignal[] = [];
  const run = async (items: readonly number[], { signal }: BatchContext): Promise<number[]> => {
    batches.push([...items]);
    signals.push(signal);
    await new Promise((resolve) => setTimeout(resolve, ms(items.length)));
    return items.map((item) => 2 * item);
  };
  return { run, batches, signals };
}

/** What a promise came to: its value, or the code (else the message) of its error. */
export async function outcome(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    return (error as { code?: string }).code ?? (error as Error).message;
  }
}
