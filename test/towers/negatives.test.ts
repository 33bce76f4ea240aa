import { describe, expect, it } from 'vitest';
import { SetDealer } from '../../src/towers/examples.js';
import { NegativeBias } from '../../src/towers/negative-bias.js';
import { NegativeSampler } from '../../src/towers/negative-sampler.js';
import { Random } from '../../src/vectors/random.js';
import { randomUserItems } from './pairs.js';

describe('NegativeSampler', () => {
  const counts = Float64Array.of(0, 1, 4, 16, 100);

  /** How often each item is drawn, of 200,000. */
  function drawn(negativePower: number, uniformShare: number): Float64Array {
    const options = { negatives: 1000, negativePower, uniformShare };
    const sampler = new NegativeSampler(counts, options, new Random(5));
    const times = new Float64Array(counts.length);
    for (let step = 0; step < 200; step++)
      for (const item of sampler.draw(new Int32Array(0), 0).items) times[item]!++;
    return times;
  }

  it('draws items by a power of their counts, and a share from all alike', () => {
    const roots = [0, 1, 2, 4, 10].map((root) => root / 17);
    drawn(0.5, 0).forEach((times, item) => {
      expect(times / 200_000).toBeCloseTo(roots[item]!, 2);
    });
    expect(drawn(0.5, 0)[0]).toBe(0);
    drawn(1, 0.4).forEach((times, item) => {
      expect(times / 200_000).toBeCloseTo((0.6 * counts[item]!) / 121 + 0.08, 2);
    });
  });

  it('knows how often each is expected', () => {
    const options = { negatives: 300, negativePower: 1, uniformShare: 0.5 };
    const { items, logExpected } = new NegativeSampler(counts, options, new Random(1)).draw(
      new Int32Array(0),
      0,
    );
    items.forEach((item, at) => {
      const chance = (0.5 * counts[item]!) / 121 + 0.1;
      expect(logExpected[at]).toBeCloseTo(Math.log(300 * chance), 5);
    });
  });
});

describe('NegativeSampler of none', () => {
  it("takes the step's own items, and knows their chance to be there", () => {
    const counts = Float64Array.of(3, 1, 6);
    const options = { negatives: 0, negativePower: 1, uniformShare: 0 };
    const sampler = new NegativeSampler(counts, options, new Random(1));
    const { items, logExpected } = sampler.draw(Int32Array.of(2, 0), 5);
    expect([...items]).toEqual([2, 0]);
    [0.6, 0.3].forEach((share, at) =>
      expect(logExpected[at]).toBeCloseTo(Math.log(1 - (1 - share) ** 5), 5),
    );
    expect(sampler.logExpectedOf(Int32Array.of(1), 5)[0]).toBeCloseTo(Math.log(1 - 0.9 ** 5), 5);
  });
});

describe('NegativeBias', () => {
  const source = randomUserItems(12, 15, 9, 5);
  const dealing = { batchSize: 20, inputShare: 0.5, maxHistory: 50, pairsARow: 4 };
  const [examples] = [...new SetDealer(source, dealing, new Random(1)).epoch()];
  const items = Int32Array.of(3, 7, 3, 0, 14, 7, 1);
  const logExpected = Float32Array.from(items, (item) => item / 4);

  it.each([
    [true, true],
    [false, true],
    [true, false],
  ])('corrects (%s) and masks what the user knows (%s)', (logQ, maskKnown) => {
    const bias = new NegativeBias(source, 15, { logQ, maskKnown });
    // Twice, as what is kept between steps must not show.
    bias.of(examples!, { items, logExpected });
    const { columnBias, maskOffsets, maskedColumns } = bias.of(examples!, { items, logExpected });
    expect([...columnBias]).toEqual([...items].map((item) => (logQ ? -item / 4 : 0)));
    let masked = 0;
    examples!.users.forEach((user, row) => {
      const known = [...source.items.subarray(source.offsets[user], source.offsets[user + 1])];
      const ofRow = [...maskedColumns.subarray(maskOffsets[row], maskOffsets[row + 1])];
      // The pairs of a row are all that its user knows.
      const expected = [...items.keys()].filter((column) => known.includes(items[column]!));
      expect(ofRow.sort((a, b) => a - b)).toEqual(expected);
      masked += ofRow.length;
    });
    expect(masked).toBeGreaterThan(5);
  });
});
