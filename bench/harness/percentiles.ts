import { latencySummary } from '../../src/index.js';

/** Calls `work` for each of so many rounds and summarizes how long it took, in microseconds. */
export async function timedRounds(
  rounds: number,
  work: (round: number) => Promise<unknown>,
): Promise<{ p50us: number; p99us: number }> {
  const micros = new Float64Array(rounds);
  for (let round = 0; round < rounds; round++) {
    const started = performance.now();
    await work(round);
    micros[round] = (performance.now() - started) * 1000;
  }
  const { p50us, p99us } = latencySummary(micros);
  return { p50us, p99us };
}
