import { shown } from '../errors.js';
import { badArgument } from '../cache/cache-limits.js';
import {
  cell,
  columnBytes,
  ColumnMemory,
  makeColumns,
  setCell,
  setDefaults,
  type Column,
} from './columns.js';
import type {
  Entity,
  FeatureService,
  FeatureView,
  KeyOf,
  OnDemandView,
  OnDemandRow,
} from './definitions.js';
import { mismatch, type ColumnsOf, type RowOf, type Schema } from './feature-types.js';
import { requireKey, type FeatureKey } from './keys.js';

/** What the values in a row of a view are; all but `found` mean that defaults stand there. */
export const FEATURE_STATUS = {
  /** It is there. */
  found: 0,
  /** There is none. */
  missing: 1,
  /** It is older than the view's TTL. */
  expired: 2,
  /** What the store has, or an on-demand view has computed, is not of the view's types. */
  poisoned: 3,
  /** The store could not be asked in time. */
  unavailable: 4,
} as const;
/** A name of {@link FEATURE_STATUS}. */
export type FeatureStatus = keyof typeof FEATURE_STATUS;

/** Features of a service for some rows. */
export interface FeatureFrame<V extends readonly FeatureView[] = readonly FeatureView[]> {
  /** Number of rows. */
  readonly rows: number;
  /** Values by view and feature: a value a row, a matrix for vectors. */
  readonly columns: { readonly [W in V[number] as W['name']]: ColumnsOf<W['features']> };
  /** Since when the values of each row hold, by view, in milliseconds since 1970; NaN where there are none. */
  readonly times: { readonly [W in V[number] as W['name']]: Float64Array };
  /** What the values of each row are, by view: of {@link FEATURE_STATUS}. */
  readonly status: { readonly [W in V[number] as W['name']]: Uint8Array };
}

type EntitiesOf<V extends readonly FeatureView[]> = Extract<
  V[number],
  { entity: Entity }
>['entity'];
type RequestOf<V extends readonly FeatureView[]> = Extract<
  V[number],
  { request: Schema }
>['request'];

/** Keys by entity: one a row, or one for all rows. */
export type FrameKeys<V extends readonly FeatureView[]> = {
  readonly [E in EntitiesOf<V> as E['name']]: readonly KeyOf<E>[];
};

/** What on-demand views want to know, by name: one value a row, or one for all rows. */
export type FrameRequest<V extends readonly FeatureView[]> = {
  readonly [N in AllKeys<RequestOf<V>>]: unknown;
};
type AllKeys<T> = T extends unknown ? keyof T : never;

/** A frame that is being filled, without its exact types. */
export interface OpenFrame {
  readonly rows: number;
  readonly columns: Record<string, ColumnsOf<Schema>>;
  readonly times: Record<string, Float64Array>;
  readonly status: Record<string, Uint8Array>;
}

/** A frame whose rows are all missing yet. */
export function openFrame(service: FeatureService, rows: number): OpenFrame {
  const frame: OpenFrame = { rows, columns: {}, times: {}, status: {} };
  const { views } = service;
  const bytes = views.reduce((sum, { features }) => sum + columnBytes(features, rows), 0);
  const memory = new ColumnMemory(bytes + views.length * (8 * rows + ((rows + 7) & ~7)));
  for (const view of views) {
    frame.columns[view.name] = makeColumns(view.features, rows, memory);
    frame.times[view.name] = memory.take(Float64Array, rows).fill(NaN);
    frame.status[view.name] = memory.take(Uint8Array, rows).fill(FEATURE_STATUS.missing);
  }
  return frame;
}

/** Puts defaults into a row of a view. */
export function setMissing(
  frame: OpenFrame,
  view: FeatureView,
  row: number,
  status: FeatureStatus,
  time = NaN,
): void {
  setDefaults(view.features, frame.columns[view.name]!, row);
  frame.status[view.name]![row] = FEATURE_STATUS[status];
  frame.times[view.name]![row] = time;
}

