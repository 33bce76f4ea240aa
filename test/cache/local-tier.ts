import type { SharedEntry, SharedTier } from '../../src/cache/shared-tier.js';

/** What several {@link LocalTier}s share: a server without a process. */
export class LocalStore {
  readonly entries = new Map<string, Uint8Array>();
  readonly ttls = new Map<string, number>();
  readonly tiers = new Set<LocalTier>();
}

/** One process's way to a {@link LocalStore}, which a test can cut. Answers come by promises alone, without timers. */
export class LocalTier implements SharedTier {
  isCut = false;
  /** How many requests fail from now on. */
  failures = 0;
  /** Names that were asked for, one list a request. */
  readonly reads: string[][] = [];
  private readonly subscriptions = new Map<string, { onText: (text: string) => void }>();
  private onGaps: (() => void)[] = [];

  constructor(readonly store: LocalStore) {
    store.tiers.add(this);
  }

  async getMany(keys: readonly string[]): Promise<(Uint8Array | null)[]> {
    await this.reach();
    this.reads.push([...keys]);
    return keys.map((key) => {
      const bytes = this.store.entries.get(key);
      return bytes === undefined ? null : new Uint8Array(bytes);
    });
  }

  async setMany(entries: readonly SharedEntry[]): Promise<void> {
    await this.reach();
    for (const { key, bytes, ttlMs } of entries) {
      this.store.entries.set(key, new Uint8Array(bytes));
      this.store.ttls.set(key, ttlMs);
    }
  }

  async fillMany(entries: readonly SharedEntry[], guard: Uint8Array): Promise<void> {
    await this.reach();
    const isGuarded = (key: string): boolean => {
      const bytes = this.store.entries.get(key);
      return bytes !== undefined && guard.every((byte, at) => bytes[at] === byte);
    };
    await this.setMany(entries.filter(({ key }) => !isGuarded(key)));
  }

  async publish(channel: string, text: string): Promise<void> {
    await this.reach();
    for (const tier of this.store.tiers) {
      if (!tier.isCut) tier.subscriptions.get(channel)?.onText(text);
    }
  }

  subscribe(channel: string, onText: (text: string) => void, onGap: () => void): () => void {
    this.subscriptions.set(channel, { onText });
    this.onGaps.push(onGap);
    queueMicrotask(() => {
      if (!this.isCut) onGap();
    });
    return () => {
      this.subscriptions.delete(channel);
      this.onGaps = this.onGaps.filter((other) => other !== onGap);
    };
  }

  /** Connected again: texts may have been missed. */
  mend(): void {
    this.isCut = false;
    for (const onGap of this.onGaps) onGap();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private async reach(): Promise<void> {
    await Promise.resolve();
    if (this.isCut) throw new Error('cut');
    if (this.failures > 0) {
      this.failures--;
      throw new Error('failed');
    }
  }
}
