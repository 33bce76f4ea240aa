import { LichenError } from '../errors.js';
import type { BatchView } from './definitions.js';
import { mismatch, type FeatureType } from './feature-types.js';
import { keyMismatch, type FeatureKey } from './keys.js';
import type { SourceRow } from './source.js';

/** A row of a source as a view wants it. */
export interface ViewRow {
  readonly key: FeatureKey;
  /** Since when the values hold, and since when they are known; milliseconds since 1970. */
  readonly time: number;
  readonly created: number;
  /** Undefined for a value that is missing. */
  readonly values: Readonly<Record<string, unknown>>;
}

/** Columns that a view reads. */
export function columnsOfView({ columns, stored }: BatchView): string[] {
  const { key, time, created } = columns;
  return [key, time, ...(created === undefined ? [] : [created]), ...Object.keys(stored)];
}

/**
 * A row of a source as a view wants it: texts become numbers where those are wanted, times come as milliseconds since
 * 1970, as ISO 8601 or as a Date. What is wrong is the error's message.
 */
export function viewRow(view: BatchView, row: SourceRow): ViewRow | string {
  const { entity, columns, stored } = view;
  const key = entity.keys === 'integer' ? asNumber(row[columns.key]) : row[columns.key];
  const wrongKey = keyMismatch(entity, key);
  if (wrongKey !== undefined) return `${columns.key} must be ${wrongKey}`;
  const time = timeOfValue(row[columns.time]);
  if (time === undefined) return `${columns.time} must be a time, got ${String(row[columns.time])}`;
  let created = time;
  if (columns.created !== undefined) {
    const known = timeOfValue(row[columns.created]);
    if (known === undefined) return `${columns.created} must be a time`;
    created = Math.max(time, known);
  }
  const values: Record<string, unknown> = {};
  for (const [name, type] of Object.entries(stored)) {
    const value = converted(type, row[name]);
    if (value === undefined) continue;
    const reason = mismatch(type, value);
    if (reason !== undefined) return `${name} must be ${reason}`;
    values[name] = value;
  }
  return { key: key as FeatureKey, time, created, values };
}

/** The error of a row that is none of a view. */
export function rowError(
  view: BatchView,
  source: string,
  row: number,
  reason: string,
): LichenError {
  return new LichenError('ERR_LICHEN_FORMAT', `${source}, row ${row}: ${view.name}.${reason}`);
}

/** Milliseconds since 1970, undefined for what is no time. */
function timeOfValue(value: unknown): number | undefined {
  const time =
    value instanceof Date
      ? value.getTime()
      : typeof value === 'string' && !/^-?\d+(\.\d+)?$/.test(value.trim())
        ? Date.parse(value)
        : asNumber(value);
  return typeof time === 'number' && Number.isFinite(time) ? time : undefined;
}

/** What stands for a missing value is undefined; everything else goes on to be checked. */
function converted(type: FeatureType, value: unknown): unknown {
  if (value === null || value === undefined || (value === '' && type.kind !== 'text'))
    return undefined;
  switch (type.kind) {
    case 'f32':
    case 'f64':
    case 'i32':
      return asNumber(value);
    case 'bool':
      return value === 'true' || value === '1' || value === 1
        ? true
        : value === 'false' || value === '0' || value === 0
          ? false
          : value;
    case 'text':
      return value;
    case 'vector':
    case 'list':
      return numbersOf(value);
  }
}

function asNumber(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'string' || value.trim() === '') return value;
  const number = Number(value);
  return Number.isNaN(number) ? value : number;
}

/** An array as it is; a text as a list in JSON or in PostgreSQL's braces. */
function numbersOf(value: unknown): unknown {
  if (typeof value === 'string') {
    const inner = /^\s*[[{](.*)[\]}]\s*$/s.exec(value)?.[1];
    if (inner === undefined) return value;
    return inner.trim() === '' ? [] : inner.split(',').map(asNumber);
  }
  return Array.isArray(value) ? value.map(asNumber) : value;
}
