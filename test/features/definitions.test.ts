import { describe, expect, expectTypeOf, it } from 'vitest';
import { aggregate } from '../../src/features/aggregations.js';
import {
  batchView,
  entity,
  featureService,
  onDemandView,
  streamView,
} from '../../src/features/definitions.js';
import { feature, type ListColumn } from '../../src/features/feature-types.js';
import type { FeatureFrame, FrameKeys } from '../../src/features/frame.js';
import type { Matrix } from '../../src/vectors/matrix.js';

const track = entity('track', { keys: 'integer' });
const user = entity('user', { keys: 'string' });
const profile = batchView({
  name: 'profile',
  entity: track,
  ttlMs: 1000,
  features: {
    length: feature.f32(),
    year: feature.i32(),
    title: feature.text(),
    vector: feature.vector(4),
    live: feature.bool(),
  },
});
const plays = streamView({
  name: 'plays',
  entity: user,
  ttlMs: 1000,
  event: { track: feature.f64() },
  features: { hour: aggregate.count(3_600_000), last: aggregate.last('track', 3) },
});
const fresh = onDemandView({
  name: 'fresh',
  request: { year: feature.i32() },
  uses: [profile],
  features: { age: feature.f32() },
  compute: ({ request, features }) => ({ age: request.year - features.profile.year }),
});

describe('definitions of features', () => {
  it('say what type each column is', () => {
    const service = featureService({ name: 's', version: 1, views: [profile, plays, fresh] });
    type Frame = FeatureFrame<(typeof service)['views']>;
    expectTypeOf<Frame['columns']['profile']['length']>().toEqualTypeOf<Float32Array>();
    expectTypeOf<Frame['columns']['profile']['year']>().toEqualTypeOf<Int32Array>();
    expectTypeOf<Frame['columns']['profile']['title']>().toEqualTypeOf<string[]>();
    expectTypeOf<Frame['columns']['profile']['vector']>().toEqualTypeOf<Matrix>();
    expectTypeOf<Frame['columns']['profile']['live']>().toEqualTypeOf<Uint8Array>();
    expectTypeOf<Frame['columns']['plays']['hour']>().toEqualTypeOf<Float64Array>();
    expectTypeOf<Frame['columns']['plays']['last']>().toEqualTypeOf<ListColumn>();
    expectTypeOf<Frame['columns']['fresh']['age']>().toEqualTypeOf<Float32Array>();
    type Keys = FrameKeys<(typeof service)['views']>;
    expectTypeOf<Keys>().toEqualTypeOf<{
      readonly track: readonly number[];
      readonly user: readonly string[];
    }>();
    expect(service.views).toHaveLength(3);
  });

  it('have a signature that changes with anything that a model would notice', () => {
    const signature = (features: Parameters<typeof batchView>[0]['features'], version = 1) =>
      featureService({
        name: 's',
        version: 1,
        views: [batchView({ name: 'v', entity: track, ttlMs: 1, features, version })],
      }).signature;
    const signatures = [
      signature({ a: feature.f32() }),
      signature({ b: feature.f32() }),
      signature({ a: feature.f64() }),
      signature({ a: feature.f32({ default: 1 }) }),
      signature({ a: feature.f32() }, 2),
      signature({ a: feature.vector(2) }),
      signature({ a: feature.vector(3) }),
    ];
    expect(new Set(signatures).size).toBe(signatures.length);
    expect(signature({ a: feature.f32() })).toBe(signatures[0]);
  });

  const bad = { code: 'ERR_LICHEN_ARGUMENT' };
  it.each([
    ['an empty name', () => entity('', { keys: 'integer' })],
    ['a name of objects themselves', () => entity('__proto__', { keys: 'integer' })],
    ['a name with a colon', () => entity('a:b', { keys: 'integer' })],
    ['keys of no kind', () => entity('a', { keys: 'uuid' as 'string' })],
    ['no features', () => batchView({ name: 'v', entity: track, ttlMs: 1, features: {} })],
    [
      'a TTL of 0',
      () => batchView({ name: 'v', entity: track, ttlMs: 0, features: { a: feature.f32() } }),
    ],
    [
      'a version of 0',
      () =>
        batchView({
          name: 'v',
          entity: track,
          ttlMs: 1,
          version: 0,
          features: { a: feature.f32() },
        }),
    ],
    ['a default that is no number', () => feature.f32({ default: NaN })],
    ['a default out of range', () => feature.i32({ default: 2 ** 31 })],
    ['a default of another length', () => feature.vector(3, { default: [1, 2] })],
    ['a default longer than the list', () => feature.list(1, { default: [1, 2] })],
    ['a dimension of 0', () => feature.vector(0)],
    ['a window of 0', () => aggregate.count(0)],
    ['half a bucket', () => aggregate.count(10, { buckets: 0.5 })],
    [
      'a sum of a field that events do not have',
      () =>
        streamView({
          name: 'v',
          entity: user,
          ttlMs: 1,
          event: { a: feature.f64() },
          features: { sum: aggregate.sum('b', 10) },
        }),
    ],
    [
      'a sum of texts',
      () =>
        streamView({
          name: 'v',
          entity: user,
          ttlMs: 1,
          event: { a: feature.text() },
          features: { sum: aggregate.sum('a', 10) },
        }),
    ],
    ['a service of nothing', () => featureService({ name: 's', version: 1, views: [] })],
    [
      'two views of one name',
      () => featureService({ name: 's', version: 1, views: [profile, profile] }),
    ],
    [
      'a view whose own is missing',
      () => featureService({ name: 's', version: 1, views: [fresh] }),
    ],
  ])('refuse %s', (_, make) => {
    expect(make).toThrow(expect.objectContaining(bad));
  });
});
