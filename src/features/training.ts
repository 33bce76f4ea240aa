import { shown, throwIfAborted } from '../errors.js';
import { badArgument } from '../cache/cache-limits.js';
import type { BatchView, FeatureService, FeatureView, StreamView } from './definitions.js';
import {
  computeOnDemand,
  openFrame,
  rowsOf,
  type FeatureFrame,
  type FrameKeys,
  type FrameRequest,
  type OpenFrame,
} from './frame.js';
import type { FeatureKey } from './keys.js';
import { RecordLayout } from './record.js';
import type { BatchSource } from './source.js';
import { columnsOfView, rowError, viewRow } from './source-rows.js';
import { EventGate, FUTURE_MS, type FeatureEvent } from './stream.js';
import type { EntityState } from './stream-state.js';
import { ViewReader } from './view-reader.js';

/** An event of the past, with when it came, where that is known and later than its time. */
export interface PastEvent extends FeatureEvent {
  /** When it came, in milliseconds since 1970. Default: at its time. */
  readonly arrived?: number;
}

/** What {@link trainingFrame} is given. */
export interface TrainingOptions<V extends readonly FeatureView[]> {
  /** Of each row the time that is looked back from, in milliseconds since 1970. */
  times: ArrayLike<number>;
  /** Of each row the keys; one for all rows if there is one. */
  keys: FrameKeys<V>;
  /** What on-demand views want to know: a value a row, or one for all. */
  request?: Partial<FrameRequest<V>>;
  /** Where each view's past stands, by name: a source for a batch view (default: the view's own), events for a stream. */
  history?: Readonly<Record<string, BatchSource | Iterable<PastEvent>>>;
  /** How far in the future an event's time may be when it comes; as of the writer. Default 1 minute. */
  futureMs?: number;
  /** Gives up with ERR_LICHEN_ABORTED. */
  signal?: AbortSignal;
}

/**
 * The features of a service as they were at the time of each row (point-in-time join): the latest value of a batch view
 * that held and was known then, what the events that had come by then add up to, on-demand views computed of these. By the
 * definitions and the code that serve, so what a model is trained on is what it meets.
 * @throws ERR_LICHEN_ARGUMENT for keys, times or a history that are not as the service says, ERR_LICHEN_FORMAT for a row
 * of a source that is none of its view, ERR_LICHEN_ABORTED, and errors of sources.
 *
 * @example
 * const times = [Date.UTC(2025, 0, 1), Date.UTC(2025, 0, 2)];
 * const history = { recent: [{ key: 7, time: times[0]! - 1000, fields: { seconds: 180 } }] };
 * const { columns } = await trainingFrame(service, { times, keys: { track: [7, 8] }, history });
 * columns.recent.plays; // as it was known at each time
 */
export async function trainingFrame<V extends readonly FeatureView[]>(
  service: FeatureService<V>,
  options: TrainingOptions<V>,
): Promise<FeatureFrame<V>> {
  const { history = {}, signal, futureMs = FUTURE_MS } = options;
  const keys = options.keys as Readonly<Record<string, readonly FeatureKey[]>>;
  const times = Float64Array.from(options.times);
  const rows = rowsOf(service, keys);
  if (times.length !== rows && rows !== 1) {
    throw badArgument(`expected a time for each of ${rows} rows, got ${times.length}`);
  }
  times.forEach((time, row) => {
    if (!Number.isFinite(time)) throw badArgument(`times[${row}] must be a number, got ${time}`);
  });
  for (const name of Object.keys(history)) {
    if (!service.views.some((view) => view.name === name && view.tier !== 'on demand')) {
      throw badArgument(`service ${service.name} has no stored view ${shown(name)}`);
    }
  }
  const frame = openFrame(service, times.length);
  const keyOf = (view: BatchView | StreamView) => {
    const list = keys[view.entity.name]!;
    return (row: number): FeatureKey => list[list.length === 1 ? 0 : row]!;
  };
  for (const view of service.views as readonly FeatureView[]) {
    if (view.tier === 'on demand') continue;
    const past = history[view.name];
    if (view.tier === 'batch') {
      await joinBatch(view, past as BatchSource | undefined, times, keyOf(view), frame, signal);
    } else {
      joinStream(
        view,
        past as Iterable<PastEvent> | undefined,
        futureMs,
        times,
        keyOf(view),
        frame,
      );
    }
  }
  computeOnDemand(service, frame, options.request ?? {}, (row) => times[row]!);
  return frame as unknown as FeatureFrame<V>;
}

