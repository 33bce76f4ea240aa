/** Of candidates at most, so that a score and a place fit into a double exactly. */
const PLACES = 2 ** 21;

/**
 * Places from the highest score to the lowest, ties in the order given; those of −Infinity are left out. Undefined if a
 * score is no number.
 */
export function descending(scores: ArrayLike<number>): Uint32Array | undefined {
  if (scores instanceof Float32Array && scores.length <= PLACES) return packedOrder(scores);
  const places: number[] = [];
  for (let at = 0; at < scores.length; at++) {
    const score: unknown = scores[at];
    if (typeof score !== 'number' || Number.isNaN(score)) return undefined;
    if (score !== -Infinity) places.push(at);
  }
  places.sort((a, b) => scores[b]! - scores[a]! || a - b);
  return Uint32Array.from(places);
}

/** Sorts numbers made of the score's bits, in an order of integers, and the place: several times as fast as a comparison. */
function packedOrder(scores: Float32Array): Uint32Array | undefined {
  const bits = new Uint32Array(scores.length);
  new Float32Array(bits.buffer).set(scores);
  const packed = new Float64Array(scores.length);
  let kept = 0;
  for (let at = 0; at < scores.length; at++) {
    const score = scores[at]!;
    if (Number.isNaN(score)) return undefined;
    if (score === -Infinity) continue;
    // Zeros have two forms that are the same score.
    const word = score === 0 ? 0 : bits[at]!;
    const ascending = word >>> 31 === 1 ? ~word >>> 0 : (word | 0x80000000) >>> 0;
    packed[kept++] = (0xffffffff - ascending) * PLACES + at;
  }
  const sorted = packed.subarray(0, kept).sort();
  // `from` goes through an iterator.
  const places = new Uint32Array(kept);
  for (let at = 0; at < kept; at++) places[at] = sorted[at]! % PLACES;
  return places;
}
