import { randomUUID } from 'node:crypto';
import { isTombstone, seal, TOMBSTONE, unseal, type Enveloped } from './envelope.js';
import { Guard, UnavailableError, type GuardStatistics } from './guarded.js';
import { isCacheKey, type CacheKey } from './key-hash.js';
import type { SharedEntry, SharedTier } from './shared-tier.js';
import type { SharedStatistics } from './tiered-options.js';

/** What other processes tell: keys that are out of date, or the version that counts from now on. */
export interface Listeners<K> {
  readonly onOutdated: (keys: readonly K[]) => void;
  /** News: it was published after this process had begun to listen. */
  readonly onVersion: (version: string, isNews: boolean) => void;
  /** Texts may have been missed. */
  readonly onGap: () => void;
}

const RETRY_MS = 250;
/** Keys that wait to be invalidated; beyond that everything is. */
const MOST_PENDING = 100_000;

/**
 * A cache's side of the shared tier: names of keys, time budget, messages. What could not be invalidated since the tier
 * was away is not read there and is invalidated when it is back.
 */
export class SharedSide<K extends CacheKey> {
  private readonly origin = randomUUID();
  private readonly guard: Guard;
  private readonly unsubscribe: () => void;
  private readonly pending = new Map<string, K>();
  private retry: NodeJS.Timeout | undefined;
  private flushes: Promise<boolean> = Promise.resolve(true);
  private isClosed = false;
  /** Whether the tier has told which version it has, and whether it has to tell again. */
  private hasAsked = false;
  private isVersionDue = false;
  /** The version that the tier told of last. */
  private known: string | undefined;
  /** A version that could not be told yet. */
  private untoldVersion: string | undefined;
  private poisoned = 0;

  constructor(
    private readonly tier: SharedTier,
    private readonly name: string,
    private readonly times: { readonly budgetMs: number; readonly tombstoneMs: number },
    private readonly listeners: Listeners<K>,
  ) {
    this.guard = new Guard(`the shared tier of cache ${name}`, times.budgetMs);
    this.unsubscribe = tier.subscribe(
      name,
      (text) => this.hear(text),
      () => void this.beginAnew(),
    );
  }

  /** The entries of keys; undefined for those that are not there, and for all if the tier cannot be asked. */
  async read(version: string, keys: readonly K[]): Promise<(Enveloped | undefined)[]> {
    const names = keys.map((key) => this.nameOf(version, key));
    const wanted = names.filter((name) => !this.pending.has(name));
    if (wanted.length === 0) return keys.map(() => undefined);
    let found: Map<string, Uint8Array | null>;
    try {
      const values = await this.guard.run(() => this.tier.getMany(wanted));
      found = new Map(wanted.map((name, at) => [name, values[at] ?? null]));
    } catch (error) {
      if (error instanceof UnavailableError) return keys.map(() => undefined);
      throw error;
    }
    return names.map((name) => {
      const bytes = found.get(name);
      if (bytes === undefined || bytes === null || isTombstone(bytes)) return undefined;
      const entry = unseal(bytes);
      if (entry === undefined) this.poisoned++;
      return entry;
    });
  }

  /** Stores what was loaded, in the background, except over what was invalidated meanwhile. */
  fill(version: string, entries: readonly (readonly [K, Enveloped])[]): void {
    const sealed = this.sealed(version, entries).filter(({ key }) => !this.pending.has(key));
    if (sealed.length > 0) void this.attempt(() => this.tier.fillMany(sealed, TOMBSTONE));
  }

  /** Stores a value that counts from now on, and tells the other processes. */
  async write(version: string, key: K, entry: Enveloped): Promise<void> {
    const [sealed] = this.sealed(version, [[key, entry]]);
    this.pending.delete(sealed!.key);
    const isStored = await this.attempt(() => this.tier.setMany([sealed!]));
    if (isStored) await this.tell({ keys: [key] });
    else {
      this.postpone([[sealed!.key, key]]);
      this.retryLater();
    }
  }

  /** Makes what stands under keys count no more. False: the tier is away, and will be told as soon as it is back. */
  async invalidate(version: string, keys: readonly K[]): Promise<boolean> {
    this.postpone(keys.map((key) => [this.nameOf(version, key), key]));
    return this.flush();
  }

  /** Tells all processes of a new version. False: the tier is away, and will be told as soon as it is back. */
  async publish(version: string): Promise<boolean> {
    this.untoldVersion = version;
    return this.flush();
  }

  /** A value that is not what it should be. */
  countPoisoned(): void {
    this.poisoned++;
  }

  stats(): GuardStatistics & SharedStatistics {
    const pendingInvalidations = this.pending.size + (this.untoldVersion === undefined ? 0 : 1);
    return { ...this.guard.stats(), poisoned: this.poisoned, pendingInvalidations };
  }

