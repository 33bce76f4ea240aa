import { LichenError } from '../errors.js';
import { native, type IndexHandle } from '../native.js';

/** When a change of an index with a journal is acknowledged: see `OpenOptions`. */
export type Durability = 'sync' | 'interval' | 'none';

/** How the changes of an index come one after another, and when they are acknowledged. */
export interface Writes {
  /** Whether a change is at work, so that the next has to wait: what it is given must be its own. */
  readonly isBusy: boolean;
  run<T>(change: () => T | Promise<T>): Promise<T>;
  runSync<T>(change: () => T): T;
  /** Writes a file, which may be the journal's own. */
  save(write: () => Promise<number>): Promise<number>;
  /** Undefined where there is no journal. */
  checkpoint(): Promise<number> | undefined;
  /** Until no change waits and no file is being written. */
  settled(): Promise<void>;
  close(): void;
}

/** Of an index in memory alone: native code refuses what comes at the wrong moment. */
export const UNJOURNALED: Writes = {
  isBusy: false,
  run: async (change) => change(),
  runSync: (change) => change(),
  save: (write) => write(),
  checkpoint: () => undefined,
  settled: () => Promise.resolve(),
  close: () => undefined,
};

/** Of an index whose journal another thread keeps, which alone can say when a change is on disk. */
export const READ_ONLY: Writes = {
  isBusy: false,
  run: () => Promise.reject(refusal()),
  runSync: () => {
    throw refusal();
  },
  save: () => Promise.reject(refusal()),
  checkpoint: () => Promise.reject(refusal()),
  settled: () => Promise.resolve(),
  close: () => undefined,
};

function refusal(): LichenError {
  return new LichenError(
    'ERR_LICHEN_UNSUPPORTED',
    'an index with a journal is changed and saved by the thread that opened it, not by others',
  );
}

/** How a journal is kept. */
export interface JournalSettings {
  readonly durability: Durability;
  readonly syncInterval: number;
  readonly checkpointBytes: number;
}

/**
 * Of an index with a journal. Changes wait for one another. Native code writes each into the journal; with `sync` one
 * wait for the disk acknowledges all changes that were made since the one before.
 */
export class JournaledWrites implements Writes {
  readonly #handle: IndexHandle;
  readonly #settings: JournalSettings;
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #syncing: Promise<void> = Promise.resolve();
  #nextSync: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #checkpoint: Promise<number> | undefined;
  #isClosed = false;

  constructor(handle: IndexHandle, settings: JournalSettings) {
    this.#handle = handle;
    this.#settings = settings;
  }

  get isBusy(): boolean {
    return this.#waiting > 0;
  }

  async run<T>(change: () => T | Promise<T>): Promise<T> {
    const value = await this.#inTurn(change);
    await this.#acknowledge();
    return value;
  }

  runSync<T>(change: () => T): T {
    const value = change();
    if (this.#settings.durability === 'sync') native().indexSyncNow(this.#handle);
    else this.#syncLater();
    this.#checkpointIfWorth();
    return value;
  }

  async save(write: () => Promise<number>): Promise<number> {
    while (this.#checkpoint !== undefined) await this.#checkpoint.catch(() => undefined);
    return this.#alone(() => this.#inTurn(write));
  }

  checkpoint(): Promise<number> {
    return this.#checkpoint ?? this.#alone(() => this.#makeCheckpoint());
  }

  async settled(): Promise<void> {
    while (this.isBusy || this.#checkpoint !== undefined) {
      await this.#tail;
      await this.#checkpoint?.catch(() => undefined);
    }
  }

  /** While one file is written no checkpoint begins. */
  #alone(write: () => Promise<number>): Promise<number> {
    this.#checkpoint = write().finally(() => (this.#checkpoint = undefined));
    return this.#checkpoint;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    if (this.#settings.durability !== 'none') native().indexSyncNow(this.#handle);
  }

  /** At once if nothing is at work, so that the caller's arrays are still what they were. */
  #inTurn<T>(change: () => T | Promise<T>): Promise<T> {
    const start = this.isBusy ? this.#tail.then(change) : (async () => change())();
    this.#waiting++;
    const done = start.finally(() => this.#waiting--);
    this.#tail = done.catch(() => undefined);
    return done;
  }

  async #acknowledge(): Promise<void> {
    if (this.#settings.durability === 'sync') await this.#sync();
    else this.#syncLater();
    this.#checkpointIfWorth();
  }

  /** A wait for the disk that has begun may have missed the change: the one after it has not. */
  #sync(): Promise<void> {
    this.#nextSync ??= (async () => {
      await this.#syncing.catch(() => undefined);
      this.#nextSync = undefined;
      this.#syncing = native().indexSync(this.#handle);
      await this.#syncing;
    })();
    return this.#nextSync;
  }

  #syncLater(): void {
    if (this.#settings.durability !== 'interval' || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      // A failure shows in the next change: the journal refuses it.
      if (!this.#isClosed) this.#sync().catch(() => undefined);
    }, this.#settings.syncInterval).unref();
  }

  #checkpointIfWorth(): void {
    if (this.#checkpoint !== undefined || this.#isClosed) return;
    if (native().indexJournalBytes(this.#handle) < this.#settings.checkpointBytes) return;
    // Nothing is lost if it fails: the journal goes on, and the next change tries again.
    this.checkpoint().catch(() => undefined);
  }

  async #makeCheckpoint(): Promise<number> {
    const addon = native();
    const copied = await this.#inTurn(() =>
      addon.indexBeginCheckpoint(this.#handle, addon.createProgress()),
    );
    return addon.indexFinishCheckpoint(copied);
  }
}
