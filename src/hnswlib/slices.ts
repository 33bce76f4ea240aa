import { setImmediate } from 'node:timers/promises';
import { throwIfAborted } from '../errors.js';
import { checkOperation } from '../index/operation.js';
import type { OperationOptions } from '../index/types.js';

/** How long a slice keeps the event loop waiting. */
const SLICE_MS = 10;
const REPORT_EVERY_MS = 100;

/**
 * Does steps 0 to `steps - 1` on this thread, in slices between which the event loop has its turn, so that signals fire
 * and timers run. Up to the first turn, it runs before it returns.
 * @param what the operation as it stands in a message, such as `add`.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_ABORTED, and what a step or `onProgress` throws.
 */
export async function runInSlices(
  what: string,
  options: OperationOptions,
  steps: number,
  step: (at: number) => void,
): Promise<void> {
  checkOperation(options);
  const { signal, onProgress } = options;
  throwIfAborted(signal, what);
  onProgress?.(0, steps);
  let reported = performance.now();
  let began = reported;
  for (let at = 0; at < steps; at++) {
    step(at);
    const now = performance.now();
    if (now - began < SLICE_MS) continue;
    if (now - reported >= REPORT_EVERY_MS) {
      onProgress?.(at + 1, steps);
      reported = now;
    }
    await setImmediate();
    throwIfAborted(signal, what);
    began = performance.now();
  }
  onProgress?.(steps, steps);
}
