import type { PairBatch, UserItems } from './pair-batches.js';

/** Added to a score it leaves a softmax probability of exactly 0, and stays finite in float32. */
const MASKED = -1e9;

/** What {@link ScoreBias} corrects. */
export interface ScoreBiasOptions {
  /** Whether to take the log of each item's share of all pairs off its column (Yi et al., RecSys 2019). */
  readonly logQ: boolean;
  /** Whether all items that the user is known to like are no negatives, or only copies of the pair's own item. */
  readonly maskKnown: boolean;
}

/**
 * Fills the tile that is added to the scores of an in-batch softmax: row i is pair i's user, column j pair j's item.
 * An item comes into a batch as often as it stands in the pairs, so popular items are negatives more often; logQ
 * takes that back. Columns that hold the row's own item again, or another item the user likes, are masked.
 */
export class ScoreBias {
  private readonly logShare: Float32Array;
  /** For an item, the last column of the batch that holds it; -1 for none. */
  private readonly lastColumn: Int32Array;

  constructor(
    private readonly source: UserItems,
    itemCount: number,
    private readonly options: ScoreBiasOptions,
  ) {
    const counts = new Uint32Array(itemCount);
    for (const item of source.items) counts[item]!++;
    this.logShare = Float32Array.from(counts, (count) => Math.log(count / source.items.length));
    this.lastColumn = new Int32Array(itemCount).fill(-1);
  }

  /** Fills `tile`, of `size * size` values for a batch of `size` pairs. */
  fill(tile: Float32Array, batch: PairBatch): void {
    const { users, items } = batch;
    const size = items.length;
    const { lastColumn } = this;
    this.fillRows(tile, items);
    // Columns with the same item form a chain, so that a row visits only columns that it masks.
    const earlier = new Int32Array(size);
    for (let column = 0; column < size; column++) {
      const item = items[column]!;
      earlier[column] = lastColumn[item]!;
      lastColumn[item] = column;
    }
    const mask = (row: number, item: number): void => {
      for (let column = lastColumn[item]!; column >= 0; column = earlier[column]!) {
        if (column !== row) tile[row * size + column] = MASKED;
      }
    };
    const { offsets, items: known } = this.source;
    for (let row = 0; row < size; row++) {
      if (!this.options.maskKnown) {
        mask(row, items[row]!);
        continue;
      }
      const end = offsets[users[row]! + 1]!;
      for (let at = offsets[users[row]!]!; at < end; at++) mask(row, known[at]!);
    }
    for (const item of items) lastColumn[item] = -1;
  }

  private fillRows(tile: Float32Array, items: Int32Array): void {
    if (!this.options.logQ) {
      tile.fill(0);
      return;
    }
    const first = tile.subarray(0, items.length);
    for (let column = 0; column < items.length; column++) {
      first[column] = -this.logShare[items[column]!]!;
    }
    for (let row = 1; row < items.length; row++) tile.set(first, row * items.length);
  }
}
