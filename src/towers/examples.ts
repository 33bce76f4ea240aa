import type { UserItems } from './pair-batches.js';
import type { Random } from '../vectors/random.js';

/**
 * What one step learns from. A row is a user as seen through some of the user's items; its pairs are the items it should
 * score high.
 */
export interface Examples {
  /** The user of each row. */
  readonly users: Int32Array;
  /** One more than there are sequences; a sequence is some items of one user. */
  readonly sequenceOffsets: Int32Array;
  readonly sequenceItems: Int32Array;
  /** Of each row, the sequence it sees … */
  readonly rowSequences: Int32Array;
  /** … and how many of its first items. */
  readonly rowLengths: Int32Array;
  /** One more than there are rows: the pairs of row r are `pairOffsets[r] … pairOffsets[r + 1] - 1`. */
  readonly pairOffsets: Int32Array;
  readonly pairItems: Int32Array;
}

/** Deals what an epoch learns from, in batches. */
export interface ExampleDealer {
  /** Batches an epoch. */
  readonly count: number;
  epoch(): Generator<Examples>;
}

/** How users are dealt. */
export interface DealOptions {
  /** Users a batch, about; all batches have about as many. */
  readonly batchSize: number;
  /** Share of a user's items that the input is made of, each chosen by chance. */
  readonly inputShare: number;
  /** The newest items of a sequence that count. */
  readonly maxHistory: number;
  /** Pairs a row, at most. */
  readonly pairsARow: number;
}

/** Collects the rows of a batch. */
class ExamplesBuilder {
  private readonly users: number[] = [];
  private readonly sequenceOffsets = [0];
  private readonly sequenceItems: number[] = [];
  private readonly rowSequences: number[] = [];
  private readonly rowLengths: number[] = [];
  private readonly pairOffsets = [0];
  private readonly pairItems: number[] = [];

  addItem(item: number): void {
    this.sequenceItems.push(item);
  }

  /** Ends the sequence at work and gives its number of items. */
  closeSequence(): number {
    const length = this.sequenceItems.length - this.sequenceOffsets.at(-1)!;
    this.sequenceOffsets.push(this.sequenceItems.length);
    return length;
  }

  /** Adds a row that sees `length` items of the sequence ended last, with `items[from … to - 1]` as its pairs. */
  addRow(user: number, length: number, items: Uint32Array, from: number, to: number): void {
    this.users.push(user);
    this.rowSequences.push(this.sequenceOffsets.length - 2);
    this.rowLengths.push(length);
    for (let at = from; at < to; at++) this.pairItems.push(items[at]!);
    this.pairOffsets.push(this.pairItems.length);
  }

  finish(): Examples {
    return {
      users: Int32Array.from(this.users),
      sequenceOffsets: Int32Array.from(this.sequenceOffsets),
      sequenceItems: Int32Array.from(this.sequenceItems),
      rowSequences: Int32Array.from(this.rowSequences),
      rowLengths: Int32Array.from(this.rowLengths),
      pairOffsets: Int32Array.from(this.pairOffsets),
      pairItems: Int32Array.from(this.pairItems),
    };
  }
}

/** Deals the users of an epoch in random order, as many a batch as evenly fit. */
abstract class UserDealer implements ExampleDealer {
  readonly count: number;
  private readonly dealt: Int32Array;

  constructor(
    protected readonly source: UserItems,
    protected readonly options: DealOptions,
    protected readonly random: Random,
    leastItems: number,
  ) {
    const { offsets } = source;
    const users: number[] = [];
    for (let user = 0; user + 1 < offsets.length; user++) {
      if (offsets[user + 1]! - offsets[user]! >= leastItems) users.push(user);
    }
    this.dealt = Int32Array.from(users);
    this.count = Math.ceil(users.length / options.batchSize);
  }

