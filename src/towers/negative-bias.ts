import type { Examples } from './examples.js';
import type { UserItems } from './pair-batches.js';
import type { LossBatch } from './loss.js';
import type { Negatives } from './negative-sampler.js';

/** What {@link NegativeBias} corrects. */
export interface NegativeBiasOptions {
  /** Whether to take the log of how often an item is expected among the negatives off its column (Yi et al., RecSys 2019). */
  readonly logQ: boolean;
  /** Whether no item that the user is known to have met is a negative, rather than only those of the row's pairs. */
  readonly maskKnown: boolean;
}

/** Says what is added to the scores of the negatives, and which of them are none for the row. */
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

  /** For the rows of `examples`; column c is negative c. */
  of(
    examples: Examples,
    { items, logExpected }: Negatives,
  ): Pick<LossBatch, 'columnBias' | 'maskOffsets' | 'maskedColumns'> {
    const columnBias = new Float32Array(items.length);
    if (this.options.logQ) items.forEach((_, at) => (columnBias[at] = -logExpected[at]!));
    return { columnBias, ...this.masked(examples, items) };
  }

  private masked(examples: Examples, columns: Int32Array) {
    const { columnOf, options, source } = this;
    const width = columns.length;
    /** The next column of the same item; -1 after the last. */
    const next = new Int32Array(width);
    for (let column = width - 1; column >= 0; column--) {
      next[column] = columnOf[columns[column]!]!;
      columnOf[columns[column]!] = column;
    }
    const maskOffsets = new Int32Array(examples.users.length + 1);
    const maskedColumns: number[] = [];
    const { pairItems, pairOffsets } = examples;
    const items = options.maskKnown ? source.items : pairItems;
    examples.users.forEach((user, row) => {
      const from = options.maskKnown ? source.offsets[user]! : pairOffsets[row]!;
      const end = options.maskKnown ? source.offsets[user + 1]! : pairOffsets[row + 1]!;
      for (let at = from; at < end; at++) {
        let column = columnOf[items[at]!]!;
        for (; column >= 0; column = next[column]!) maskedColumns.push(column);
      }
      maskOffsets[row + 1] = maskedColumns.length;
    });
    for (const item of columns) columnOf[item] = -1;
    return { maskOffsets, maskedColumns: Int32Array.from(maskedColumns) };
  }
}
