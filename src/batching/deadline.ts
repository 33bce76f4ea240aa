import { LichenArgumentError, shown } from '../errors.js';

/** What a timer can wait. */
const MOST_MS = 2 ** 31 - 1;

/**
 * A deadline, milliseconds from now or a time of day, as a time of `performance.now`.
 * @throws ERR_LICHEN_ARGUMENT
 */
export function resolveDeadline(deadline: unknown): number | undefined {
  if (deadline === undefined) return undefined;
  const milliseconds = deadline instanceof Date ? deadline.getTime() - Date.now() : deadline;
  const isNumber = typeof milliseconds === 'number' && milliseconds <= MOST_MS;
  // A time may have passed already; so many milliseconds from now cannot.
  if (isNumber && (milliseconds >= 0 || deadline instanceof Date)) {
    return performance.now() + milliseconds;
  }
  throw new LichenArgumentError(
    'ERR_LICHEN_ARGUMENT',
    `deadline must be milliseconds from 0 to ${MOST_MS} or a Date, got ${shown(deadline)}`,
  );
}
