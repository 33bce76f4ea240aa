import type { Examples } from './examples.js';

/** Sequences that stand one after the other, padded to one length. */
export interface SequenceGroup {
  readonly sequences: number;
  /** Of each. */
  readonly places: number;
}

/** The sequences of a batch in groups of about one length, so that there is little to pad. */
export interface GroupedSequences {
  readonly groups: readonly SequenceGroup[];
  /** Of each place of each group, the item; -1 past the end of a sequence. */
  readonly items: Int32Array;
  /** Of each sequence of the batch, where its first item stands among `items`. */
  readonly starts: Int32Array;
}

/** Sequences up to so many places are one group: each group costs calls of its own. */
const LEAST_PLACES = 8;

/** Puts sequences into groups by their lengths, each at most twice as long as its shortest. */
export function groupSequences({ sequenceOffsets, sequenceItems }: Examples): GroupedSequences {
  const count = sequenceOffsets.length - 1;
  const lengthOf = (sequence: number): number =>
    sequenceOffsets[sequence + 1]! - sequenceOffsets[sequence]!;
  const byLimit = new Map<number, number[]>();
  for (let sequence = 0; sequence < count; sequence++) {
    const limit = limitOf(lengthOf(sequence));
    const others = byLimit.get(limit);
    if (others === undefined) byLimit.set(limit, [sequence]);
    else others.push(sequence);
  }
  const starts = new Int32Array(count);
  const groups: SequenceGroup[] = [];
  let length = 0;
  for (const [, sequences] of [...byLimit].sort(([a], [b]) => a - b)) {
    const places = sequences.reduce((most, sequence) => Math.max(most, lengthOf(sequence)), 1);
    for (const sequence of sequences) {
      starts[sequence] = length;
      length += places;
    }
    groups.push({ sequences: sequences.length, places });
  }
  const items = new Int32Array(length).fill(-1);
  starts.forEach((start, sequence) =>
    items.set(
      sequenceItems.subarray(sequenceOffsets[sequence], sequenceOffsets[sequence + 1]),
      start,
    ),
  );
  return { groups, items, starts };
}

/** The longest sequence that goes with one of the length. */
function limitOf(length: number): number {
  let limit = LEAST_PLACES;
  while (limit < length) limit *= 2;
  return limit;
}
