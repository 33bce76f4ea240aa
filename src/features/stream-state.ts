import type {
  Aggregation,
  DecayedAggregation,
  LastAggregation,
  WindowAggregation,
} from './aggregations.js';
import type { Column } from './columns.js';
import type { ListColumn } from './feature-types.js';
import type { StreamView } from './definitions.js';
import { hasHeader, RECORD_HEADER, RecordView, schemaHash, writeHeader } from './record.js';

/** An event as it is added up: its time, what tells it from others (two halves of a hash), its fields. */
export interface FoldedEvent {
  readonly time: number;
  readonly id: readonly [number, number] | undefined;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Pairs of numbers: bucket and sum, time and value; for a decayed sum the time that it is of, and the sum. */
type Pairs = number[];

/** What the events of one entity add up to. */
export interface EntityState {
  /** The time of the latest event. */
  latest: number;
  /** Of each aggregation in the view's order. */
  readonly parts: Pairs[];
  /** Events that may come again: time and two halves of the id's hash. */
  ids: number[];
}

/**
 * How events of one entity are added up, kept as bytes and told at a time. Adding up does not depend on the order in
 * which events of different times come, but for the rounding of sums.
 */
export class StreamFold {
  readonly hash: number;
  private readonly aggregations: readonly Aggregation[];
  private readonly views = new RecordView();

  constructor(readonly view: StreamView) {
    this.aggregations = Object.values(view.aggregations);
    this.hash = schemaHash(view.features);
  }

  empty(): EntityState {
    return { latest: -Infinity, parts: this.aggregations.map(() => []), ids: [] };
  }

  /** Adds an event; false if it has been added before. Ids of events before `horizon` are forgotten: those come no more. */
  add(state: EntityState, event: FoldedEvent, horizon: number): boolean {
    const { time, id, fields } = event;
    state.ids = withoutOld(state.ids, horizon);
    if (id !== undefined) {
      if (hasId(state.ids, id)) return false;
      state.ids.push(time, id[0], id[1]);
    }
    // What is too old to be served must not come back with a new event.
    if (time - state.latest > this.view.ttlMs) for (const part of state.parts) part.length = 0;
    state.latest = Math.max(state.latest, time);
    this.aggregations.forEach((aggregation, at) => {
      const { field } = aggregation;
      const amount = field === undefined ? 1 : (fields[field] as number);
      const part = state.parts[at]!;
      if (aggregation.how === 'window') addToWindow(part, aggregation, time, amount, state.latest);
      else if (aggregation.how === 'decayed') addDecayed(part, aggregation, time, amount);
      else addLast(part, aggregation, time, amount);
    });
    return true;
  }

  /**
   * Puts what the events of a record add up to at a time into a row of columns (in the order of the view).
   * @returns the time of the latest event, or undefined if the record is no state of the view; the row may hold anything
   * then.
   */
  evaluate(
    record: Uint8Array,
    now: number,
    columns: readonly Column[],
    row: number,
  ): number | undefined {
    if (record.length < RECORD_HEADER + 8 || record.length % 8 !== 0) return undefined;
    const view = this.views.over(record);
    const start = record.byteOffset;
    if (!hasHeader(view, start, 'state', this.hash)) return undefined;
    const latest = view.getFloat64(start + 8, true);
    // A clock that went back must not take events away.
    const time = Math.max(now, latest);
    const end = start + record.length;
    let at = endOfGroup(view, start + RECORD_HEADER, end, 3);
    const { aggregations } = this;
    for (let number = 0; number < aggregations.length; number++) {
      const next = endOfGroup(view, at, end, 2);
      if (next < 0) return undefined;
      evaluatePart(aggregations[number]!, view, at + 8, next, time, columns[number]!, row);
      at = next;
    }
    return at === end ? latest : undefined;
  }

  /** Header, number of ids, ids, then of each aggregation the number of pairs and the pairs; all but the header f64. */
  encode(state: EntityState): Buffer {
    const numbers = [state.ids.length / 3, ...state.ids];
    for (const part of state.parts) numbers.push(part.length / 2, ...part);
    const record = Buffer.alloc(RECORD_HEADER + numbers.length * 8);
    writeHeader(record, 'state', this.hash, state.latest);
    numbers.forEach((number, at) => record.writeDoubleLE(number, RECORD_HEADER + 8 * at));
    return record;
  }