  *epoch(): Generator<Examples> {
    const { dealt, count } = this;
    this.random.shuffle(dealt);
    for (let batch = 0; batch < count; batch++) {
      const from = Math.floor((dealt.length * batch) / count);
      const to = Math.floor((dealt.length * (batch + 1)) / count);
      const builder = new ExamplesBuilder();
      for (const user of dealt.subarray(from, to)) {
        this.addUser(builder, user, this.source.offsets[user]!, this.source.offsets[user + 1]!);
      }
      yield builder.finish();
    }
  }

  /** Adds the rows of one user, whose items are `from … to - 1` of the source. */
  protected abstract addUser(
    builder: ExamplesBuilder,
    user: number,
    from: number,
    to: number,
  ): void;
}

/**
 * For items without an order. A row sees a random part of its user's items and should find all of them: the part as the
 * whole (so that what the user has in common with others is learned), and the rest as what will come. On gowalla that is
 * better than to look for the rest alone.
 */
export class SetDealer extends UserDealer {
  constructor(source: UserItems, options: DealOptions, random: Random) {
    super(source, options, random, 2);
  }

  protected addUser(builder: ExamplesBuilder, user: number, from: number, to: number): void {
    const { source, random, options } = this;
    let length = 0;
    for (let at = from; at < to; at++) {
      if (random.uniform() >= options.inputShare) continue;
      builder.addItem(source.items[at]!);
      length++;
    }
    if (length === 0) builder.addItem(source.items[from + random.below(to - from)]!);
    builder.addRow(user, builder.closeSequence(), source.items, from, to);
  }
}

/** For items in order, oldest first: a row for each item but the first, which sees those before and should find it. */
export class SequenceDealer extends UserDealer {
  constructor(source: UserItems, options: DealOptions, random: Random) {
    super(source, options, random, 2);
  }

  protected addUser(builder: ExamplesBuilder, user: number, from: number, to: number): void {
    const { items } = this.source;
    const first = Math.max(from, to - 1 - this.options.maxHistory);
    for (let at = first; at < to - 1; at++) builder.addItem(items[at]!);
    const length = builder.closeSequence();
    for (let seen = 1; seen <= length; seen++) {
      builder.addRow(user, seen, items, first + seen, first + seen + 1);
    }
  }
}

/**
 * For users who are their ids alone: a row sees nothing but the id. A user's items are dealt over rows of at most
 * `pairsARow` pairs, each a step for the user: too few steps learn too little.
 */
export class IdDealer implements ExampleDealer {
  readonly count: number;
  private readonly items: Uint32Array;
  /** Rows as [user, first pair, end], flat. */
  private readonly rows: Int32Array;
  private readonly order: Int32Array;

  constructor(
    private readonly source: UserItems,
    options: DealOptions,
    private readonly random: Random,
  ) {
    this.items = source.items.slice();
    const rows: number[] = [];
    for (let user = 0; user + 1 < source.offsets.length; user++) {
      const first = source.offsets[user]!;
      const pairs = source.offsets[user + 1]! - first;
      const parts = Math.ceil(pairs / options.pairsARow);
      for (let part = 0; part < parts; part++) {
        const from = first + Math.floor((pairs * part) / parts);
        rows.push(user, from, first + Math.floor((pairs * (part + 1)) / parts));
      }
    }
    this.rows = Int32Array.from(rows);
    this.order = Int32Array.from({ length: rows.length / 3 }, (_, row) => row);
    this.count = Math.ceil(this.order.length / options.batchSize);
  }

  *epoch(): Generator<Examples> {
    const { items, order, rows, count, random } = this;
    const { offsets } = this.source;
    for (let user = 0; user + 1 < offsets.length; user++) {
      random.shuffle(items.subarray(offsets[user], offsets[user + 1]));
    }
    random.shuffle(order);
    for (let batch = 0; batch < count; batch++) {
      const builder = new ExamplesBuilder();
      const from = Math.floor((order.length * batch) / count);
      const to = Math.floor((order.length * (batch + 1)) / count);
      for (const row of order.subarray(from, to)) {
        builder.closeSequence();
        builder.addRow(rows[3 * row]!, 0, items, rows[3 * row + 1]!, rows[3 * row + 2]!);
      }
      yield builder.finish();
    }
  }
}
