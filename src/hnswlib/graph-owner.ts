import { LichenError } from '../errors.js';
import type { Graph } from './package.js';

/**
 * Holds a graph, says who may work on it, and frees it when it is closed and nobody does: one writer at a time, and
 * none from within a search, whose memory hnswlib would move.
 */
export class GraphOwner {
  readonly #graph: Graph;
  #isClosed = false;
  #isWriting = false;
  /** Searches on the stack: a filter may call back. */
  #searches = 0;
  /** Operations under way that search now and then. */
  #readers = 0;

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /** Whether an add or a save is at work. */
  get isWriting(): boolean {
    return this.#isWriting;
  }

  /** The graph, to be used at once. @throws ERR_LICHEN_CLOSED. */
  requireOpen(): Graph {
    if (this.#isClosed) throw new LichenError('ERR_LICHEN_CLOSED', 'the index is closed');
    return this.#graph;
  }

  /** @throws ERR_LICHEN_CLOSED, ERR_LICHEN_BUSY, what `work` throws. */
  write<T>(work: (graph: Graph) => T): T {
    const graph = this.#beginWriting();
    try {
      return work(graph);
    } finally {
      this.#endWriting();
    }
  }

  /** @throws ERR_LICHEN_CLOSED, ERR_LICHEN_BUSY, what `work` throws. */
  async writeSlowly<T>(work: (graph: Graph) => Promise<T>): Promise<T> {
    const graph = this.#beginWriting();
    try {
      return await work(graph);
    } finally {
      this.#endWriting();
    }
  }

  /** Runs searches that take their time; a close meanwhile waits for them. */
  async readSlowly<T>(work: (graph: Graph) => Promise<T>): Promise<T> {
    const graph = this.requireOpen();
    this.#readers++;
    try {
      return await work(graph);
    } finally {
      this.#readers--;
      this.#freeIfIdle();
    }
  }

  /** Runs one search. */
  search<T>(work: () => T): T {
    this.#searches++;
    try {
      return work();
    } finally {
      this.#searches--;
      this.#freeIfIdle();
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#freeIfIdle();
  }

  #beginWriting(): Graph {
    const graph = this.requireOpen();
    if (this.#isWriting || this.#searches > 0) {
      throw new LichenError(
        'ERR_LICHEN_BUSY',
        'another add, save or search is at work on this index; wait until it has ended',
      );
    }
    this.#isWriting = true;
    return graph;
  }

  #endWriting(): void {
    this.#isWriting = false;
    this.#freeIfIdle();
  }

  #freeIfIdle(): void {
    if (!this.#isClosed || this.#isWriting || this.#searches > 0 || this.#readers > 0) return;
    // hnswlib-node gives memory back when the object is collected, or makes another index.
    this.#graph.initIndex(1, 2, 2);
  }
}
