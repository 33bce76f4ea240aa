import { createHash } from 'node:crypto';
import { shown } from '../errors.js';
import { badArgument, requireDuration } from '../cache/cache-limits.js';
import type { Aggregation, FeatureOfAggregation } from './aggregations.js';
import type { FeatureType, RowOf, Schema } from './feature-types.js';
import type { FeatureKey } from './keys.js';
import type { BatchSource } from './source.js';

/** A thing that has features: a user, a track. */
export interface Entity<N extends string = string, K extends KeyType = KeyType> {
  /** What it is called in keys of frames. */
  readonly name: N;
  /** What kind of keys it has. */
  readonly keys: K;
}

/** What the keys of an entity are. */
export type KeyType = 'integer' | 'string';
export type KeyOf<E extends Entity> = E['keys'] extends 'integer' ? number : string;

/** When a view's values are computed: ahead, as events come in, or in the request. */
export type FeatureTier = 'batch' | 'stream' | 'on demand';

/** What one row of a view costs to get, as far as known; {@link OnlineFeatures.stats} tells what it took. */
export interface FeatureCost {
  /** Time. */
  readonly microseconds?: number;
  /** Size of the row. */
  readonly bytes?: number;
}

interface AnyView {
  readonly name: string;
  /** Another version has values of its own. */
  readonly version: number;
  readonly tier: FeatureTier;
  readonly features: Schema;
  /** What a row costs to get, as far as known. */
  readonly cost: FeatureCost | undefined;
}

interface StoredView extends AnyView {
  readonly entity: Entity;
  /** All features that the store has of it; `features` are those that are wanted. */
  readonly stored: Schema;
  /** Milliseconds after which a value is not served any more. */
  readonly ttlMs: number;
}

/** Values that are computed ahead and put into a store. */
export interface BatchView<
  N extends string = string,
  E extends Entity = Entity,
  S extends Schema = Schema,
> extends StoredView {
  /** What it is called in frames and stores. */
  readonly name: N;
  /** Tells the kinds of views apart. */
  readonly tier: 'batch';
  /** Whose features they are. */
  readonly entity: E;
  /** Names and types. */
  readonly features: S;
  /** Where rows come from; undefined: `materialize` is told. */
  readonly source: BatchSource | undefined;
  /** The source's columns for key, time and features. */
  readonly columns: BatchColumns;
}

/** Where a view's rows have what: names of the source's columns. */
export interface BatchColumns {
  readonly key: string;
  /** Since when the values hold. */
  readonly time: string;
  /** Since when they are known, where that is later. */
  readonly created: string | undefined;
}

/** Values that events add up to. */
export interface StreamView<
  N extends string = string,
  E extends Entity = Entity,
  S extends Schema = Schema,
  V extends Schema = Schema,
> extends StoredView {
  /** What it is called in frames and stores. */
  readonly name: N;
  /** Tells the kinds of views apart. */
  readonly tier: 'stream';
  /** Whose features they are. */
  readonly entity: E;
  /** Names and types, as the aggregations make them. */
  readonly features: S;
  /** How events become features. */
  readonly aggregations: Readonly<Record<string, Aggregation>>;
  /** What an event says besides its key, time and id. */
  readonly event: V;
  /** How late events may come, in milliseconds behind the latest one; those that come later are dropped. */
  readonly latenessMs: number;
}

/** Values that are computed in the request, of what the request says and of other features. */
export interface OnDemandView<
  N extends string = string,
  S extends Schema = Schema,
  Q extends Schema = Schema,
> extends AnyView {
  /** What it is called in frames. */
  readonly name: N;
  /** Tells the kinds of views apart. */
  readonly tier: 'on demand';
  /** Names and types. */
  readonly features: S;
  /** What it needs to be told in the request. */
  readonly request: Q;
  /** Views whose values it is given. */
  readonly uses: readonly (BatchView | StreamView)[];
  /** Makes the values of one row; it may not wait. */
  readonly compute: (row: OnDemandRow) => Record<string, unknown>;
}

/** What an on-demand view computes of: the request's values, the values of each view it uses, and the time. */
export interface OnDemandRow {
  /** Values of the request by name. */
  readonly request: Record<string, unknown>;
  /** Values by view and feature. */
  readonly features: Record<string, Record<string, unknown>>;
  /** Time of day, in milliseconds. */
  readonly now: number;
}

/** A view of any kind. */
export type FeatureView = BatchView | StreamView | OnDemandView;

/**
 * Defines an entity.
 * @throws ERR_LICHEN_ARGUMENT for a name that is none.
 *
 * @example
 * const track = entity('track', { keys: 'integer' });
 */
export function entity<N extends string, K extends KeyType>(
  name: N,
  { keys }: { keys: K },
): Entity<N, K> {
  requireName('entity', name);
  if (keys !== 'integer' && keys !== 'string') {
    throw badArgument(`keys of entity ${name} must be integer or string, got ${shown(keys)}`);
  }
  return Object.freeze({ name, keys });
}

