import { FlatIndex } from '../index/flat.js';
import type { Split } from '../interactions/hold-out.js';
import { itemsOf } from '../interactions/interactions.js';
import { Vocabulary } from '../interactions/vocabulary.js';
import { rankingMetrics } from '../ranking/ranking-metrics.js';
import { recommendBatch } from '../ranking/recommend.js';
import type { Random } from '../vectors/random.js';
import { matrixRows, type Matrix } from '../vectors/matrix.js';
import type { Validation, Validator } from './training.js';

/** Users that a validation asks, at most; by chance. */
const MOST_USERS = 4096;

const CUT_OFF = 20;

/** Measures recall@20 and ndcg@20 by exact search on what was held back, and keeps the table's best values. */
export class HeldBackValidator implements Validator {
  private readonly users: Int32Array;
  private best = -1;

  /**
   * @param vectors gives the vectors of the towers as they are.
   * @param keep is called when they are the best so far.
   */
  constructor(
    private readonly parts: Split,
    random: Random,
    private readonly vectors: () => { users: Matrix; items: Matrix },
    private readonly keep: () => void,
  ) {
    const { offsets } = parts.test;
    const asked: number[] = [];
    for (let user = 0; user + 1 < offsets.length; user++) {
      if (offsets[user] !== offsets[user + 1]) asked.push(user);
    }
    this.users = Int32Array.from(random.shuffle(asked).slice(0, MOST_USERS));
  }

  async validate(): Promise<{ metrics: Validation; best: boolean }> {
    const { users, items } = this.vectors();
    const { train } = this.parts;
    using index = new FlatIndex({ dim: items.dim, metric: 'dot' });
    await index.add(items);
    const k = Math.min(CUT_OFF, items.rows);
    const ranked = await recommendBatch(
      {
        index,
        items: train.items,
        queries: matrixRows(users, this.users),
        users: this.users,
        known: train,
      },
      { k },
    );
    const { values } = rankingMetrics(ranked, this.truth(), [k]);
    const first = values[`recall@${k}`]!;
    const best = first > this.best;
    if (best) {
      this.best = first;
      this.keep();
    }
    return { metrics: values, best };
  }

  /** The held items of the users asked, user after user. */
  private truth(): Parameters<typeof rankingMetrics>[1] {
    const { test } = this.parts;
    const lists = Array.from(this.users, (user) => itemsOf(test, user));
    const ends = new Uint32Array(lists.length + 1);
    lists.forEach((list, at) => (ends[at + 1] = ends[at]! + list.length));
    const itemIndices = new Uint32Array(ends[lists.length]!);
    lists.forEach((list, at) => itemIndices.set(list, ends[at]));
    return {
      users: Vocabulary.identity(lists.length),
      items: test.items,
      offsets: ends,
      itemIndices,
      unknownItems: new Uint32Array(lists.length),
    };
  }
}
