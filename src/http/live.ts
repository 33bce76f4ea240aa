import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Recommender, RecommenderStatistics } from '../serving/recommender.js';
import { RecentLatency, type LatencyPercentiles } from '../serving/recent-latency.js';

/** Statistics of a service with what the page shows besides. */
export interface LiveStatistics extends Omit<RecommenderStatistics, 'canary'> {
  readonly canary: {
    readonly recall: number | null;
    readonly samples: number;
    readonly skipped: number;
  };
  /** Of each step, of the last seconds. */
  readonly recentStages: Readonly<Record<string, LatencyPercentiles>>;
  /** Steps that did less than they should, lately: the newest first. */
  readonly degradations: readonly Degradation[];
  /** Answers by what of them was kept. */
  readonly cacheUse: Readonly<Record<string, number>>;
  readonly uptimeMs: number;
  readonly memoryBytes: number;
  /** 99th percentile, since the last time that it was asked for. */
  readonly eventLoopDelayMs: number;
  /** Of this process's clock, so that rates can be told from differences. */
  readonly atMs: number;
}

interface Degradation {
  readonly step: string;
  readonly outcome: string;
  readonly reason: string;
  /** How often, of the last requests that were degraded. */
  count: number;
}

const MOST_REASONS = 20;

/** Watches a service for its page. */
export class LiveView {
  readonly #recommender: Recommender;
  readonly #stages = new Map<string, RecentLatency>();
  readonly #degradations: Degradation[] = [];
  readonly #cacheUse: Record<string, number> = {};
  readonly #delay = monitorEventLoopDelay({ resolution: 10 });
  readonly #stop: () => void;

  constructor(recommender: Recommender) {
    this.#recommender = recommender;
    this.#delay.enable();
    this.#stop = recommender.observe(({ steps, cache, outcome }) => {
      if (cache !== undefined) this.#cacheUse[cache] = (this.#cacheUse[cache] ?? 0) + 1;
      for (const { name, ms, outcome: done } of steps) {
        if (done === 'skipped') continue;
        let recent = this.#stages.get(name);
        if (recent === undefined) this.#stages.set(name, (recent = new RecentLatency()));
        recent.add(ms);
      }
      if (outcome !== 'degraded') return;
      for (const { name, outcome: done, reason } of steps) {
        if (done !== 'full')
          this.#degraded(name, done, reason ?? 'fewer candidates than there should be');
      }
    });
  }

  stats(): LiveStatistics {
    const { canary, ...stats } = this.#recommender.stats();
    const delay = this.#delay.count > 0 ? this.#delay.percentile(99) / 1e6 : 0;
    this.#delay.reset();
    return {
      ...stats,
      canary: { ...canary, recall: Number.isNaN(canary.recall) ? null : canary.recall },
      recentStages: Object.fromEntries(
        [...this.#stages].map(([name, recent]) => [name, recent.percentiles()]),
      ),
      degradations: this.#degradations,
      cacheUse: { ...this.#cacheUse },
      uptimeMs: process.uptime() * 1000,
      memoryBytes: process.memoryUsage.rss(),
      eventLoopDelayMs: delay,
      atMs: performance.now(),
    };
  }

  close(): void {
    this.#stop();
    this.#delay.disable();
  }

  /** Reasons differ in the milliseconds that they tell. */
  #degraded(step: string, outcome: string, told: string): void {
    const reason = told.replace(/\d+(\.\d+)?/g, 'n');
    const at = this.#degradations.findIndex(
      (one) => one.step === step && one.outcome === outcome && one.reason === reason,
    );
    const entry = at < 0 ? { step, outcome, reason, count: 0 } : this.#degradations[at]!;
    if (at >= 0) this.#degradations.splice(at, 1);
    entry.count++;
    this.#degradations.unshift(entry);
    this.#degradations.length = Math.min(this.#degradations.length, MOST_REASONS);
  }
}