/**
 * Defines a view of values that are computed ahead.
 * @throws ERR_LICHEN_ARGUMENT for a definition that is not one.
 *
 * @example
 * const profile = batchView({
 *   ...{ name: 'profile', entity: track, ttlMs: 7 * 86_400_000 },
 *   features: { year: feature.i32({ default: 2000 }), vector: feature.vector(64) },
 *   source: csvSource('tracks.csv'), // columns track, event_time, year, vector
 * });
 */
export function batchView<N extends string, E extends Entity, S extends Schema>(definition: {
  name: N;
  entity: E;
  features: S;
  ttlMs: number;
  /** Another version has values of its own. Default 1. */
  version?: number;
  source?: BatchSource;
  /** Names of the columns of key and time. Default: the entity's name, `event_time` and none. */
  columns?: { key?: string; time?: string; created?: string };
  cost?: FeatureCost;
}): BatchView<N, E, S> {
  const { name, entity, features, ttlMs, version = 1, source, columns, cost } = definition;
  requireView(definition);
  return Object.freeze({
    ...{ name, entity, features, ttlMs, version, source, cost, tier: 'batch' as const },
    stored: features,
    columns: {
      key: columns?.key ?? entity.name,
      time: columns?.time ?? 'event_time',
      created: columns?.created,
    },
  });
}

/**
 * Defines a view of values that events add up to.
 * @throws ERR_LICHEN_ARGUMENT for a definition that is not one.
 *
 * @example
 * const recent = streamView({
 *   ...{ name: 'recent', entity: track, ttlMs: 86_400_000 },
 *   event: { seconds: feature.f32() },
 *   features: { plays: aggregate.count(3_600_000), seconds: aggregate.sum('seconds', 3_600_000) },
 * });
 */
export function streamView<
  N extends string,
  E extends Entity,
  V extends Schema,
  A extends Readonly<Record<string, Aggregation>>,
>(definition: {
  name: N;
  entity: E;
  event: V;
  features: A;
  ttlMs: number;
  /** Default 1 minute. */
  latenessMs?: number;
  version?: number;
  cost?: FeatureCost;
}): StreamView<N, E, { [F in keyof A]: FeatureOfAggregation<A[F]> }, V> {
  const { name, entity, event, ttlMs, latenessMs = 60_000, version = 1, cost } = definition;
  const aggregations = definition.features;
  const features = Object.fromEntries(
    Object.entries(aggregations).map(([feature, { type }]) => [feature, type]),
  ) as { [F in keyof A]: FeatureOfAggregation<A[F]> };
  requireView({ ...definition, features });
  requireDuration('latenessMs', latenessMs);
  for (const field of Object.keys(event)) requireName('field', field);
  for (const [feature, { field }] of Object.entries(aggregations)) {
    if (field !== undefined && !isNumeric(event[field])) {
      throw badArgument(
        `${name}.${feature} adds up ${shown(field)}, which is no number of its events`,
      );
    }
  }
  return Object.freeze({
    ...{ name, entity, event, features, aggregations, ttlMs, latenessMs, version, cost },
    tier: 'stream' as const,
    stored: features,
  });
}

/**
 * Defines a view of values that are computed in the request.
 * @param definition `compute` gives a row's features; it should depend on nothing but its argument.
 * @throws ERR_LICHEN_ARGUMENT for a definition that is not one.
 *
 * @example
 * const age = onDemandView({
 *   ...{ name: 'age', features: { years: feature.f64() }, request: { year: feature.f64() } },
 *   uses: [profile],
 *   compute: ({ request, features }) => ({ years: request.year - features.profile.year }),
 * });
 */
export function onDemandView<
  N extends string,
  S extends Schema,
  Q extends Schema,
  U extends readonly (BatchView | StreamView)[],
>(definition: {
  name: N;
  features: S;
  /** What the request has to say. */
  request: Q;
  uses: U;
  compute: (row: {
    readonly request: RowOf<Q>;
    readonly features: { readonly [W in U[number] as W['name']]: RowOf<W['features']> };
    readonly now: number;
  }) => RowOf<S>;
  version?: number;
  cost?: FeatureCost;
}): OnDemandView<N, S, Q> {
  const { name, features, request, uses, version = 1, cost } = definition;
  requireName('view', name);
  requireSchema(name, features);
  requireVersion(name, version);
  const compute = definition.compute as unknown as OnDemandView['compute'];
  if (typeof compute !== 'function') throw badArgument(`compute of ${name} must be a function`);
  return Object.freeze({
    ...{ name, features, request, uses, compute, version, cost },
    tier: 'on demand' as const,
  });
}

/** A view of which a service wants some features only. */
export type Picked<W extends BatchView | StreamView, F extends keyof W['features']> = Omit<
  W,
  'features'
> & {
  /** Names and types of those that were picked. */
  readonly features: Pick<W['features'], F>;
};

