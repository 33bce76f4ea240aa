import { LichenArgumentError, shown } from '../errors.js';

/** The metrics an index can rank by, in the order they are documented. */
export const METRICS = Object.freeze(['dot', 'cosine', 'l2'] as const);

/**
 * How a query is compared with a row. Scores of `dot` and `cosine`: higher is better; the score of `l2` is the
 * squared distance, lower is better.
 */
export type Metric = (typeof METRICS)[number];

/** Whether a higher score is better under the metric. */
export function higherIsBetter(metric: Metric): boolean {
  return metric !== 'l2';
}

/**
 * The metric named by a text; ERR_LICHEN_ARGUMENT naming the known ones otherwise.
 *
 * @example
 * const metric = parseMetric(process.env['METRIC'] ?? 'dot'); // 'dot', 'cosine' or 'l2'
 */
export function parseMetric(text: unknown): Metric {
  const found = METRICS.find((metric) => metric === text);
  if (found === undefined) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `metric is one of ${METRICS.join(', ')}, got ${shown(text)}`,
    );
  }
  return found;
}
