import { badArgument } from '../cache/cache-limits.js';
import { shown } from '../errors.js';
import { requireOptions } from '../index/arguments.js';
import type { Where } from '../index/where.js';

/** For whom something is to be recommended. */
export interface UserQuery {
  /** Who it is; vectors and results are kept by it. */
  readonly user?: string | number | undefined;
  /** Ids of items that the user has met, oldest first; they are not recommended. */
  readonly history?: readonly (string | number)[] | undefined;
  /** Whatever else towers, features and stages of the caller's want to know; not copied. */
  readonly context?: Readonly<Record<string, unknown>> | undefined;
}

const QUERY = ['user', 'history', 'context'] as const;

/** A copy, which the caller cannot change. @throws ERR_LICHEN_ARGUMENT for what is none. */
export function queryOf(query: UserQuery): UserQuery {
  if (query === null || query === undefined) {
    throw badArgument(`query must be { user, history, context }, got ${shown(query)}`);
  }
  const { user, history, context } = requireOptions(query, QUERY);
  if (user !== undefined && typeof user !== 'string' && !Number.isSafeInteger(user)) {
    throw badArgument(`query.user must be a string or an integer, got ${shown(user)}`);
  }
  if (context !== undefined && (context === null || typeof context !== 'object')) {
    throw badArgument(`query.context must be an object, got ${shown(context)}`);
  }
  return {
    user,
    history: history === undefined ? undefined : idsOf('query.history', history),
    context,
  };
}

/** A copy of a list of ids. @throws ERR_LICHEN_ARGUMENT */
export function idsOf(name: string, ids: unknown): (string | number)[] {
  if (!Array.isArray(ids)) throw badArgument(`${name} must be an array, got ${shown(ids)}`);
  const copy: unknown[] = ids.slice();
  const at = copy.findIndex((id) => typeof id !== 'string' && !Number.isSafeInteger(id));
  if (at < 0) return copy as (string | number)[];
  throw badArgument(`${name}[${at}] must be a string or an integer, got ${shown(copy[at])}`);
}

/** A condition that the caller cannot change, with a text that only the same conditions have. */
export interface GivenWhere {
  readonly where: Where | undefined;
  /** '' for none. */
  readonly whereText: string;
}

/** @throws ERR_LICHEN_ARGUMENT for what cannot be copied or written: functions, what is nested without end. */
export function whereOf(given: Where | undefined): GivenWhere {
  if (given === undefined) return { where: undefined, whereText: '' };
  try {
    const where = structuredClone(given);
    return { where, whereText: JSON.stringify(where, told) };
  } catch (cause) {
    throw badArgument('where must be a condition: plain objects, lists, numbers and texts', cause);
  }
}

/** JSON has no word for these. */
function told(_: string, value: unknown): unknown {
  const isOdd = value === undefined || (typeof value === 'number' && !Number.isFinite(value));
  return isOdd ? `\u0000${String(value)}` : value;
}
