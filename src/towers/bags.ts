import type { EmbeddingBags } from './table-rows.js';

/**
 * Weighted sums of table rows, one a bag. What a tower sees of a user or an item is a bag: its id, its tags, its history
 * are rows.
 */
export interface Bags extends EmbeddingBags {
  readonly weights: Float32Array;
}

/** Collects bags one after the other. */
export class BagsBuilder {
  #rows = new Int32Array(1024);
  #weights = new Float32Array(1024);
  #length = 0;
  readonly #offsets: number[] = [0];

  /** Adds a row to the bag at work. */
  add(row: number, weight: number): void {
    if (this.#length === this.#rows.length) this.#grow();
    this.#rows[this.#length] = row;
    this.#weights[this.#length++] = weight;
  }

  /** Adds what bag `bag` of `from` holds, times `weight`, to the bag at work. */
  addBag(from: Bags, bag: number, weight: number): void {
    const end = from.offsets[bag + 1]!;
    for (let at = from.offsets[bag]!; at < end; at++) {
      this.add(from.rows[at]!, weight * from.weights[at]!);
    }
  }

  /** Ends the bag at work. */
  close(): void {
    this.#offsets.push(this.#length);
  }

  /** The bags that were ended. */
  finish(): Bags {
    return {
      offsets: Int32Array.from(this.#offsets),
      rows: this.#rows.slice(0, this.#length),
      weights: this.#weights.slice(0, this.#length),
    };
  }

  #grow(): void {
    const rows = new Int32Array(2 * this.#rows.length);
    const weights = new Float32Array(rows.length);
    rows.set(this.#rows);
    weights.set(this.#weights);
    this.#rows = rows;
    this.#weights = weights;
  }
}

/** Bags of one row each, row b of weight 1 for bag b. */
export function singleRows(rows: Int32Array): Bags {
  return {
    offsets: Int32Array.from({ length: rows.length + 1 }, (_, bag) => bag),
    rows,
    weights: new Float32Array(rows.length).fill(1),
  };
}

/** The bags with the numbers `chosen`, in that order. */
export function chosenBags(from: Bags, chosen: Int32Array): Bags {
  const builder = new BagsBuilder();
  for (const bag of chosen) {
    builder.addBag(from, bag, 1);
    builder.close();
  }
  return builder.finish();
}

/** The bags of each of `parts`, one part after the other. */
export function consecutiveBags(parts: readonly Bags[]): Bags {
  const length = parts.reduce((sum, { rows }) => sum + rows.length, 0);
  const count = parts.reduce((sum, { offsets }) => sum + offsets.length - 1, 0);
  const all = {
    offsets: new Int32Array(count + 1),
    rows: new Int32Array(length),
    weights: new Float32Array(length),
  };
  let bag = 0;
  let at = 0;
  for (const { offsets, rows, weights } of parts) {
    for (let place = 1; place < offsets.length; place++) all.offsets[++bag] = at + offsets[place]!;
    all.rows.set(rows, at);
    all.weights.set(weights, at);
    at += rows.length;
  }
  return all;
}