  /** What {@link encode} made, or undefined if these bytes are something else. */
  decode(record: Uint8Array): EntityState | undefined {
    if (record.length < RECORD_HEADER || record.length % 8 !== 0) return undefined;
    const view = this.views.over(record);
    const start = record.byteOffset;
    if (!hasHeader(view, start, 'state', this.hash)) return undefined;
    const end = start + record.length;
    let at = start + RECORD_HEADER;
    const next = (size: number): number[] | undefined => {
      const count = at < end ? view.getFloat64(at, true) * size : NaN;
      at += 8;
      if (!(Number.isInteger(count) && count >= 0 && at + count * 8 <= end)) return undefined;
      const numbers = new Array<number>(count);
      for (let i = 0; i < count; i++, at += 8) {
        numbers[i] = view.getFloat64(at, true);
        if (!Number.isFinite(numbers[i])) return undefined;
      }
      return numbers;
    };
    const ids = next(3);
    const parts = this.aggregations.map(() => next(2));
    if (ids === undefined || parts.includes(undefined) || at !== end) return undefined;
    const isBounded = this.aggregations.every(
      ({ how, type }, part) =>
        how !== 'last' || parts[part]!.length <= 2 * (type as { max: number }).max,
    );
    if (!isBounded) return undefined;
    return { latest: view.getFloat64(start + 8, true), parts: parts as Pairs[], ids };
  }
}

function hasId(ids: readonly number[], [high, low]: readonly [number, number]): boolean {
  for (let at = 0; at < ids.length; at += 3) {
    if (ids[at + 1] === high && ids[at + 2] === low) return true;
  }
  return false;
}

function withoutOld(ids: number[], horizon: number): number[] {
  let isAny = false;
  for (let at = 0; at < ids.length; at += 3) if (ids[at]! < horizon) isAny = true;
  if (!isAny) return ids;
  return ids.filter((_, at) => ids[at - (at % 3)]! >= horizon);
}

/** Buckets in ascending order; those that no window from `latest` on reaches are dropped. */
function addToWindow(
  part: Pairs,
  { windowMs, bucketMs }: WindowAggregation,
  time: number,
  amount: number,
  latest: number,
): void {
  const first = firstBucket(latest, windowMs, bucketMs);
  let drop = 0;
  while (drop < part.length && part[drop]! < first) drop += 2;
  if (drop > 0) part.splice(0, drop);
  const bucket = Math.floor(time / bucketMs);
  if (bucket < first) return;
  let at = part.length;
  while (at > 0 && part[at - 2]! > bucket) at -= 2;
  if (at > 0 && part[at - 2] === bucket) part[at - 1]! += amount;
  else part.splice(at, 0, bucket, amount);
}

function firstBucket(time: number, windowMs: number, bucketMs: number): number {
  return Math.floor(time / bucketMs) - Math.round(windowMs / bucketMs) + 1;
}

function addDecayed(
  part: Pairs,
  { halfLifeMs }: DecayedAggregation,
  time: number,
  amount: number,
): void {
  if (part.length === 0) {
    part.push(time, amount);
  } else if (time >= part[0]!) {
    part[1] = part[1]! * 2 ** ((part[0]! - time) / halfLifeMs) + amount;
    part[0] = time;
  } else {
    part[1]! += amount * 2 ** ((time - part[0]!) / halfLifeMs);
  }
}

/** The latest first; of events of one time the one that came last. */
function addLast(part: Pairs, { type }: LastAggregation, time: number, value: number): void {
  let at = 0;
  while (at < part.length && part[at]! > time) at += 2;
  if (at >= 2 * type.max) return;
  part.splice(at, 0, time, value);
  if (part.length > 2 * type.max) part.length = 2 * type.max;
}

/** Where a group of numbers ends that begins with how many of so many numbers it has; -1 if it ends beyond `end`. */
function endOfGroup(view: DataView, at: number, end: number, size: number): number {
  if (at < 0 || at >= end) return -1;
  const count = view.getFloat64(at, true);
  const next = at + 8 + count * size * 8;
  return count >= 0 && Number.isInteger(count) && next <= end ? next : -1;
}

/** Evaluates the pairs of an aggregation, which lie in the bytes `at` to `end - 1`. */
function evaluatePart(
  aggregation: Aggregation,
  view: DataView,
  at: number,
  end: number,
  time: number,
  column: Column,
  row: number,
): void {
  if (aggregation.how === 'last') {
    const { data, counts, max } = column as ListColumn;
    let count = 0;
    for (let pair = at; pair < end && count < max; pair += 16) {
      data[row * max + count++] = view.getFloat64(pair + 8, true);
    }
    data.fill(0, row * max + count, (row + 1) * max);
    counts[row] = count;
    return;
  }
  let sum = 0;
  if (aggregation.how === 'window') {
    const first = firstBucket(time, aggregation.windowMs, aggregation.bucketMs);
    for (let pair = at; pair < end; pair += 16) {
      if (view.getFloat64(pair, true) >= first) sum += view.getFloat64(pair + 8, true);
    }
  } else if (at < end) {
    const age = time - view.getFloat64(at, true);
    sum = view.getFloat64(at + 8, true) * 2 ** (-age / aggregation.halfLifeMs);
  }
  (column as Float64Array)[row] = sum;
}
