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

/** Bytes of an id in a record. */
const ID_BYTES = 16;

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
  /** Of the counts that a record begins with. */
  private readonly countBytes: number;
  private readonly views = new RecordView();

  constructor(readonly view: StreamView) {
    this.aggregations = Object.values(view.aggregations);
    this.hash = schemaHash(view.stored);
    this.countBytes = 4 + 4 * this.aggregations.length;
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
    columns: readonly (Column | undefined)[],
    row: number,
  ): number | undefined {
    if (record.length < RECORD_HEADER + this.countBytes) return undefined;
    const view = this.views.over(record);
    const start = record.byteOffset;
    if (!hasHeader(view, start, 'state', this.hash)) return undefined;
    const { aggregations, countBytes } = this;
    const end = start + record.length;
    const counts = start + RECORD_HEADER;
    const latest = view.getFloat64(start + 8, true);
    // A clock that went back must not take events away.
    const time = Math.max(now, latest);
    let at = counts + countBytes + view.getUint32(counts, true) * ID_BYTES;
    for (let number = 0; number < aggregations.length; number++) {
      const aggregation = aggregations[number]!;
      const count = view.getUint32(counts + 4 + 4 * number, true);
      const next = at + partBytes(aggregation, count);
      if (next > end) return undefined;
      if (!evaluatePart(aggregation, view, at, count, time, columns[number], row)) return undefined;
      at = next;
    }
    return at === end ? latest : undefined;
  }

  /**
   * Header; how many ids there are and how many entries of each aggregation (u32); ids: time (f64) and two halves of a
   * hash (u32); entries. Of a window the first bucket (f64), then of each bucket how far behind it (u16) and its sum (f64;
   * a number of events u32); of a decayed sum and of last values the time and the value (f64).
   */
  encode(state: EntityState): Buffer {
    const { aggregations, countBytes } = this;
    const counts = state.parts.map((part) => part.length / 2);
    let length = RECORD_HEADER + countBytes + (state.ids.length / 3) * ID_BYTES;
    aggregations.forEach((aggregation, at) => (length += partBytes(aggregation, counts[at]!)));
    const record = Buffer.alloc(length);
    writeHeader(record, 'state', this.hash, state.latest);
    let at = record.writeUInt32LE(state.ids.length / 3, RECORD_HEADER);
    for (const count of counts) at = record.writeUInt32LE(count, at);
    for (let id = 0; id < state.ids.length; id += 3) {
      at = record.writeDoubleLE(state.ids[id]!, at);
      at = record.writeUInt32LE(state.ids[id + 1]!, at);
      at = record.writeUInt32LE(state.ids[id + 2]!, at);
    }
    aggregations.forEach((aggregation, number) => {
      at = writePart(record, aggregation, state.parts[number]!, at);
    });
    return record;
  }

  /** What {@link encode} made, or undefined if these bytes are something else. */
  decode(record: Uint8Array): EntityState | undefined {
    const { aggregations, countBytes } = this;
    if (record.length < RECORD_HEADER + countBytes) return undefined;
    const view = this.views.over(record);
    const start = record.byteOffset;
    if (!hasHeader(view, start, 'state', this.hash)) return undefined;
    const counts = start + RECORD_HEADER;
    const idCount = view.getUint32(counts, true);
    const countOf = (number: number): number => view.getUint32(counts + 4 + 4 * number, true);
    let length = RECORD_HEADER + countBytes + idCount * ID_BYTES;
    aggregations.forEach((aggregation, at) => (length += partBytes(aggregation, countOf(at))));
    if (length !== record.length) return undefined;
    let at = counts + countBytes;
    const ids: number[] = [];
    for (let id = 0; id < idCount; id++, at += ID_BYTES) {
      ids.push(
        view.getFloat64(at, true),
        view.getUint32(at + 8, true),
        view.getUint32(at + 12, true),
      );
    }
    const parts = aggregations.map((aggregation, number) => {
      const part = readPart(view, aggregation, at, countOf(number));
      at += partBytes(aggregation, countOf(number));
      return part;
    });
    const isFinite = [...ids, ...parts.flat()].every(Number.isFinite);
    return isFinite ? { latest: view.getFloat64(start + 8, true), parts, ids } : undefined;
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

/** Bytes of so many entries of an aggregation; Infinity for more than there can be. */
function partBytes(aggregation: Aggregation, count: number): number {
  switch (aggregation.how) {
    case 'window':
      return count === 0 ? 0 : 8 + count * bucketBytes(aggregation);
    case 'decayed':
      return count <= 1 ? 16 * count : Infinity;
    case 'last':
      return count <= aggregation.type.max ? 16 * count : Infinity;
  }
}

/** A number of events needs no more than 32 bits. */
function bucketBytes({ field }: WindowAggregation): number {
  return field === undefined ? 6 : 10;
}

function writePart(record: Buffer, aggregation: Aggregation, part: Pairs, from: number): number {
  let at = from;
  const isWindow = aggregation.how === 'window';
  if (isWindow && part.length > 0) at = record.writeDoubleLE(part[0]!, at);
  for (let pair = 0; pair < part.length; pair += 2) {
    if (!isWindow) at = record.writeDoubleLE(part[pair]!, at);
    else at = record.writeUInt16LE(part[pair]! - part[0]!, at);
    const value = part[pair + 1]!;
    if (isWindow && aggregation.field === undefined) at = record.writeUInt32LE(value, at);
    else at = record.writeDoubleLE(value, at);
  }
  return at;
}

function readPart(view: DataView, aggregation: Aggregation, from: number, count: number): Pairs {
  const part: Pairs = [];
  for (let entry = 0; entry < count; entry++) {
    if (aggregation.how === 'window') {
      const at = from + 8 + entry * bucketBytes(aggregation);
      const bucket = view.getFloat64(from, true) + view.getUint16(at, true);
      part.push(bucket, sumAt(view, aggregation, at));
    } else {
      const at = from + entry * 16;
      part.push(view.getFloat64(at, true), view.getFloat64(at + 8, true));
    }
  }
  return part;
}

function sumAt(view: DataView, { field }: WindowAggregation, bucket: number): number {
  return field === undefined ? view.getUint32(bucket + 2, true) : view.getFloat64(bucket + 2, true);
}

/** Evaluates the entries of an aggregation; false if that is no number. */
function evaluatePart(
  aggregation: Aggregation,
  view: DataView,
  from: number,
  count: number,
  time: number,
  column: Column | undefined,
  row: number,
): boolean {
  if (column === undefined) return true;
  if (aggregation.how === 'last') {
    const { data, counts, max } = column as ListColumn;
    for (let entry = 0; entry < max; entry++) {
      data[row * max + entry] = entry < count ? view.getFloat64(from + 16 * entry + 8, true) : 0;
    }
    counts[row] = count;
    return true;
  }
  let sum = 0;
  if (count === 0) {
    // Nothing has come yet.
  } else if (aggregation.how === 'decayed') {
    const age = time - view.getFloat64(from, true);
    sum = view.getFloat64(from + 8, true) * 2 ** (-age / aggregation.halfLifeMs);
  } else {
    const { windowMs, bucketMs } = aggregation;
    const first = firstBucket(time, windowMs, bucketMs) - view.getFloat64(from, true);
    const step = bucketBytes(aggregation);
    for (let entry = count - 1; entry >= 0; entry--) {
      const at = from + 8 + entry * step;
      if (view.getUint16(at, true) < first) break;
      sum += sumAt(view, aggregation, at);
    }
  }
  (column as Float64Array)[row] = sum;
  return Number.isFinite(sum);
}
