import type { Examples } from './examples.js';
import type { UserItems } from './pair-batches.js';
import { MASKED } from './score-bias.js';
import type { Negatives } from './negative-sampler.js';

/** What {@link NegativeBias} corrects. */
export interface NegativeBiasOptions {
  /** Whether to take the log of how often an item is expected among the negatives off its column (Yi et al., RecSys 2019). */
  readonly logQ: boolean;
  /** Whether no item that the user is known to have met is a negative, rather than only those of the row's pairs. */
  readonly maskKnown: boolean;
}

/** Fills the tile that is added to the scores of the negatives: row r is row r of the examples, column c negative c. */
export class NegativeBias {
  /** For an item, the first column it stands in; -1 for none. */
  private readonly columnOf: Int32Array;

  constructor(
    private readonly source: UserItems,
    itemCount: number,
    private readonly options: NegativeBiasOptions,
  ) {
    this.columnOf = new Int32Array(itemCount).fill(-1);
  }

  /** Fills `tile`, of `users.length * items.length` values. */
  fill(tile: Float32Array, examples: Examples, { items, logExpected }: Negatives): void {
    const width = items.length;
    for (let column = 0; column < width; column++) {
      tile[column] = this.options.logQ ? -logExpected[column]! : 0;
    }
    for (let from = width; from < tile.length; from += width) tile.copyWithin(from, 0, width);
    this.mask(tile, examples, items);
  }

  private mask(tile: Float32Array, examples: Examples, columns: Int32Array): void {
    const { columnOf, options, source } = this;
    const width = columns.length;
    /** The next column of the same item; -1 after the last. */
    const next = new Int32Array(width);
    for (let column = width - 1; column >= 0; column--) {
      next[column] = columnOf[columns[column]!]!;
      columnOf[columns[column]!] = column;
    }
    const maskAll = (row: number, items: ArrayLike<number>, from: number, to: number): void => {
      for (let at = from; at < to; at++) {
        for (let column = columnOf[items[at]!]!; column >= 0; column = next[column]!) {
          tile[row * width + column] = MASKED;
        }
      }
    };
    examples.users.forEach((user, row) => {
      if (options.maskKnown) {
        maskAll(row, source.items, source.offsets[user]!, source.offsets[user + 1]!);
      } else {
        const { pairItems, pairOffsets } = examples;
        maskAll(row, pairItems, pairOffsets[row]!, pairOffsets[row + 1]!);
      }
    });
    for (const item of columns) columnOf[item] = -1;
  }
}