  /** Ends listening; what is pending is tried once more. */
  async close(): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.retry);
    this.unsubscribe();
    await this.flush();
  }

  private nameOf(version: string, key: K): string {
    // Half of a surrogate pair has no bytes of its own.
    const isOdd = typeof key === 'string' && /\p{Surrogate}/u.test(key);
    const text = isOdd ? `j${JSON.stringify(key)}` : `${typeof key === 'number' ? 'i' : 's'}${key}`;
    return `${encodeURIComponent(this.name)}:${encodeURIComponent(version)}:${text}`;
  }

  private get versionName(): string {
    return `${encodeURIComponent(this.name)}#version`;
  }

  private sealed(version: string, entries: readonly (readonly [K, Enveloped])[]): SharedEntry[] {
    return entries.map(([key, entry]) => ({
      key: this.nameOf(version, key),
      bytes: seal(entry),
      ttlMs: entry.servedMs,
    }));
  }

  private postpone(keys: readonly (readonly [string, K])[]): void {
    for (const [name, key] of keys) this.pending.set(name, key);
    if (this.pending.size <= MOST_PENDING) return;
    // Nothing of this version counts any more, for anyone.
    this.pending.clear();
    this.untoldVersion = randomUUID();
    this.listeners.onVersion(this.untoldVersion, true);
  }

  /** Tells the tier what is pending, once what is being told has been; tries again later if it is away. */
  private flush(): Promise<boolean> {
    this.flushes = this.flushes.then(() => this.flushOnce());
    return this.flushes;
  }

  private async flushOnce(): Promise<boolean> {
    const version = this.untoldVersion;
    const keys = [...this.pending];
    const ttlMs = this.times.tombstoneMs;
    if (version === undefined && keys.length === 0) return true;
    const isTold = await this.attempt(async () => {
      if (version !== undefined) {
        const bytes = Buffer.from(version);
        await this.tier.setMany([{ key: this.versionName, bytes, ttlMs: Infinity }]);
        await this.tier.publish(this.name, this.text({ version }));
      }
      if (keys.length > 0) {
        await this.tier.setMany(keys.map(([key]) => ({ key, bytes: TOMBSTONE, ttlMs })));
        await this.tier.publish(this.name, this.text({ keys: keys.map(([, key]) => key) }));
      }
    });
    if (isTold) {
      if (this.untoldVersion === version) this.untoldVersion = undefined;
      if (version !== undefined) this.known = version;
      for (const [name] of keys) this.pending.delete(name);
    } else {
      this.retryLater();
    }
    return isTold;
  }

  private retryLater(): void {
    if (this.isClosed) return;
    clearTimeout(this.retry);
    this.retry = setTimeout(() => {
      void this.flush();
      if (this.isVersionDue) void this.adoptVersion();
    }, RETRY_MS);
    this.retry.unref();
  }

  private async attempt(request: () => Promise<void>): Promise<boolean> {
    try {
      await this.guard.run(request);
      return true;
    } catch (error) {
      if (error instanceof UnavailableError) return false;
      throw error;
    }
  }

  private async tell(what: { readonly keys: readonly K[] }): Promise<void> {
    await this.attempt(() => this.tier.publish(this.name, this.text(what)));
  }

  private text(what: { readonly keys?: readonly K[]; readonly version?: string }): string {
    return JSON.stringify({ from: this.origin, ...what });
  }

  private hear(text: string): void {
    let said: { from?: unknown; keys?: unknown; version?: unknown };
    try {
      said = JSON.parse(text) as typeof said;
    } catch {
      return;
    }
    if (said === null || typeof said !== 'object' || said.from === this.origin) return;
    // Of two published at once all processes must take the same: the one that the tier has in the end.
    if (typeof said.version === 'string') void this.adoptVersion();
    if (Array.isArray(said.keys)) this.listeners.onOutdated(said.keys.filter(isCacheKey) as K[]);
  }

  private hearVersion(version: string, isNews: boolean): void {
    if (version === this.known || version === '') return;
    this.known = version;
    this.listeners.onVersion(version, isNews);
  }

  /** After listening began, or began anew: what was said meanwhile was missed. */
  private beginAnew(): Promise<void> {
    this.listeners.onGap();
    return this.adoptVersion();
  }

  /** Takes the version over that the tier has; asks until it is told. */
  private async adoptVersion(): Promise<void> {
    this.isVersionDue = true;
    if (this.untoldVersion !== undefined || this.isClosed) return;
    try {
      const [bytes] = await this.guard.run(() => this.tier.getMany([this.versionName]));
      if (this.untoldVersion !== undefined) return;
      this.isVersionDue = false;
      if (bytes) this.hearVersion(Buffer.from(bytes).toString(), this.hasAsked);
      // The tier has lost it.
      else if (this.known !== undefined) this.untoldVersion = this.known;
      this.hasAsked = true;
      if (this.untoldVersion !== undefined) await this.flush();
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      this.retryLater();
    }
  }
}
