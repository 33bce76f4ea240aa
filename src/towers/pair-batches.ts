import type { Random } from '../vectors/random.js';

/** Which user has which items, row by row: the items of user u are `items[offsets[u] … offsets[u + 1] - 1]`. */
export interface UserItems {
  /** One more than there are users. */
  readonly offsets: Uint32Array;
  /** Item rows; a user has an item at most once. */
  readonly items: Uint32Array;
}

/**
 * The pairs of one step, as a tile of scores: row r is a user with some of the user's items, column c an item of
 * the batch. Every pair is a row and a column; all other columns of a row are its negatives.
 */
export interface PairBatch {
  /** The user table row of each tile row; a user may have several tile rows. */
  readonly users: Int32Array;
  /** The item table row of each tile column; each item once. */
  readonly items: Int32Array;
  /** One more than there are tile rows: the pairs of tile row r are `pairOffsets[r] … pairOffsets[r + 1] - 1`. */
  readonly pairOffsets: Int32Array;
  /** The tile column of each pair. */
  readonly pairColumns: Int32Array;
}

/**
 * Pairs of a user that share a tile row, at most. The tile of a batch shrinks by nearly this factor against one row a
 * pair, and so does the work of an epoch; but a user has a step a group, and too few steps learn too little. On
 * gowalla 4 is better than 8 in the same time, and 32 far worse.
 */
const PAIRS_A_ROW = 4;

/** Deals all pairs of a user and an item in random groups, in batches; each epoch in another way. */
export class PairBatches {
  /** Batches an epoch. */
  readonly count: number;
  private readonly items: Uint32Array;
  /** The pairs of group g are `items[starts[g] … ends[g] - 1]`, all of user `groupUsers[g]`. */
  private readonly starts: Int32Array;
  private readonly ends: Int32Array;
  private readonly groupUsers: Int32Array;
  /** For an item, its column in the batch at hand; -1 for none. */
  private readonly columnOf: Int32Array;

  /** @param batchSize about how many pairs a batch holds; all batches hold about as many. */
  constructor(
    private readonly source: UserItems,
    itemCount: number,
    batchSize: number,
    private readonly random: Random,
  ) {
    this.items = source.items.slice();
    this.columnOf = new Int32Array(itemCount).fill(-1);
    const groups = groupsOf(source.offsets);
    this.starts = Int32Array.from(groups, (group) => group.start);
    this.ends = Int32Array.from(groups, (group) => group.end);
    this.groupUsers = Int32Array.from(groups, (group) => group.user);
    this.count = Math.min(groups.length, Math.ceil(source.items.length / batchSize));
  }

  /** The batches of one epoch: every pair is in one of them. */
  *epoch(): Generator<PairBatch> {
    const { items, starts, ends, random, count } = this;
    const { offsets } = this.source;
    for (let user = 0; user + 1 < offsets.length; user++) {
      random.shuffle(items.subarray(offsets[user], offsets[user + 1]));
    }
    const order = random.shuffle(Int32Array.from(starts.keys()));
    let from = 0;
    let dealt = 0;
    for (let batch = 1; batch <= count; batch++) {
      // Each batch leaves a group for every later one, so that none is empty.
      const last = order.length - (count - batch);
      const share = (items.length * batch) / count;
      let to = from;
      do {
        dealt += ends[order[to]!]! - starts[order[to]!]!;
        to++;
      } while (to < last && (dealt < share || batch === count));
      yield this.batch(order.subarray(from, to));
      from = to;
    }
  }

  private batch(groups: Int32Array): PairBatch {
    const { items, starts, ends, columnOf } = this;
    const columns: number[] = [];
    const pairColumns: number[] = [];
    const pairOffsets = new Int32Array(groups.length + 1);
    groups.forEach((group, row) => {
      for (let at = starts[group]!; at < ends[group]!; at++) {
        const item = items[at]!;
        if (columnOf[item]! < 0) {
          columnOf[item] = columns.length;
          columns.push(item);
        }
        pairColumns.push(columnOf[item]!);
      }
      pairOffsets[row + 1] = pairColumns.length;
    });
    for (const item of columns) columnOf[item] = -1;
    return {
      users: groups.map((group) => this.groupUsers[group]!),
      items: Int32Array.from(columns),
      pairOffsets,
      pairColumns: Int32Array.from(pairColumns),
    };
  }
}

/** Cuts each user's pairs into groups of nearly equal size, at most {@link PAIRS_A_ROW}. */
function groupsOf(offsets: Uint32Array): { user: number; start: number; end: number }[] {
  const groups = [];
  for (let user = 0; user + 1 < offsets.length; user++) {
    const first = offsets[user]!;
    const pairs = offsets[user + 1]! - first;
    const parts = Math.ceil(pairs / PAIRS_A_ROW);
    for (let part = 0; part < parts; part++) {
      groups.push({
        user,
        start: first + Math.floor((pairs * part) / parts),
        end: first + Math.floor((pairs * (part + 1)) / parts),
      });
    }
  }
  return groups;
}