/**
 * Some features of a view, for a service that does not need the others.
 * @throws ERR_LICHEN_ARGUMENT for a feature that the view does not have, and for none.
 *
 * @example
 * const service = featureService({ name: 'ranker', version: 1, views: [pick(profile, 'year')] });
 */
export function pick<
  W extends BatchView | StreamView,
  const F extends keyof W['features'] & string,
>(view: W, ...names: readonly F[]): Picked<W, F> {
  if (names.length === 0) throw badArgument(`pick of ${view.name} names no feature`);
  const features = names.map((name) => {
    const type = view.features[name];
    if (type === undefined) throw badArgument(`view ${view.name} has no feature ${shown(name)}`);
    return [name, type] as const;
  });
  const picked: object = { ...view, features: Object.fromEntries(features) };
  return Object.freeze(picked) as Picked<W, F>;
}

/** The features that a model needs, fixed by a version. */
export interface FeatureService<V extends readonly FeatureView[] = readonly FeatureView[]> {
  /** What it is called. */
  readonly name: string;
  /** Of what the service has: another choice of features is another version. */
  readonly version: number;
  /** What it is made of. */
  readonly views: V;
  /** Changes with the name, type, default or version of anything in it: what a model remembers of its features. */
  readonly signature: string;
}

/**
 * Defines the features that a model needs.
 * @throws ERR_LICHEN_ARGUMENT for two views of one name, for an on-demand view without a view it uses.
 *
 * @example
 * const service = featureService({ name: 'ranker', version: 1, views: [profile, recent] });
 * service.signature; // changes with what is in it
 */
export function featureService<const V extends readonly FeatureView[]>(definition: {
  name: string;
  version: number;
  views: V;
}): FeatureService<V> {
  const { name, version, views } = definition;
  requireName('service', name);
  requireVersion(name, version);
  if (!Array.isArray(views) || views.length === 0) throw badArgument(`service ${name} needs views`);
  const names = new Set(views.map((view) => view.name));
  if (names.size < views.length) throw badArgument(`service ${name} has two views of one name`);
  for (const view of views as readonly FeatureView[]) {
    for (const used of view.tier === 'on demand' ? view.uses : []) {
      if (!(views as readonly FeatureView[]).includes(used)) {
        throw badArgument(`service ${name} needs the view ${used.name}, which ${view.name} uses`);
      }
    }
  }
  const text = [name, version, ...(views as readonly FeatureView[]).map(viewText)].join('\n');
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 16);
  return Object.freeze({ name, version, views, signature: `${name}@${version}:${digest}` });
}

/** Where a view's values stand in a store. */
export function tableOf({ name, version }: { name: string; version: number }): string {
  return `${name}@${version}`;
}

/** All that a view's values depend on. */
function viewText(view: FeatureView): string {
  const rest = view.tier === 'on demand' ? '' : `${view.entity.name} ${view.ttlMs}`;
  const how = view.tier === 'stream' ? JSON.stringify(view.aggregations) : '';
  return `${view.tier} ${tableOf(view)} ${rest} ${schemaText(view.features)} ${how}`;
}

/** Names, types and defaults of features, in order. */
export function schemaText(schema: Schema): string {
  return Object.entries(schema)
    .map(([name, { default: value, ...type }]) => {
      const plain = ArrayBuffer.isView(value) ? Array.from(value as Float32Array) : value;
      return JSON.stringify([name, type, plain]);
    })
    .join(';');
}

function isNumeric(type: FeatureType | undefined): boolean {
  return type !== undefined && ['f32', 'f64', 'i32'].includes(type.kind);
}

function requireView(view: {
  name: string;
  entity: Entity;
  features: Schema;
  ttlMs: number;
  version?: number;
}): void {
  requireName('view', view.name);
  requireSchema(view.name, view.features);
  requireVersion(view.name, view.version ?? 1);
  if (!(view.ttlMs > 0)) {
    throw badArgument(`ttlMs of ${view.name} must be a number above 0, got ${shown(view.ttlMs)}`);
  }
  if (typeof view.entity?.name !== 'string') throw badArgument(`view ${view.name} needs an entity`);
}

/** Names are parts of keys and of columns. */
function requireName(what: string, name: unknown): void {
  if (typeof name === 'string' && /^[A-Za-z][\w-]{0,62}$/.test(name)) return;
  throw badArgument(
    `the name of a ${what} must be a letter and letters, digits, _ and -, got ${shown(name)}`,
  );
}

function requireSchema(view: string, schema: Schema): void {
  const entries = Object.entries(schema ?? {});
  if (entries.length === 0) throw badArgument(`view ${view} has no features`);
  for (const [name, type] of entries) {
    requireName('feature', name);
    if (typeof type?.kind !== 'string') throw badArgument(`${view}.${name} has no type`);
  }
}

function requireVersion(name: string, version: unknown): void {
  if (Number.isSafeInteger(version) && (version as number) >= 1) return;
  throw badArgument(
    `version of ${name} must be a whole number of at least 1, got ${shown(version)}`,
  );
}

export type { FeatureKey };
