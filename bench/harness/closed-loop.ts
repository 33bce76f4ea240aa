/** What came of requests of which always as many are under way. */
export interface ClosedLoop {
  readonly qps: number;
  /** Of each request, in microseconds. */
  readonly micros: Float64Array;
}

/** Makes requests for so long, each of `atOnce` lanes the next when it has its answer. */
export async function closedLoop(
  atOnce: number,
  seconds: number,
  ask: (at: number) => unknown,
): Promise<ClosedLoop> {
  const micros: number[] = [];
  const start = performance.now();
  const end = start + 1000 * seconds;
  let next = 0;
  const lane = async (): Promise<void> => {
    do {
      const since = performance.now();
      const answer = ask(next++);
      // What is answered at once must not pay for a promise.
      if (answer instanceof Promise) await answer;
      micros.push((performance.now() - since) * 1000);
    } while (performance.now() < end);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  const taken = (performance.now() - start) / 1000;
  return { qps: micros.length / taken, micros: Float64Array.from(micros) };
}
