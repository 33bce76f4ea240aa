import type { Report } from './report.js';
import type { Spread } from './statistics.js';
import type { SweepPoint, SweepResult } from './sweep.js';

/**
 * The points of a sweep for {@link reportHtml}.
 *
 * @example
 * const result = await sweep(sweepOptions);
 * await writeReport('sweep.html', sweepReport(result, 'Items'));
 */
export function sweepReport(result: SweepResult, title: string): Report {
  const { rows, dim, metric, queries, k, rounds, utilization, points } = result;
  const recall = `recall@${k}`;
  const share = `${Math.round(100 * utilization)}%`;
  return {
    title,
    summary: [
      `${points.length} points, each measured in ${rounds} rounds; ${points.filter(({ isFastest }) => isFastest).length} of them no other beats in both recall and speed.`,
    ],
    facts: {
      vectors: `${rows.toLocaleString('en-US')} of dim ${dim}, ${metric}`,
      ...{ queries, k, rounds },
    },
    axes: [
      { key: 'recall', label: recall, better: 'higher', digits: 4 },
      { key: 'qps', label: 'queries a second', better: 'higher', log: true, digits: 0 },
      { key: 'p50', label: 'p50 µs', better: 'lower', log: true, digits: 1 },
      { key: 'p99', label: 'p99 µs', better: 'lower', log: true, digits: 1 },
      { key: 'loaded', label: `p99 µs at ${share} load`, better: 'lower', log: true, digits: 1 },
      { key: 'bytes', label: 'bytes a vector', better: 'lower', digits: 0 },
      { key: 'build', label: 'build seconds', better: 'lower', log: true, digits: 2 },
    ],
    x: 'recall',
    y: 'qps',
    points: points.map((point) => ({
      series: seriesOf(point),
      label: pointLabel(point),
      values: {
        ...{ recall: point.recall.mean, qps: point.qps.median, p50: point.p50us.median },
        ...{ p99: point.p99us.median, loaded: point.loadedP99us.median },
        ...{ bytes: point.bytesPerVector, build: point.buildSeconds },
      },
      ranges: {
        recall: [point.recall.low, point.recall.high],
        ...{ qps: ends(point.qps), p50: ends(point.p50us), p99: ends(point.p99us) },
        loaded: ends(point.loadedP99us),
      },
      texts: {
        'on front': [point.isFastest && 'speed', point.isSmallest && 'bytes']
          .filter((text) => text !== false)
          .join(', '),
      },
    })),
    notes: [
      `recall@${k}: share of the exact ${k} nearest found, ties by exact scores; in brackets its 95% confidence interval over the queries.`,
      `Speed and latency: one query at a time on one thread, the same queries in the same order for all, ${rounds} rounds in turns; the median, in brackets the least and the greatest. The first searches of each do not count.`,
      `p99 at ${share} load: what callers who come at random would see, waiting included, were one thread used at ${share} of its capacity, from the times measured in their order; so a pause is felt by all who come during it.`,
      'Builds are timed once. Bytes: memory of lichen by its own count; of other libraries the size of their files.',
    ],
  };
}

function seriesOf({ name, oversample }: SweepPoint): string {
  return oversample === undefined ? name : `${name} x${oversample}`;
}

/** The index with its beam, in words. */
export function pointLabel(point: SweepPoint): string {
  return seriesOf(point) + (point.ef === undefined ? '' : ` ef ${point.ef}`);
}

function ends({ min, max }: Spread): [number, number] {
  return [min, max];
}
