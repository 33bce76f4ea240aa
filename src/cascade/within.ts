import { onAbort } from '../batching/abort-listeners.js';
import { withinTime } from '../cache/within-time.js';
import { LichenAbortError } from '../errors.js';
import type { StageContext } from './stage.js';

/** A stage was not done when its time was over. */
export class LateError extends Error {}

/**
 * Does a stage's work within what is left of a request's time. Work that goes on is told by its signal and otherwise left
 * to itself.
 * @throws LateError when the time is over, ERR_LICHEN_ABORTED when the request is aborted, and what the work throws.
 */
export async function withinRequest<T>(
  work: (context: StageContext) => PromiseLike<T> | T,
  leftMs: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  // Made if it is asked for: few stages do.
  let ending: AbortController | undefined;
  let why: unknown;
  const made = work({
    leftMs,
    get signal() {
      ending ??= new AbortController();
      if (why !== undefined) ending.abort(why);
      return ending.signal;
    },
  });
  if (!isPromise(made)) return made;
  let stopListening: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stopListening =
      signal &&
      onAbort(signal, () => {
        reject(new LichenAbortError('the request was aborted', { cause: signal.reason }));
      });
  });
  try {
    const done = Promise.race([made, aborted]);
    return await withinTime(done, leftMs, () => new LateError('its time was over'));
  } catch (error) {
    why = error;
    ending?.abort(error);
    throw error;
  } finally {
    stopListening?.();
  }
}

function isPromise<T>(made: PromiseLike<T> | T): made is PromiseLike<T> {
  return typeof (made as Partial<PromiseLike<T>> | null | undefined)?.then === 'function';
}
