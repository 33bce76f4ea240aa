/**
 * The result of some work, or the error that `late` makes if it takes too long; what comes of the work then, nobody
 * hears.
 */
export async function withinTime<T>(work: Promise<T>, ms: number, late: () => Error): Promise<T> {
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
