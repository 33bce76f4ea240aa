/** Timers take no more; longer is for ever. */
const MOST_MS = 2 ** 31 - 1;

/**
 * The result of some work, or the error that `late` makes if it takes too long; what comes of the work then, nobody
 * hears.
 */
export async function withinTime<T>(work: Promise<T>, ms: number, late: () => Error): Promise<T> {
  if (ms > MOST_MS) return work;
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), ms);
  });
  try {
    work.catch(() => undefined);
    return await Promise.race([work, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
