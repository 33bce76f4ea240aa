import type { FeatureFrame, OnlineStore } from '../../src/index.js';
import { Random } from '../../src/index.js';
import type { Lichen } from './compiled.js';

const HOUR = 3_600_000;
const NUMBERS = Array.from({ length: 11 }, (_, at) => `number${at}` as const);

export type FeatureData = ReturnType<typeof featureData>;
export type BenchFrame = FeatureFrame<FeatureData['ranker']['views']>;

/** Features of tracks: 14 that are computed ahead, 6 that events add up to. */
export function featureData({
  aggregate,
  batchView,
  entity,
  feature,
  featureService,
  streamView,
}: Lichen) {
  const track = entity('track', { keys: 'integer' });
  const profile = batchView({
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
  const recent = streamView({
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
  const ranker = featureService({ name: 'ranker', version: 1, views: [profile, recent] });
  return { profile, recent, ranker };
}

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
export async function fillStore(
  { materialize, rowsSource, StreamWriter }: Lichen,
  { profile, recent }: FeatureData,
  store: OnlineStore,
  tracks: number,
): Promise<void> {
  const now = Date.now();
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
