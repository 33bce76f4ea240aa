import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Examples } from '../../src/towers/examples.js';
import { groupSequences } from '../../src/towers/sequence-groups.js';

/** Examples of the sequences alone. */
function examplesOf(sequences: readonly (readonly number[])[]): Examples {
  const none = new Int32Array(0);
  const offsets = sequences.map((_, at) => sequences.slice(0, at + 1).flat().length);
  return {
    users: none,
    sequenceOffsets: Int32Array.of(0, ...offsets),
    sequenceItems: Int32Array.from(sequences.flat()),
    rowSequences: none,
    rowLengths: none,
    pairOffsets: Int32Array.of(0),
    pairItems: none,
  };
}

describe('groupSequences', () => {
  it('keeps sequences of about one length together, padded to the longest of them', () => {
    const long = Array.from({ length: 20 }, (_, at) => at);
    const { groups, items, starts } = groupSequences(examplesOf([[5], long, [7, 8, 9]]));
    expect(groups).toEqual([
      { sequences: 2, places: 3 },
      { sequences: 1, places: 20 },
    ]);
    expect([...items]).toEqual([5, -1, -1, 7, 8, 9, ...long]);
    expect([...starts]).toEqual([0, 6, 3]);
  });

  it('places every item once, whatever the lengths, and pads little', () => {
    const sequence = fc.array(fc.nat(50), { maxLength: 60 });
    fc.assert(
      fc.property(fc.array(sequence, { maxLength: 30 }), (sequences) => {
        const { groups, items, starts } = groupSequences(examplesOf(sequences));
        sequences.forEach((one, at) =>
          expect([...items.subarray(starts[at], starts[at]! + one.length)]).toEqual(one),
        );
        expect(items.filter((item) => item >= 0)).toHaveLength(sequences.flat().length);
        const places = groups.reduce((sum, group) => sum + group.sequences * group.places, 0);
        expect(items).toHaveLength(places);
        // No sequence longer than 8 is padded to more than twice its length.
        const most = sequences.map(({ length }) => Math.max(8, 2 * length));
        expect(places).toBeLessThanOrEqual(most.reduce((sum, one) => sum + one, 0));
      }),
    );
  });
});
