import type { Report, ReportPoint } from '../evaluation/report.js';
import type { CodesignResult, DesignResult } from './codesign.js';
import type { Demand } from './fleet.js';
import { resolveDemand } from './fleet.js';

/** What a report of {@link codesign} is told beside the result. */
export interface CodesignReportContext {
  /** The heading. */
  readonly title: string;
  /** What was asked for. */
  readonly demand: Demand;
  /** Results a request. */
  readonly k: number;
  /** The least share of the best nDCG. */
  readonly minQuality: number;
  /** What was measured, with which settings. */
  readonly facts: Readonly<Record<string, string | number>>;
  /** Where prices come from. */
  readonly prices: {
    /** The day that they are of. */
    readonly asOf: string;
    /** Where they come from. */
    readonly source: string;
  };
}

const FRONT = 'front';

/**
 * The search for a design as a page.
 *
 * @example
 * const result = await codesign(codesignOptions);
 * await writeReport('design.html', codesignReport(result, reportContext));
 */
export function codesignReport(result: CodesignResult, context: CodesignReportContext): Report {
  const { demand, k, prices } = context;
  const { qps, sloMs, percentile, utilization } = resolveDemand(demand);
  const ndcg = `nDCG@${k}`;
  return {
    title: context.title,
    summary: codesignSummary(result, context),
    facts: {
      ...context.facts,
      demand: `${qps.toLocaleString('en-US')} requests a second, p${percentile} within ${sloMs} ms`,
      designs: `${result.tried} of ${result.designs} tried`,
      rungs: result.rungs
        .map(({ designs, requests }) => `${designs} designs, ${requests} requests`)
        .join('; '),
      prices: `${prices.source}, as of ${prices.asOf}`,
    },
    axes: [
      { key: 'usd', label: '$ a million requests', better: 'lower', log: true },
      { key: 'ndcg', label: ndcg, better: 'higher', digits: 4 },
      { key: 'ofBest', label: '% of the best', better: 'higher', digits: 1 },
      { key: 'processor', label: 'processor µs a request', better: 'lower', log: true, digits: 0 },
      { key: 'alone', label: `p${percentile} ms without waiting`, better: 'lower', log: true },
      { key: 'bytes', label: 'MiB of index', better: 'lower', log: true, digits: 2 },
      { key: 'hits', label: '% of hits', better: 'higher', digits: 1 },
      { key: 'month', label: '$ a month', better: 'lower', log: true, digits: 0 },
    ],
    // By shares of the best, which compare over other requests too.
    ...{ x: 'usd', y: 'ofBest', sorted: true },
    loose: [...new Set(result.results.map(seriesOf))].filter((name) => name !== FRONT),
    points: result.results.map(pointOf),
    notes: [
      `${ndcg}: mean over the requests that a design served, in brackets its 95% confidence interval; designs that were left behind early served few. % of the best: by the same requests, with the interval of a paired bootstrap.`,
      `$ a million requests: processor time at ${Math.round(100 * utilization)}% utilization, on the machine where it is cheapest and there is room. $ a month: whole machines, with the replicas that availability asks for.`,
      'All designs served the same requests, in turns, one at a time, on this machine; the first requests of each do not count. Latency without waiting is of one request alone; fleets were sized so that it keeps to the SLO with the queue.',
      'Caches: hits by replaying the trace through lichen’s cache. What stale results do to quality is not measured.',
    ],
  };
}

function pointOf(one: DesignResult): ReportPoint {
  const percent = (share: number) => 100 * share;
  return {
    series: seriesOf(one),
    label: one.name,
    values: {
      usd: one.usdPerMillion,
      ndcg: one.ndcg.mean,
      ofBest: percent(one.ofBest.mean),
      processor: one.processorUs,
      alone: one.aloneMs,
      bytes: one.indexBytes / 2 ** 20,
      hits: percent(one.hitRatio),
      ...(one.fleet && { month: one.fleet.usdPerMonth }),
    },
    ranges: {
      ndcg: [one.ndcg.low, one.ndcg.high],
      ofBest: [percent(one.ofBest.low), percent(one.ofBest.high)],
      processor: one.processorRange,
    },
    texts: {
      verdict: one.verdict,
      requests: String(one.requests),
      machines: one.fleet ? `${one.fleet.machines} x ${one.fleet.machine.name}` : 'none',
      why: one.reason,
    },
    isChosen: one.verdict === 'chosen',
  };
}