/** A value of the past: since when it holds, since when it is known, and its row. */
interface Version {
  readonly time: number;
  readonly created: number;
  readonly record: Uint8Array;
}

async function joinBatch(
  view: BatchView,
  past: BatchSource | undefined,
  times: Float64Array,
  keyOf: (row: number) => FeatureKey,
  frame: OpenFrame,
  signal: AbortSignal | undefined,
): Promise<void> {
  const source = past ?? view.source;
  if (typeof source?.read !== 'function') {
    throw badArgument(`view ${view.name} has no source: give one as history.${view.name}`);
  }
  const rowsByKey = new Map<FeatureKey, number[]>();
  for (let row = 0; row < times.length; row++) push(rowsByKey, keyOf(row), row);
  const versions = await versionsOf(view, source, rowsByKey, signal);
  const filler = new ViewReader(view).into(frame);
  for (const [key, rows] of rowsByKey) {
    const known = versions.get(key) ?? [];
    for (const row of rows) filler.put(versionAt(known, times[row]!)?.record, times[row]!, row);
  }
}

async function versionsOf(
  view: BatchView,
  source: BatchSource,
  wanted: ReadonlyMap<FeatureKey, unknown>,
  signal: AbortSignal | undefined,
): Promise<Map<FeatureKey, Version[]>> {
  const layout = new RecordLayout(view.stored);
  const versions = new Map<FeatureKey, Version[]>();
  const columns = columnsOfView(view);
  let number = 0;
  for await (const { rows } of source.read({
    after: undefined,
    columns,
    time: view.columns.time,
    signal,
  })) {
    throwIfAborted(signal, 'trainingFrame');
    for (const row of rows) {
      number++;
      const made = viewRow(view, row);
      if (typeof made === 'string') throw rowError(view, source.name, number, made);
      if (!wanted.has(made.key)) continue;
      const { key, time, created, values } = made;
      push(versions, key, { time, created, record: layout.encode(values, time) });
    }
  }
  // Of one time the row that comes last counts, as in a store; sorting keeps their order.
  for (const list of versions.values()) list.sort((a, b) => a.time - b.time);
  return versions;
}

/** The latest version that held and was known at a time. */
function versionAt(versions: readonly Version[], time: number): Version | undefined {
  let low = 0;
  let high = versions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (versions[middle]!.time <= time) low = middle + 1;
    else high = middle;
  }
  for (let at = low - 1; at >= 0; at--) if (versions[at]!.created <= time) return versions[at];
  return undefined;
}

/** Goes through events in the order in which they came, and through rows by their time. */
function joinStream(
  view: StreamView,
  past: Iterable<PastEvent> | undefined,
  futureMs: number,
  times: Float64Array,
  keyOf: (row: number) => FeatureKey,
  frame: OpenFrame,
): void {
  if (typeof past?.[Symbol.iterator] !== 'function') {
    throw badArgument(`view ${view.name} needs its events: give them as history.${view.name}`);
  }
  const events = [...past].map((event) => ({ event, came: event.arrived ?? event.time }));
  events.forEach(({ came }, at) => {
    if (!Number.isFinite(came)) throw badArgument(`event ${at} of view ${view.name} has no time`);
  });
  events.sort((a, b) => a.came - b.came);
  const rows = Array.from(times.keys()).sort((a, b) => times[a]! - times[b]!);
  const gate = new EventGate(view, futureMs);
  const states = new Map<FeatureKey, EntityState>();
  const stateOf = (key: FeatureKey): EntityState => {
    let state = states.get(key);
    if (state === undefined) states.set(key, (state = gate.fold.empty()));
    return state;
  };
  const filler = new ViewReader(view).into(frame);
  let next = 0;
  for (const row of rows) {
    const time = times[row]!;
    for (; next < events.length && events[next]!.came <= time; next++) {
      const { event, came } = events[next]!;
      const { as, reason } = gate.admit(event, came, stateOf);
      if (as === 'invalid') throw badArgument(`event ${next} of view ${view.name}: ${reason}`);
    }
    const state = states.get(keyOf(row));
    const isAny = state !== undefined && state.latest > -Infinity;
    filler.put(isAny ? gate.fold.encode(state) : undefined, time, row);
  }
}

function push<K, T>(lists: Map<K, T[]>, key: K, value: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
