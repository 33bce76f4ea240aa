import { requireInteger, MAX_ROWS } from '../index/arguments.js';
import { withinMemory } from '../vectors/memory.js';
import type { KeyBook, KeyPlan } from './key-book.js';
import type { NativeKeys } from '../native.js';
import { calling, graphBytes, type Graph } from './package.js';

/** Vectors on their way into a graph; the book learns of them when all are there. */
export class Adding {
  readonly #graph: Graph;
  readonly #book: KeyBook;
  readonly #vectors: Float32Array;
  readonly #plan: KeyPlan;
  #started = 0;

  /**
   * Takes room in the graph for `vectors`, one a key, of `m` links.
   * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_DUPLICATE_KEY, ERR_LICHEN_MEMORY.
   */
  constructor(graph: Graph, book: KeyBook, keys: NativeKeys, vectors: Float32Array, m: number) {
    const dim = graph.getNumDimensions();
    const count = vectors.length / dim;
    this.#graph = graph;
    this.#book = book;
    this.#vectors = vectors;
    this.#plan = book.plan(keys, count);
    const rows = graph.getCurrentCount() + count;
    const capacity = graph.getMaxElements();
    if (rows <= capacity) return;
    requireInteger('the number of vectors', rows, 1, MAX_ROWS);
    const grown = Math.min(MAX_ROWS, Math.max(rows, Math.ceil(capacity * 1.5)));
    withinMemory(graphBytes(grown, dim, m), () => calling('add', () => graph.resizeIndex(grown)));
  }

  get count(): number {
    return this.#plan.rows.length;
  }

  /** Links the vector at a position; to be called for each, in order. */
  step(at: number): void {
    const dim = this.#graph.getNumDimensions();
    const vector = Array.from(this.#vectors.subarray(at * dim, (at + 1) * dim));
    this.#started = at + 1;
    calling('add', () => this.#graph.addPoint(vector, this.#plan.labels[at]!));
  }

  /** From now on the vectors are found. */
  publish(): void {
    this.#book.enter(this.#plan);
  }

  /** Hides the vectors that were linked, the last one perhaps in part. */
  undo(): void {
    for (const label of this.#plan.labels.slice(0, this.#started)) {
      try {
        this.#graph.markDelete(label);
      } catch {
        // That one did not get there.
      }
    }
  }
}
