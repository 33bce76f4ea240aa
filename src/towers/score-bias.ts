import type { PairBatch, UserItems } from './pair-batches.js';

/** Added to a score it leaves a softmax probability of exactly 0, and stays finite in float32. */
export const MASKED = -1e9;

/** What {@link ScoreBias} corrects. */
export interface ScoreBiasOptions {
  /** Whether to take the log of each item's chance to be in a batch off its column (Yi et al., RecSys 2019). */
  readonly logQ: boolean;
  /** Whether items that the user is known to like, but that are no pairs of the row, are no negatives either. */
  readonly maskKnown: boolean;
}

/**
 * Fills the tile that is added to the scores of an in-batch softmax: row r is the batch's user r, column c its item
 * c. Popular items are in more batches and so are negatives more often; logQ takes that back.
 */
export class ScoreBias {
  /** Of each item, log(1 - its share of all pairs): the chance that one random pair has another item. */
  private readonly logAbsent: Float64Array;
  /** For an item, its column in the batch at hand; -1 for none. */
  private readonly columnOf: Int32Array;

  constructor(
    private readonly source: UserItems,
    itemCount: number,
    private readonly options: ScoreBiasOptions,
  ) {
    const counts = new Float64Array(itemCount);
    for (const item of source.items) counts[item]!++;
    this.logAbsent = counts.map((count) => Math.log1p(-count / source.items.length));
    this.columnOf = new Int32Array(itemCount).fill(-1);
  }

  /** Fills `tile`, of `users.length * items.length` values for the batch. */
  fill(tile: Float32Array, batch: PairBatch): void {
    this.fillRows(tile, batch);
    if (this.options.maskKnown) this.mask(tile, batch);
  }

  private fillRows(tile: Float32Array, batch: PairBatch): void {
    if (!this.options.logQ) {
      tile.fill(0);
      return;
    }
    const width = batch.items.length;
    const pairs = batch.pairColumns.length;
    for (let column = 0; column < width; column++) {
      tile[column] = -Math.log(-Math.expm1(pairs * this.logAbsent[batch.items[column]!]!));
    }
    for (let from = width; from < tile.length; from += width) tile.copyWithin(from, 0, width);
  }

  private mask(tile: Float32Array, batch: PairBatch): void {
    const { users, items, pairOffsets, pairColumns } = batch;
    const { offsets, items: known } = this.source;
    const { columnOf } = this;
    const width = items.length;
    items.forEach((item, column) => (columnOf[item] = column));
    for (let row = 0; row < users.length; row++) {
      const from = row * width;
      const ownFrom = pairOffsets[row]!;
      const own = pairColumns.subarray(ownFrom, pairOffsets[row + 1]);
      const kept = Float32Array.from(own, (column) => tile[from + column]!);
      const end = offsets[users[row]! + 1]!;
      for (let at = offsets[users[row]!]!; at < end; at++) {
        const column = columnOf[known[at]!]!;
        if (column >= 0) tile[from + column] = MASKED;
      }
      own.forEach((column, at) => (tile[from + column] = kept[at]!));
    }
    for (const item of items) columnOf[item] = -1;
  }
}
