import { aggregate } from '../../src/features/aggregations.js';
import { batchView, entity, streamView } from '../../src/features/definitions.js';
import { feature } from '../../src/features/feature-types.js';
import { rowsSource } from '../../src/features/row-sources.js';
import type { BatchSource } from '../../src/features/source.js';

export const NOW = 1_700_000_000_000;
export const ROWS = 60_000;
export const TRACKS = 50;
const track = entity('track', { keys: 'integer' });

export const profile = batchView({
  name: 'profile',
  entity: track,
  ttlMs: 1e9,
  features: { value: feature.f64() },
});

export const plays = streamView({
  name: 'plays',
  entity: track,
  ttlMs: 1e9,
  event: { amount: feature.f64() },
  features: { count: aggregate.count(1e8), sum: aggregate.sum('amount', 1e8) },
});

export function loadedRows(): BatchSource {
  return rowsSource(
    Array.from({ length: ROWS }, (_, key) => ({ track: key, event_time: NOW, value: key * 2 })),
  );
}

/** Events without ids: counted twice they would show. */
export function playBatch(at: number) {
  return Array.from({ length: 5 }, (_, i) => ({
    key: (at * 5 + i) % TRACKS,
    time: NOW,
    fields: { amount: at },
  }));
}
