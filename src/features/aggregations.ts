import { shown } from '../errors.js';
import { badArgument } from '../cache/cache-limits.js';
import { feature, type ListFeature, type NumberFeature } from './feature-types.js';

/** How events add up to a feature. */
export type Aggregation = WindowAggregation | DecayedAggregation | LastAggregation;

/** The number of events of the last so many milliseconds, or the sum of what they say. */
export interface WindowAggregation {
  /** Tells the kinds apart. */
  readonly how: 'window';
  /** Undefined: each event counts 1. */
  readonly field: string | undefined;
  /** Milliseconds that it reaches back. */
  readonly windowMs: number;
  /** Events are added up by periods of so many milliseconds, counted from 1970: the window moves by these. */
  readonly bucketMs: number;
  /** What the feature is. */
  readonly type: NumberFeature<'f64'>;
}

/** A sum in which an event counts half as much every half-life. */
export interface DecayedAggregation {
  /** Tells the kinds apart. */
  readonly how: 'decayed';
  /** Undefined: each event counts 1. */
  readonly field: string | undefined;
  /** Milliseconds after which an event counts half as much. */
  readonly halfLifeMs: number;
  /** What the feature is. */
  readonly type: NumberFeature<'f64'>;
}

/** What the latest events say, the latest first. */
export interface LastAggregation {
  /** Tells the kinds apart. */
  readonly how: 'last';
  /** What of an event is kept. */
  readonly field: string;
  /** What the feature is. */
  readonly type: ListFeature;
}

export type FeatureOfAggregation<A extends Aggregation> = A['type'];

const MOST_BUCKETS = 10_000;

function window(
  field: string | undefined,
  windowMs: number,
  { buckets = 60 }: { buckets?: number } = {},
): WindowAggregation {
  requirePositive('windowMs', windowMs);
  if (!(Number.isInteger(buckets) && buckets >= 1 && buckets <= MOST_BUCKETS)) {
    throw badArgument(
      `buckets must be a whole number in 1..${MOST_BUCKETS}, got ${shown(buckets)}`,
    );
  }
  const bucketMs = windowMs / buckets;
  return Object.freeze({ how: 'window', field, windowMs, bucketMs, type: feature.f64() });
}

/** Makes aggregations, the features of a stream view. */
export const aggregate = {
  /** The number of events of the last `windowMs` milliseconds, which moves in steps of a 60th of that (`buckets`). */
  count(windowMs: number, options?: { buckets?: number }): WindowAggregation {
    return window(undefined, windowMs, options);
  },
  /** The sum of a field over the events of the last `windowMs` milliseconds. */
  sum(field: string, windowMs: number, options?: { buckets?: number }): WindowAggregation {
    return window(field, windowMs, options);
  },
  /** A field of the last `count` events, the latest first. */
  last(field: string, count: number): LastAggregation {
    return Object.freeze({ how: 'last', field, type: feature.list(count) });
  },
  /** A count (or a sum of a field) in which each event counts half as much every `halfLifeMs` milliseconds. */
  decayed(halfLifeMs: number, options: { field?: string } = {}): DecayedAggregation {
    requirePositive('halfLifeMs', halfLifeMs);
    return Object.freeze({ how: 'decayed', field: options.field, halfLifeMs, type: feature.f64() });
  },
} as const;

function requirePositive(name: string, value: number): void {
  if (typeof value === 'number' && value > 0 && value < Infinity) return;
  throw badArgument(`${name} must be a number of milliseconds above 0, got ${shown(value)}`);
}
