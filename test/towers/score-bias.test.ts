import { describe, expect, it } from 'vitest';
import { PairBatches, type PairBatch, type UserItems } from '../../src/towers/pair-batches.js';
import { ScoreBias } from '../../src/towers/score-bias.js';
import { Random } from '../../src/vectors/random.js';
import { pairsOf, randomUserItems, userItems } from './pairs.js';

/** The tile cell by cell, from the definition. */
function reference(
  source: UserItems,
  batch: PairBatch,
  { logQ, maskKnown }: { logQ: boolean; maskKnown: boolean },
): number[] {
  const pairs = pairsOf(batch).length;
  return Array.from(batch.users).flatMap((user, row) => {
    const from = batch.pairOffsets[row]!;
    const own = [...batch.pairColumns.subarray(from, batch.pairOffsets[row + 1])];
    const known = [...source.items.subarray(source.offsets[user], source.offsets[user + 1])];
    return Array.from(batch.items, (item, column) => {
      if (maskKnown && known.includes(item) && !own.includes(column)) return -1e9;
      const share = source.items.filter((other) => other === item).length / source.items.length;
      return logQ ? -Math.log(1 - (1 - share) ** pairs) : 0;
    });
  });
}

describe('ScoreBias', () => {
  const source = randomUserItems(30, 40, 25);
  const choices = [true, false].flatMap((logQ) =>
    [true, false].map((maskKnown) => ({ logQ, maskKnown })),
  );

  it.each(choices)('is what the definition says: %o', (options) => {
    const bias = new ScoreBias(source, 40, options);
    // Filled with what it must overwrite; several batches show that nothing stays from one to the next.
    const space = new Float32Array(200 * 40).fill(NaN);
    let masked = 0;
    for (const batch of new PairBatches(source, 40, 60, new Random(3)).epoch()) {
      const tile = space.subarray(0, batch.users.length * batch.items.length);
      bias.fill(tile, batch);
      const expected = reference(source, batch, options);
      expected.forEach((value, at) => expect(tile[at]).toBeCloseTo(value, 4));
      masked += expected.filter((value) => value === -1e9).length;
    }
    expect(masked > 0).toBe(options.maskKnown);
  });

  it('is finite for an item that is all there is', () => {
    const single = userItems([[0], [0]]);
    const [batch] = new PairBatches(single, 1, 2, new Random(1)).epoch();
    const tile = new Float32Array(2);
    new ScoreBias(single, 1, { logQ: true, maskKnown: true }).fill(tile, batch!);
    expect([...tile].map(Math.abs)).toEqual([0, 0]);
  });
});