/** Gives all rows of a view what the first one has. */
export function spreadFirstRow({ name, features }: FeatureView, frame: OpenFrame): void {
  for (const [feature, type] of Object.entries(features)) {
    const column = frame.columns[name]![feature] as unknown as Column;
    const value = cell(type, column, 0);
    for (let row = 1; row < frame.rows; row++) setCell(type, column, row, value);
  }
  frame.status[name]!.fill(frame.status[name]![0]!);
  frame.times[name]!.fill(frame.times[name]![0]!);
}

/**
 * How many rows keys of a service are for.
 * @throws ERR_LICHEN_ARGUMENT for an entity that is missing or not of the service, a key that is none, lists that are of
 * several lengths.
 */
export function rowsOf(
  service: FeatureService,
  keys: Readonly<Record<string, readonly FeatureKey[]>>,
): number {
  const entities = new Map<string, Entity>();
  for (const view of service.views) {
    if (view.tier !== 'on demand') entities.set(view.entity.name, view.entity);
  }
  for (const name of Object.keys(keys)) {
    if (!entities.has(name))
      throw badArgument(`service ${service.name} has no entity ${shown(name)}`);
  }
  let rows = 1;
  for (const [name, entity] of entities) {
    const list = keys[name];
    if (!Array.isArray(list))
      throw badArgument(`expected keys of entity ${name}, got ${shown(list)}`);
    for (const key of list) requireKey(entity, key);
    if (list.length === 1) continue;
    if (rows !== 1 && rows !== list.length) {
      throw badArgument(`keys of entity ${name} are ${list.length}, of another ${rows}`);
    }
    rows = list.length;
  }
  return rows;
}

/**
 * Computes the on-demand views of a frame whose other views are filled.
 * @param times what time it is for each row.
 * @throws ERR_LICHEN_ARGUMENT for a request that does not say what the views want to know.
 */
export function computeOnDemand(
  service: FeatureService,
  frame: OpenFrame,
  request: Readonly<Record<string, unknown>>,
  times: (row: number) => number,
): void {
  for (const view of service.views) {
    if (view.tier !== 'on demand') continue;
    const asked = requestColumns(view, request, frame.rows);
    for (let row = 0; row < frame.rows; row++) {
      const features: Record<string, Record<string, unknown>> = {};
      for (const used of view.uses) {
        features[used.name] = rowOf(used.features, frame.columns[used.name]!, row);
      }
      const now = times(row);
      compute(view, frame, row, { request: asked(row), features, now });
    }
  }
}

function compute(view: OnDemandView, frame: OpenFrame, row: number, given: OnDemandRow): void {
  let values: Record<string, unknown> | undefined;
  try {
    values = view.compute(given);
  } catch {
    // Told by the row's status.
  }
  for (const [name, type] of Object.entries(view.features)) {
    if (values === undefined || mismatch(type, values[name]) !== undefined) {
      setMissing(frame, view, row, 'poisoned');
      return;
    }
    setCell(type, frame.columns[view.name]![name] as unknown as Column, row, values[name]);
  }
  frame.status[view.name]![row] = FEATURE_STATUS.found;
  frame.times[view.name]![row] = given.now;
}

/** A row of columns as an object. */
export function rowOf<S extends Schema>(schema: S, columns: ColumnsOf<S>, row: number): RowOf<S> {
  const values = Object.entries(schema).map(([name, type]) => [
    name,
    cell(type, columns[name] as unknown as Column, row),
  ]);
  return Object.fromEntries(values) as RowOf<S>;
}

function requestColumns(
  view: OnDemandView,
  request: Readonly<Record<string, unknown>>,
  rows: number,
): (row: number) => Record<string, unknown> {
  const columns = Object.entries(view.request).map(([name, type]) => {
    const given = request[name];
    // A vector or list is a value itself: several are an array of them.
    const isMany =
      Array.isArray(given) && given.length === rows && mismatch(type, given) !== undefined;
    const values = isMany ? (given as unknown[]) : [given];
    for (const value of values) {
      const reason = mismatch(type, value);
      if (reason !== undefined) throw badArgument(`${name} of the request must be ${reason}`);
    }
    return [name, values] as const;
  });
  return (row) =>
    Object.fromEntries(
      columns.map(([name, values]) => [name, values[values.length === 1 ? 0 : row]]),
    );
}
