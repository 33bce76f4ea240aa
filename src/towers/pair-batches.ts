import type { Random } from '../vectors/random.js';

/** Which user has which items, row by row: the items of user u are `items[offsets[u] … offsets[u + 1] - 1]`. */
export interface UserItems {
  /** One more than there are users. */
  readonly offsets: Uint32Array;
  /** Item rows. */
  readonly items: Uint32Array;
}

/** Some pairs of a user and an item, as table rows. */
export interface PairBatch {
  readonly users: Int32Array;
  readonly items: Int32Array;
}

/** Deals all pairs of a user and an item in random order, in batches; each epoch in another order. */
export class PairBatches {
  private readonly pairUsers: Int32Array;
  private readonly order: Int32Array;

  constructor(
    private readonly source: UserItems,
    private readonly batchSize: number,
    private readonly random: Random,
  ) {
    this.pairUsers = new Int32Array(source.items.length);
    for (let user = 0; user + 1 < source.offsets.length; user++) {
      this.pairUsers.fill(user, source.offsets[user], source.offsets[user + 1]);
    }
    this.order = Int32Array.from(source.items.keys());
  }

  /** Batches an epoch. */
  get count(): number {
    return Math.ceil(this.order.length / this.batchSize);
  }

  /** The batches of one epoch; the last may be smaller. */
  *epoch(): Generator<PairBatch> {
    const { order, batchSize } = this;
    this.random.shuffle(order);
    for (let from = 0; from < order.length; from += batchSize) {
      const pairs = order.subarray(from, from + batchSize);
      yield {
        users: pairs.map((pair) => this.pairUsers[pair]!),
        items: pairs.map((pair) => this.source.items[pair]!),
      };
    }
  }
}
