import { LichenArgumentError, shown } from '../errors.js';

/** A clock in milliseconds. */
export type Clock = () => number;

/** Milliseconds that never go back, whatever happens to the time of day. */
export const steadyClock: Clock = () => performance.now();

/** @throws ERR_LICHEN_ARGUMENT unless it is undefined or a whole number of at least `least` (Infinity is one). */
export function requireLimit(name: string, value: number | undefined, least = 1): void {
  if (value === undefined || value === Infinity) return;
  if (Number.isSafeInteger(value) && value >= least) return;
  throw badArgument(`${name} must be a whole number of at least ${least}, got ${shown(value)}`);
}

/** @throws ERR_LICHEN_ARGUMENT unless it is undefined or a number of at least 0, in milliseconds. */
export function requireDuration(name: string, value: number | undefined): void {
  if (value === undefined) return;
  if (typeof value === 'number' && value >= 0) return;
  throw badArgument(`${name} must be a number of milliseconds of at least 0, got ${shown(value)}`);
}

/** The error of a bad argument. */
export function badArgument(message: string, cause?: unknown): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message, { cause });
}
