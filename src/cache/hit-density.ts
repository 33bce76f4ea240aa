/** A row's count is kept in a byte. */
export const MOST_COUNT = 255;

/** Classes of counts. */
export const CLASSES = 16;
const AGES = 64;
/** What was learned before the last period counts so much. */
const DECAY = 0.85;
/** A class of which less was seen keeps what it had. */
const LEAST_SEEN = 50;

/** Steps of a level for each doubling of the density. */
const STEPS = 1024;
/** The level of what promises no hit. */
export const LEAST_LEVEL = -(2 ** 29);
/** Above every level. */
export const NO_LEVEL = 2 ** 29;

/** A density, or another factor, on a scale of whole numbers, which are faster to compare and to hand on. */
export function levelOf(factor: number): number {
  return factor > 0 ? Math.round(Math.log2(factor) * STEPS) : LEAST_LEVEL;
}

/** The class of each count: 1 to 4 alone, then half octaves. */
const CLASS_OF = Uint8Array.from({ length: MOST_COUNT + 1 }, (_, count) => {
  if (count <= 4) return Math.max(0, count - 1);
  return Math.min(CLASSES - 1, 4 + Math.floor(2 * Math.log2(count / 4)));
});

export function classOf(count: number): number {
  return CLASS_OF[count]!;
}

/** Octaves of ages in two halves each, without a branch: which half a request falls into nobody can foretell. */
function cellOf(count: number, age: number): number {
  const octave = 31 - Math.clz32(age | 1);
  return CLASS_OF[count]! * AGES + octave * 2 + ((age >>> (octave - 1)) & 1);
}

/** How many ages fall into each half octave. Ages 0 and 1 both fall into the first. */
const SPANS = Float64Array.from({ length: AGES }, (_, bin) => {
  const octave = bin >>> 1;
  return octave === 0 ? 2 - 2 * bin : 2 ** (octave - 1);
});

/**
 * How many hits a key promises for each request that it stays, learned from the requests themselves by how often a key
 * was asked for and how long ago (Beckmann, Chen and Cidon, "LHD: Improving Cache Hit Rate by Maximizing Hit Density",
 * NSDI 2018). A key's density is that of the best moment to give it up: the greatest ratio of hits to time over all
 * later ages, an index after Gittins. Ages count requests, in half octaves.
 */
export class HitDensity {
  private readonly levels = new Int32Array(CLASSES * AGES);
  private readonly hits = new Float64Array(CLASSES * AGES);
  private readonly asked = new Float64Array(CLASSES);

  /** @param entries how many entries the cache holds, for the first guess. */
  constructor(entries: number) {
    this.guess(entries);
  }

  /** Until something was learned: more often and more recently is better. */
  guess(entries: number): void {
    const least = Math.max(1, entries / 25);
    for (let cls = 0; cls < CLASSES; cls++) {
      for (let bin = 0; bin < AGES; bin++) {
        this.levels[cls * AGES + bin] = levelOf((cls + 1) / (2 ** (bin / 2) + least));
      }
    }
  }

  /** Hits a request that are to be expected of a key asked for `count` times, last `age` requests ago, as a level. */
  level(count: number, age: number): number {
    return this.levels[cellOf(count, age)]!;
  }

  /** A key was asked for: before that `count` times (0: not known), last `age` requests ago. */
  saw(count: number, age: number): void {
    if (count > 0) this.hits[cellOf(count, age)]!++;
    this.asked[CLASS_OF[count < MOST_COUNT ? count + 1 : count]!]!++;
  }

  /** Makes densities of what was seen. */
  learn(): void {
    for (let cls = 0; cls < CLASSES; cls++) {
      if (this.asked[cls]! >= LEAST_SEEN) this.learnClass(cls);
      this.asked[cls]! *= DECAY;
    }
    for (let cell = 0; cell < this.hits.length; cell++) this.hits[cell]! *= DECAY;
  }

  /**
   * The points (time spent, hits had) by age: the density of an age is the steepest slope from its point to a later
   * one, which the upper hull of the later ones tells, from right to left.
   */
  private learnClass(cls: number): void {
    const { hits } = this;
    const first = cls * AGES;
    let all = 0;
    for (let bin = 0; bin < AGES; bin++) all += hits[first + bin]!;
    let left = Math.max(this.asked[cls]!, all) + 1;
    let time = 0;
    let had = 0;
    TIME[0] = 0;
    HITS[0] = 0;
    for (let bin = 0; bin < AGES; bin++) {
      const here = hits[first + bin]!;
      time += SPANS[bin]! * (left - here / 2);
      left -= here;
      had += here;
      TIME[bin + 1] = time;
      HITS[bin + 1] = had;
    }
    let top = 0;
    HULL[0] = AGES;
    for (let bin = AGES - 1; bin >= 0; bin--) {
      while (top > 0 && slope(bin, HULL[top - 1]!) >= slope(bin, HULL[top]!)) top--;
      this.levels[first + bin] = levelOf(slope(bin, HULL[top]!));
      HULL[++top] = bin;
    }
  }
}

const TIME = new Float64Array(AGES + 1);
const HITS = new Float64Array(AGES + 1);
const HULL = new Uint8Array(AGES + 1);

function slope(from: number, to: number): number {
  return (HITS[to]! - HITS[from]!) / (TIME[to]! - TIME[from]!);
}
