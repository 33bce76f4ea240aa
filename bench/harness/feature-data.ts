import { aggregate } from '../../src/features/aggregations.js';
import { batchView, entity, featureService, streamView } from '../../src/features/definitions.js';
import { feature } from '../../src/features/feature-types.js';
import { materialize } from '../../src/features/materialize.js';
import { rowsSource } from '../../src/features/row-sources.js';
import type { OnlineStore } from '../../src/features/store.js';
import { StreamWriter } from '../../src/features/stream.js';
import { Random } from '../../src/index.js';

const HOUR = 3_600_000;
const NUMBERS = Array.from({ length: 11 }, (_, at) => `number${at}` as const);

const track = entity('track', { keys: 'integer' });

/** 14 features that are computed ahead. */
export const profile = batchView({
  name: 'track_profile',
  entity: track,
  ttlMs: 720 * HOUR,
  features: {
    ...(Object.fromEntries(NUMBERS.map((name) => [name, feature.f32()])) as Record<
      (typeof NUMBERS)[number],
      ReturnType<typeof feature.f32>
    >),
    year: feature.i32({ default: 2000 }),
    explicit: feature.bool(),
    artist: feature.i32(),
  },
});

/** 6 features that events add up to. */
export const recent = streamView({
  name: 'track_recent',
  entity: track,
  ttlMs: 720 * HOUR,
  event: { listener: feature.f64(), seconds: feature.f32() },
  features: {
    plays_1h: aggregate.count(HOUR, { buckets: 12 }),
    plays_24h: aggregate.count(24 * HOUR, { buckets: 24 }),
    seconds_1h: aggregate.sum('seconds', HOUR, { buckets: 12 }),
    seconds_24h: aggregate.sum('seconds', 24 * HOUR, { buckets: 24 }),
    popularity: aggregate.decayed(6 * HOUR),
    listeners: aggregate.last('listener', 5),
  },
});

export const ranker = featureService({ name: 'ranker', version: 1, views: [profile, recent] });

/** A row of values for each track. */
export function profileRows(tracks: number, time: number): Record<string, unknown>[] {
  const random = new Random(1);
  return Array.from({ length: tracks }, (_, id) => ({
    track: id,
    event_time: time,
    ...Object.fromEntries(NUMBERS.map((name) => [name, random.gaussian()])),
    year: 1950 + random.below(75),
    explicit: random.below(2) === 1,
    artist: random.below(5000),
  }));
}

/** Loads a store with profiles and plays of the last hours, most of them of few tracks. */
export async function fillStore(store: OnlineStore, tracks: number, now: number): Promise<void> {
  await materialize(profile, store, { source: rowsSource(profileRows(tracks, now - HOUR)) });
  const writer = await StreamWriter.open(recent, store);
  const random = new Random(2);
  const events = Array.from({ length: tracks * 4 }, (_, at) => ({
    key: Math.floor(tracks * random.uniform() ** 2),
    time: now - HOUR * (6 - (6 * at) / (tracks * 4)),
    fields: { listener: random.below(100_000), seconds: 30 + 200 * random.uniform() },
  }));
  for (let at = 0; at < events.length; at += 5000) await writer.ingest(events.slice(at, at + 5000));
}

/** Tracks that a request is about: a hundred different ones, popular ones more often. */
export function requestedTracks(random: Random, tracks: number, count: number): number[] {
  const chosen = new Set<number>();
  while (chosen.size < count) chosen.add(Math.floor(tracks * random.uniform() ** 2));
  return [...chosen];
}
