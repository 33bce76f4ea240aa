import { ENTRY_COST } from '../cache/byte-cache.js';
import { meanInterval } from '../evaluation/statistics.js';
import { replayedHits } from './cacheability.js';
import type { Design, ResultCacheDesign } from './design.js';
import type { DesignMeasurement } from './design-bench.js';
import { networkBytes, quantile } from './fan-out.js';
import { resolveDemand, sizeFleets, type Demand, type Fleet, type ServedWork } from './fleet.js';
import type { PriceTable } from './prices.js';
import type { Trace } from './trace.js';

/** What a design costs. */
export interface DesignCost {
  /** Processor time of a request on average, caches taken into account, in microseconds. */
  readonly processorUs: number;
  /** Where that lies with 95% confidence. */
  readonly processorRange: readonly [number, number];
  /** Of a request that no cache answers, without any waiting, in milliseconds: the percentile of the demand. */
  readonly aloneMs: number;
  /** Share of the requests that the cache of results answers. */
  readonly hitRatio: number;
  /** Bytes of memory of the index. */
  readonly indexBytes: number;
  /** Bytes of memory of all that a machine needs. */
  readonly machineBytes: number;
  /** Of the processor time of a million requests, at the utilization of the demand, on the machine where it is cheapest. */
  readonly usdPerMillion: number;
  /** The cheapest fleet that bears the demand; undefined if there is none. */
  readonly fleet: Fleet | undefined;
  /** Why there is none. */
  readonly reason: string | undefined;
}

/** What costs depend on beside the design. */
export interface CostContext {
  readonly demand: Demand;
  readonly prices: PriceTable;
  readonly k: number;
  readonly trace: Trace | undefined;
  /** What a batch of so many users costs the encoder, in microseconds; undefined without one. */
  readonly encodeUs: ReadonlyMap<number, number> | undefined;
  /** What a request costs beside search, ranker and encoder, in microseconds. */
  readonly overheadUs: number;
  /** Memory of a machine beside index and caches. */
  readonly fixedBytes: number;
}

const GIB = 2 ** 30;

/** Derives costs of designs, and keeps what the trace says of caches. */
export class DesignCosts {
  private readonly hits = new Map<string, number>();

  constructor(private readonly context: CostContext) {}

  of(design: Design, measured: DesignMeasurement, indexBytes: number): DesignCost {
    const { demand, prices, k, encodeUs, overheadUs, fixedBytes } = this.context;
    const { percentile, utilization, memoryShare, qps } = resolveDemand(demand);
    const { batch, cache } = design;
    const hitRatio = this.hitRatio(cache);
    const batchUs = encodeUs?.get(batch) ?? 0;
    const missesUs = measured.searchUs.map(
      (us, at) => us + measured.rankUs[at]! + batchUs / batch + overheadUs,
    );
    const misses = meanInterval(missesUs, [0, Infinity]);
    const withHits = (us: number) => (1 - hitRatio) * us + hitRatio * overheadUs;
    const processorUs = withHits(misses.mean);
    // Those that a cache answers, in their share.
    const hits = Math.round((missesUs.length * hitRatio) / Math.max(1e-3, 1 - hitRatio));
    const serviceUs = [...missesUs, ...Array.from({ length: hits }, () => overheadUs)];
    const cacheBytes = cache.entries * (12 * k + ENTRY_COST);
    const machineBytes = indexBytes + fixedBytes + cacheBytes;
    // A batch takes all of its time for each of its users, and fills while requests come to one machine of a usual size.
    const perMachine = Math.min(qps, (4e6 * utilization) / processorUs) * (1 - hitRatio);
    const fillUs = batch > 1 ? ((batch - 1) / perMachine) * 1e6 : 0;
    const besideUs = batchUs - batchUs / batch + fillUs;
    const work: ServedWork = {
      ...{ bytes: indexBytes, fixedBytes: fixedBytes + cacheBytes, mostShards: 64, besideUs },
      serviceUs: () => serviceUs,
      gatewayUs: (shards) => (shards === 1 ? 0 : overheadUs),
      networkBytes: (shards) => networkBytes(shards, { dim: design.dim, k }).total,
    };
    const { fleets, unfit } = sizeFleets(work, demand, prices);
    const usd = prices.machines
      .filter(({ memoryGiB }) => memoryGiB * GIB * memoryShare >= machineBytes)
      .map(({ usdPerHour, vcpus, speed = 1 }) => usdPerHour / (vcpus * speed));
    const usdPerCore = usd.length > 0 ? Math.min(...usd) : Infinity;
    const alone = Float64Array.from(missesUs).sort();
    return {
      ...{ processorUs, hitRatio, indexBytes, machineBytes },
      processorRange: [withHits(misses.low), withHits(misses.high)],
      aloneMs: (quantile(alone, percentile / 100) + besideUs) / 1000,
      usdPerMillion: (processorUs * usdPerCore) / (3600 * utilization),
      fleet: fleets[0],
      reason: fleets.length > 0 ? undefined : commonest(unfit.map(({ reason }) => reason)),
    };
  }

  private hitRatio({ entries, ttlMs }: ResultCacheDesign): number {
    const { trace } = this.context;
    if (entries === 0 || trace === undefined) return 0;
    const key = `${entries} ${ttlMs}`;
    const known = this.hits.get(key);
    if (known !== undefined) return known;
    const hits = replayedHits(trace, { entries, ttlMs });
    this.hits.set(key, hits);
    return hits;
  }
}

function commonest(reasons: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].reduce((best, one) => (one[1] > best[1] ? one : best), ['', 0] as const)[0];
}
