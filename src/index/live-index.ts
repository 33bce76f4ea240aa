import { LichenError, LichenArgumentError, shown } from '../errors.js';
import { requireInteger, requireOptions, requirePath } from './arguments.js';
import type { OpenOptions } from './file-options.js';
import type { FlatIndex } from './flat.js';
import type { HnswIndex } from './hnsw.js';
import { Lease } from './lease.js';
import { openIndex } from './open.js';
import { readPublished, type Published } from './published.js';
import type { Key } from './types.js';

/** Options of {@link LiveIndex.open}. */
export interface LiveIndexOptions extends OpenOptions {
  /** Milliseconds between two looks at the manifest; 0: only when `refresh` is called. Default 1,000. */
  pollInterval?: number | undefined;
  /** Called when another version has taken the place of the one before. */
  onSwap?: ((published: Published) => void) | undefined;
  /** Called when a look at the folder failed; the version that is there stays. */
  onError?: ((error: unknown) => void) | undefined;
}

/** A version of a folder that is open. */
export interface OpenVersion<K extends Key> {
  readonly index: FlatIndex<K> | HnswIndex<K>;
  readonly published: Published;
}

const OPTIONS = ['map', 'verify', 'pollInterval', 'onSwap', 'onError'] as const;
const MOST_POLL_INTERVAL = 24 * 3600 * 1000;
const MOST_TRIES = 10;

/**
 * The newest snapshot of a folder that `publishIndex` writes to. When a newer one comes, requests that are at work end
 * with the one that they began with, later ones get the newer, and the old one is closed when it has no more: no request
 * fails for it.
 *
 * @example
 * const live = await LiveIndex.open('items', { map: true });
 * const { keys } = await live.use((index) => index.search(query, { k: 10 }));
 */
export class LiveIndex<K extends Key = number> {
  readonly #folder: string;
  readonly #options: LiveIndexOptions;
  #lease: Lease<OpenVersion<K>>;
  #timer: NodeJS.Timeout | undefined;
  #refreshing: Promise<boolean> | undefined;
  #isClosed = false;

  private constructor(folder: string, options: LiveIndexOptions, version: OpenVersion<K>) {
    this.#folder = folder;
    this.#options = options;
    this.#lease = leaseOf(version);
    this.#poll();
  }

  /**
   * Opens what the folder offers. Options are those of `openIndex`; `map` is by default true here, since versions come
   * and go.
   * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_NOT_FOUND if nothing is published there, ERR_LICHEN_IO, ERR_LICHEN_FORMAT,
   * ERR_LICHEN_UNSUPPORTED, ERR_LICHEN_MEMORY.
   */
  static async open<K extends Key = number>(
    folder: string,
    options?: LiveIndexOptions,
  ): Promise<LiveIndex<K>> {
    const { pollInterval = 1000, map = true, ...rest } = requireOptions(options, OPTIONS);
    requireInteger('pollInterval', pollInterval, 0, MOST_POLL_INTERVAL);
    for (const name of ['onSwap', 'onError'] as const) {
      const given: unknown = rest[name];
      if (given === undefined || typeof given === 'function') continue;
      const message = `${name} must be a function, got ${shown(given)}`;
      throw new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
    }
    const resolved = { pollInterval, map, ...rest };
    const version = await openNewest<K>(requirePath(folder), resolved);
    return new LiveIndex(folder, resolved, version);
  }

  /** What is open now. */
  get published(): Published {
    return this.#lease.value.published;
  }

  /**
   * Calls `request` with the index that is open now, and keeps that one open until what it returns has settled.
   * @throws ERR_LICHEN_CLOSED; what the request throws.
   */
  use<T>(request: (index: FlatIndex<K> | HnswIndex<K>) => T): T {
    if (this.#isClosed) throw closed();
    return this.#lease.use(({ index }) => request(index));
  }

  /**
   * Looks whether there is a newer version and opens it; says whether there was.
   * @throws as {@link open}; what was open stays so.
   */
  async refresh(): Promise<boolean> {
    if (this.#isClosed) throw closed();
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  /** Lets go of the index once no request uses it. Closing twice does nothing. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#lease.leave();
  }

  /** As `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  async #refresh(): Promise<boolean> {
    const { version } = await readPublished(this.#folder);
    if (version === this.published.version) return false;
    const next = await openNewest<K>(this.#folder, this.#options);
    if (this.#isClosed) {
      next.index.close();
      return false;
    }
    const before = this.#lease;
    this.#lease = leaseOf(next);
    before.leave();
    this.#options.onSwap?.(next.published);
    return true;
  }

  #poll(): void {
    const { pollInterval, onError } = this.#options;
    if (pollInterval === 0 || this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.refresh()
        .catch((error: unknown) => onError?.(error))
        .finally(() => this.#poll());
    }, pollInterval).unref();
  }
}

function leaseOf<K extends Key>(version: OpenVersion<K>): Lease<OpenVersion<K>> {
  return new Lease(version, ({ index }) => index.close());
}

/** What a folder offers now, opened. A version may be removed between the look at the manifest and that: then there is a newer one. */
export async function openNewest<K extends Key>(
  folder: string,
  { map, verify }: OpenOptions,
): Promise<OpenVersion<K>> {
  for (let tries = 1; ; tries++) {
    const published = await readPublished(folder);
    try {
      return { index: await openIndex<K>(published.path, { map, verify }), published };
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ERR_LICHEN_NOT_FOUND') throw error;
      if (tries === MOST_TRIES) throw error;
    }
  }
}

function closed(): LichenError {
  return new LichenError('ERR_LICHEN_CLOSED', 'the live index is closed');
}
