import type { Random } from '../vectors/random.js';
import { BagsBuilder, chosenBags, type Bags } from './bags.js';
import type { ResolvedTwoTowerOptions } from './options.js';

/** The items of a step: which table rows they are made of. */
export class ItemSide {
  /** For an item, its place among the targets of the step at hand; -1 for none. */
  private readonly placeOf: Int32Array;

  /** @param items what each item is made of; the first row of an item with an id is that of the id. */
  constructor(
    private readonly items: Bags,
    private readonly itemCount: number,
    private readonly options: Pick<ResolvedTwoTowerOptions, 'idDropout'>,
    private readonly random: Random,
  ) {
    this.placeOf = new Int32Array(itemCount).fill(-1);
  }

  /** The distinct items of pairs, and which of them each pair's is. */
  targetsOf(pairItems: Int32Array): { targets: Int32Array; pairTargets: Int32Array } {
    const { placeOf } = this;
    const targets: number[] = [];
    const pairTargets = pairItems.map((item) => {
      if (placeOf[item]! < 0) placeOf[item] = targets.push(item) - 1;
      return placeOf[item]!;
    });
    for (const item of targets) placeOf[item] = -1;
    return { targets: Int32Array.from(targets), pairTargets };
  }

  /** What the chosen items are made of; of some, by chance, all but their ids. */
  bagsOf(chosen: Int32Array): Bags {
    const { items, random } = this;
    const hasFeatures = items.rows.length > this.itemCount;
    if (!hasFeatures || this.options.idDropout === 0) return chosenBags(items, chosen);
    const builder = new BagsBuilder();
    for (const item of chosen) {
      const first = items.offsets[item]!;
      const end = items.offsets[item + 1]!;
      const drop = end - first > 1 && random.uniform() < this.options.idDropout;
      for (let at = drop ? first + 1 : first; at < end; at++) {
        builder.add(items.rows[at]!, items.weights[at]!);
      }
      builder.close();
    }
    return builder.finish();
  }
}
