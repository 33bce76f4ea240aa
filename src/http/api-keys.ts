import { createHash, timingSafeEqual } from 'node:crypto';
import { badArgument } from '../cache/cache-limits.js';
import { shown } from '../errors.js';
import { requireInteger, requireOptions, requirePositive } from '../index/arguments.js';

/** What a key may be used for: recommendations and searches, changes, statistics and metrics. */
export type Permission = 'read' | 'write' | 'observe';

/** A key of the interface. */
export interface ApiKeyOptions {
  /** Whose it is: the tenant in queues, limits and logs. */
  readonly id: string;
  /** The key itself, or the SHA-256 of it in hexadecimal. */
  readonly key?: string | undefined;
  /** The SHA-256 of the key in hexadecimal, instead of the key. */
  readonly sha256?: string | undefined;
  /** Default: `['read']`. */
  readonly allows?: readonly Permission[] | undefined;
  /** Requests a second. Default: that of the server. */
  readonly ratePerSecond?: number | undefined;
  /** Of its requests. Default 0. */
  readonly priority?: number | undefined;
}

export interface ApiKey {
  readonly id: string;
  readonly allows: ReadonlySet<Permission>;
  readonly ratePerSecond: number | undefined;
  readonly priority: number;
}

const OPTIONS = ['id', 'key', 'sha256', 'allows', 'ratePerSecond', 'priority'] as const;
const PERMISSIONS: readonly Permission[] = ['read', 'write', 'observe'];
const LEAST_KEY = 16;

/** Finds keys by what a request brings, in a time that does not tell how much of it was right. */
export class ApiKeys {
  readonly #keys: readonly (ApiKey & { readonly hash: Buffer })[];

  /** @throws ERR_LICHEN_ARGUMENT */
  constructor(keys: readonly ApiKeyOptions[]) {
    if (!Array.isArray(keys)) throw badArgument(`keys must be an array, got ${shown(keys)}`);
    this.#keys = (keys as readonly ApiKeyOptions[]).map(resolveKey);
    const ids = this.#keys.map(({ id }) => id);
    const twice = ids.find((id, at) => ids.indexOf(id) !== at);
    if (twice !== undefined) throw badArgument(`two keys have the id ${shown(twice)}`);
  }

  get size(): number {
    return this.#keys.length;
  }

  /** Whether a key has a rate of its own. */
  get hasRates(): boolean {
    return this.#keys.some(({ ratePerSecond }) => ratePerSecond !== undefined);
  }

  find(given: string): ApiKey | undefined {
    const hash = createHash('sha256').update(given).digest();
    let found: ApiKey | undefined;
    // All are looked at, so that the time does not tell which it was.
    for (const key of this.#keys) if (timingSafeEqual(hash, key.hash)) found = key;
    return found;
  }
}

function resolveKey(options: ApiKeyOptions, at: number): ApiKey & { readonly hash: Buffer } {
  const given = requireOptions(options, OPTIONS);
  const { id, key, sha256, allows = ['read'], ratePerSecond, priority = 0 } = given;
  if (typeof id !== 'string' || id === '') {
    throw badArgument(`keys[${at}].id must be a string that is not empty, got ${shown(id)}`);
  }
  if ((key === undefined) === (sha256 === undefined)) {
    throw badArgument(`keys[${at}] must have either key or sha256`);
  }
  if (key !== undefined && (typeof key !== 'string' || key.length < LEAST_KEY)) {
    throw badArgument(`keys[${at}].key must be a string of at least ${LEAST_KEY} characters`);
  }
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/i.test(String(sha256))) {
    throw badArgument(`keys[${at}].sha256 must be 64 hexadecimal digits`);
  }
  const list: unknown = allows;
  const isKnown =
    Array.isArray(list) && list.every((one: unknown) => PERMISSIONS.includes(one as Permission));
  if (!isKnown) throw badArgument(`keys[${at}].allows must be some of ${PERMISSIONS.join(', ')}`);
  if (ratePerSecond !== undefined) requirePositive(`keys[${at}].ratePerSecond`, ratePerSecond);
  const hash =
    key === undefined ? Buffer.from(sha256!, 'hex') : createHash('sha256').update(key).digest();
  return {
    ...{ id, ratePerSecond, hash, allows: new Set<Permission>(allows) },
    priority: requireInteger(`keys[${at}].priority`, priority, -100, 100),
  };
}

/** What a request brings as its key: `authorization: Bearer KEY` or `x-api-key: KEY`. */
export function keyOfHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): string | undefined {
  const { authorization, 'x-api-key': plain } = headers;
  const bearer = typeof authorization === 'string' && /^Bearer +(\S+)$/i.exec(authorization)?.[1];
  return bearer || (typeof plain === 'string' && plain !== '' ? plain : undefined);
}
