/** A value for a shared tier, and how long it may stay there. */
export interface SharedEntry {
  /** What it stands under. */
  readonly key: string;
  /** The value, as its cache writes it. */
  readonly bytes: Uint8Array;
  /** Infinity: until it is replaced. */
  readonly ttlMs: number;
}

/**
 * A store that several processes share, as caches use it. Its methods reject when the store cannot be reached; how long
 * a caller waits for them is the caller's matter.
 */
export interface SharedTier {
  /** What stands under each key, null where there is nothing; one request for all. */
  getMany(keys: readonly string[]): Promise<(Uint8Array | null)[]>;
  /** Stores entries whatever stands there. */
  setMany(entries: readonly SharedEntry[]): Promise<void>;
  /** Stores entries, except where an entry stands that begins with the bytes of `guard`. */
  fillMany(entries: readonly SharedEntry[], guard: Uint8Array): Promise<void>;
  /** Sends a text to all who listen to a channel. */
  publish(channel: string, text: string): Promise<void>;
  /**
   * Listens to a channel until the function that it returns is called. `onGap` is called when listening begins anew
   * after an interruption, in which texts may have been missed, and when it begins at all.
   */
  subscribe(channel: string, onText: (text: string) => void, onGap: () => void): () => void;
  /** Ends its connections. */
  close(): Promise<void>;
}
