import { LichenAbortError, LichenArgumentError, shown, throwIfAborted } from '../errors.js';
import { native, type ProgressHandle } from '../native.js';
import type { OperationOptions } from './types.js';

const REPORT_EVERY_MS = 100;

/**
 * Runs a native operation: passes the wish to stop on, and reports its progress.
 * @param what the operation as it stands in a message, such as `add`.
 */
export async function runOperation<T>(
  what: string,
  options: OperationOptions,
  start: (progress: ProgressHandle) => Promise<T>,
): Promise<T> {
  checkOperation(options);
  const { signal, onProgress } = options;
  throwIfAborted(signal, what);
  const addon = native();
  const progress = addon.createProgress();
  const state = new Float64Array(2);
  const report = (): void => {
    addon.progressState(progress, state);
    onProgress?.(state[0]!, state[1]!);
  };
  const cancel = (): void => addon.progressCancel(progress);
  const running = start(progress);
  signal?.addEventListener('abort', cancel);
  // A failing callback must not bring the process down from within a timer; the operation is given up instead.
  let failure: { readonly error: unknown } | undefined;
  const tick = (): void => {
    try {
      report();
    } catch (error) {
      failure ??= { error };
      cancel();
    }
  };
  if (onProgress !== undefined) tick();
  const timer = onProgress && setInterval(tick, REPORT_EVERY_MS);
  try {
    const result = await running;
    if (onProgress !== undefined && failure === undefined) report();
    return result;
  } catch (error) {
    if (failure !== undefined) throw failure.error;
    if (error instanceof LichenAbortError && signal?.aborted) {
      throw new LichenAbortError(`${what} was aborted`, { cause: signal.reason });
    }
    throw error;
  } finally {
    clearInterval(timer);
    signal?.removeEventListener('abort', cancel);
  }
}

/** Throws ERR_LICHEN_ARGUMENT for a signal or a callback that is none. */
export function checkOperation({ signal, onProgress }: OperationOptions): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw bad(`signal must be an AbortSignal, got ${shown(signal)}`);
  }
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw bad(`onProgress must be a function, got ${shown(onProgress)}`);
  }
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
