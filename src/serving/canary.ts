import { withinTime } from '../cache/within-time.js';
import type { Key, KeysInput, KeysOf } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import type { Where } from '../index/where.js';
import type { DeploymentSearch } from './deployment.js';
import { bothHold } from './grouped-search.js';

/** A search that was answered, to be answered again exactly. */
export interface CanarySample<K extends Key> {
  readonly lease: { use<R>(request: (value: { readonly index: VectorIndex<K> }) => R): R };
  readonly vector: Float32Array;
  readonly where: Where | undefined;
  readonly exclude: KeysInput<K> | undefined;
  /** What was found, best first, and how many should have been. Default: as many. */
  readonly keys: KeysOf<K>;
  readonly k?: number | undefined;
  /** How all searches are done. */
  readonly search?: DeploymentSearch | undefined;
}

/** How much of what is nearest searches found lately; of several that are as near, others than those found count as missed. */
export interface CanaryStatistics {
  /** Mean of the latest samples, up to 1,000; NaN if there are none. */
  readonly recall: number;
  /** Samples answered exactly so far. */
  readonly samples: number;
  /** Samples that there was no time for, or whose index was replaced. */
  readonly skipped: number;
}

const MOST_WAITING = 16;
const MOST_RECENT = 1000;
const POLL_MS = 25;
/** At most this share of the time is spent on exact searches. */
const DUTY = 0.05;
const MOST_MS = 10_000;

/**
 * Measures recall while a service runs: a share of its searches is answered once more exactly, when there is little else
 * to do, and compared.
 */
export class RecallCanary<K extends Key> {
  readonly #waiting: CanarySample<K>[] = [];
  readonly #recent = new Float64Array(MOST_RECENT);
  readonly #ending = new AbortController();
  #credit = 0;
  #samples = 0;
  #skipped = 0;
  #work: Promise<void> | undefined;

  /** @param share of the searches. @param isIdle whether there is little else to do. */
  constructor(
    private readonly share: number,
    private readonly isIdle: () => boolean,
  ) {}

  /** Whether the next search is to be offered: asked once for each. */
  wants(): boolean {
    this.#credit += this.share;
    if (this.#credit < 1) return false;
    this.#credit -= 1;
    return true;
  }

  offer(sample: CanarySample<K>): void {
    if (this.#ending.signal.aborted || sample.keys.length === 0) return;
    if (this.#waiting.length >= MOST_WAITING) {
      this.#skipped++;
      return;
    }
    this.#waiting.push(sample);
    this.#work ??= this.#answerAll().finally(() => (this.#work = undefined));
  }

  stats(): CanaryStatistics {
    const recent = this.#recent.subarray(0, Math.min(this.#samples, MOST_RECENT));
    const recall = recent.reduce((sum, one) => sum + one, 0) / recent.length;
    return { recall, samples: this.#samples, skipped: this.#skipped };
  }

  /** Gives up what waits and what is at work. */
  async close(): Promise<void> {
    this.#ending.abort();
    this.#waiting.length = 0;
    await this.#work;
  }

  async #answerAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#pause(POLL_MS);
      if (!this.isIdle()) continue;
      const sample = this.#waiting.shift();
      if (sample === undefined) break;
      const started = performance.now();
      try {
        const recall = await withinTime(
          sample.lease.use(async ({ index }) => this.#recallOf(sample, index)),
          MOST_MS,
          () => new Error('an exact search took too long'),
        );
        this.#recent[this.#samples++ % MOST_RECENT] = recall;
      } catch {
        // Replaced and closed meanwhile, or the service is.
        this.#skipped++;
      }
      await this.#pause((performance.now() - started) * (1 / DUTY - 1));
    }
  }

  async #recallOf(
    { vector, exclude, keys, search, ...sample }: CanarySample<K>,
    index: VectorIndex<K>,
  ): Promise<number> {
    const where = bothHold(search?.where, sample.where);
    const exact = await index.search(vector, {
      ...search,
      ...{ ef: undefined, recall: undefined, exact: true, threads: 1 },
      ...{ k: sample.k ?? keys.length, signal: this.#ending.signal },
      ...(where !== undefined && { where }),
      ...(exclude !== undefined && { exclude }),
    });
    const found = new Set<unknown>(keys as ArrayLike<unknown> as unknown[]);
    const nearest = [...(exact.keys as Iterable<unknown>)];
    return nearest.filter((key) => found.has(key)).length / Math.max(1, nearest.length);
  }

  /** Ends early when the service is closed. */
  async #pause(ms: number): Promise<void> {
    const { signal } = this.#ending;
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, ms).unref();
      signal.addEventListener('abort', end);
    });
  }
}