/** A series for the front, and one for each group of those that came as far. */
function seriesOf({ verdict, requests }: DesignResult): string {
  return verdict === 'rejected' ? `rejected, ${requests} requests` : FRONT;
}

/**
 * The case in sentences: the best by accuracy, what it would cost, what is given up for the chosen one.
 *
 * @example
 * const result = await codesign(codesignOptions);
 * for (const sentence of codesignSummary(result, reportContext)) console.log(sentence);
 */
export function codesignSummary(
  { best, whole, chosen, saved, report }: CodesignResult,
  { k, minQuality, demand }: CodesignReportContext,
): string[] {
  const { sloMs, percentile } = resolveDemand(demand);
  const ndcg = `nDCG@${k}`;
  const ms = (value: number) => Number(value.toPrecision(3)).toLocaleString('en-US');
  const interval = (
    { mean, low, high }: { mean: number; low: number; high: number },
    digits: number,
  ) => `${mean.toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`;
  const costOf = ({ aloneMs, fleet, processorUs, processorRange }: DesignResult) => {
    const alone = `p${percentile} ${ms(aloneMs)} ms without any waiting`;
    const [low, high] = processorRange;
    const each = `${ms(processorUs / 1000)} (${ms(low / 1000)} to ${ms(high / 1000)}) ms of a processor a request`;
    if (fleet === undefined)
      return `${each}; it cannot be served: ${alone}, the SLO is ${sloMs} ms`;
    const usd = Math.round(fleet.usdPerMonth).toLocaleString('en-US');
    return `${each}; ${fleet.machines} x ${fleet.machine.name}, ${usd} $ a month (${alone})`;
  };
  const over = (one: DesignResult) =>
    `${one.name}: ${ndcg} ${interval(one.ndcg, 4)} over ${one.requests} requests`;
  const lines = [`The best by ${ndcg} alone is ${over(best)}; ${costOf(best)}.`];
  if (whole !== undefined && whole !== best) {
    lines.push(
      `What the ranker would do without any search before it, ${over(whole)}, ${(100 * whole.ofBest.mean).toFixed(1)}% of the best; ${costOf(whole)}.`,
    );
  }
  if (chosen === undefined) {
    return [...lines, `No design keeps to all constraints with ${100 * minQuality}% of that.`];
  }
  const factors = [
    ...(saved!.ofWhole === undefined
      ? []
      : [`${ms(saved!.ofWhole)} beside the ranker over all items`]),
    ...(chosen === best || whole === best ? [] : [`${ms(saved!.ofBest)} beside the best`]),
  ];
  lines.push(
    `The cheapest that keeps at least ${100 * minQuality}% of the best within all constraints is ${over(chosen)}, ${(100 * chosen.ofBest.mean).toFixed(1)}% of the best (${(100 * chosen.ofBest.low).toFixed(1)} to ${(100 * chosen.ofBest.high).toFixed(1)}); ${costOf(chosen)}, ${ms(chosen.usdPerMillion)} $ of processor a million requests.` +
      (factors.length > 0
        ? ` It saves a factor of ${factors.join(', and of ')} in processor time.`
        : ''),
  );
  if (report !== undefined) {
    const percent = {
      mean: 100 * report.ofBest.mean,
      low: 100 * report.ofBest.low,
      high: 100 * report.ofBest.high,
    };
    lines.push(
      `On ${report.requests} requests that had no part in choosing: ${interval(report.chosen, 4)}, the best ${interval(report.best, 4)}; ${interval(percent, 1)}% of it.`,
    );
  }
  return lines;
}
