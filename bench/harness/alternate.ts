import { spreadOf } from '../../src/evaluation/statistics.js';

/** One side of a comparison. */
export interface Side {
  readonly name: string;
  /** Does some work and says how many units it was (queries, vectors, calls). */
  work(): number | Promise<number>;
}

/** Units a second of each side in each round, and the ratio of the first side to each other. */
export interface Comparison {
  readonly rates: ReadonlyMap<string, Spread>;
  /** Rate of the first side divided by that of another, round by round. */
  readonly ratios: ReadonlyMap<string, Spread>;
  /** Rate of one side divided by that of another, by their names, round by round. */
  readonly ratio: (above: string, below: string) => Spread;
}

/** Median, least and greatest of some rounds. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Options of {@link alternate}. */
export interface AlternateOptions {
  /** Rounds that count. Default 5. */
  rounds?: number;
  /** Whether a round that does not count comes first. Default true. */
  warmUp?: boolean;
  /** Least time a side works in a round, in seconds. Default 0.3. */
  secondsASide?: number;
}

/**
 * Lets the sides work in turn, round after round: what disturbs the machine meets them all, and the ratio is taken
 * within a round.
 */
export async function alternate(
  sides: readonly Side[],
  { rounds = 5, warmUp = true, secondsASide = 0.3 }: AlternateOptions = {},
): Promise<Comparison> {
  const rates = new Map(sides.map(({ name }) => [name, [] as number[]]));
  for (let round = warmUp ? 0 : 1; round <= rounds; round++) {
    // The order turns round, so that no side always comes after the same other one.
    for (let at = 0; at < sides.length; at++) {
      const side = sides[(at + round) % sides.length]!;
      const rate = await measure(side, round === 0 ? 0 : secondsASide);
      if (round > 0) rates.get(side.name)!.push(rate);
    }
  }
  const ratio = (above: string, below: string): Spread =>
    spread(rates.get(above)!.map((rate, round) => rate / rates.get(below)![round]!));
  const [first, ...others] = sides.map(({ name }) => name);
  return {
    rates: new Map([...rates].map(([name, values]) => [name, spread(values)])),
    ratios: new Map(others.map((name) => [name, ratio(first!, name)])),
    ratio,
  };
}

async function measure(side: Side, least: number): Promise<number> {
  let units = 0;
  let seconds = 0;
  do {
    const start = performance.now();
    units += await side.work();
    seconds += (performance.now() - start) / 1000;
  } while (seconds < least);
  return units / seconds;
}

/** Median, least and greatest of some values. */
export function spread(values: readonly number[]): Spread {
  const { median, min, max } = spreadOf(values);
  return { median, min, max };
}

/** `2.31 × (2.25–2.40)` */
export function ratioText({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} × (${min.toFixed(2)}–${max.toFixed(2)})`;
}
