import { LichenAbortError } from '../errors.js';
import type { CacheKey } from './key-hash.js';
import type { ValueBytes } from './value-bytes.js';

/** A value on its way, for all who want it. */
export interface Flight {
  readonly value: Promise<ValueBytes>;
  /** False once the key was invalidated or written meanwhile: then what comes must not be stored. */
  isStorable: boolean;
}

interface OwnFlight<K> extends Flight {
  readonly key: K;
  readonly group: Group;
  readonly resolve: (value: ValueBytes) => void;
  readonly reject: (reason: unknown) => void;
  waiters: number;
}

/** Keys that are loaded together; given up together, once nobody waits for any of them. */
interface Group {
  readonly controller: AbortController;
  /** Whether the load goes on although nobody waits for it. */
  readonly isKept: boolean;
  waiters: number;
}

/** What is being loaded, by key: one load however many ask. */
export class Flights<K extends CacheKey> {
  private readonly byKey = new Map<K, OwnFlight<K>>();

  get(key: K): Flight | undefined {
    return this.byKey.get(key);
  }

  /**
   * Begins a flight for each of some keys that have none.
   * @param ahead keys that nobody has asked for yet, loaded with the others.
   */
  begin(keys: readonly K[], isKept = false, ahead: readonly K[] = []): LoadGroup<K> {
    const group: Group = { controller: new AbortController(), isKept, waiters: 0 };
    const flights = [...keys, ...ahead].map((key) => {
      let resolve!: (value: ValueBytes) => void;
      let reject!: (reason: unknown) => void;
      const value = new Promise<ValueBytes>((fulfil, fail) => {
        resolve = fulfil;
        reject = fail;
      });
      // Nobody may be waiting: a refresh, or a request that was aborted.
      value.catch(() => undefined);
      const flight = { key, group, value, resolve, reject, waiters: 0, isStorable: true };
      this.byKey.set(key, flight);
      return flight;
    });
    return new LoadGroup(flights, group, new Set(ahead), (flight) => this.leave(flight));
  }

  /** Waits for a flight, unless the signal fires first: then the load goes on for the others, if there are any. */
  async join(flight: Flight, signal: AbortSignal | undefined): Promise<ValueBytes> {
    const own = flight as OwnFlight<K>;
    own.group.waiters++;
    own.waiters++;
    if (signal === undefined) return own.value;
    let onAbort!: () => void;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => {
        this.abandon(own, signal.reason);
        reject(new LichenAbortError('get was aborted', { cause: signal.reason }));
      };
      signal.addEventListener('abort', onAbort, { once: true });
    });
    try {
      return await Promise.race([own.value, aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** What is on its way for a key is out of date: it is not stored, and whoever asks from now on gets another. */
  outdate(key: K): void {
    const flight = this.byKey.get(key);
    if (flight === undefined) return;
    flight.isStorable = false;
    this.byKey.delete(key);
  }

  outdateAll(): void {
    for (const key of [...this.byKey.keys()]) this.outdate(key);
  }

  /** Rejects all flights. */
  end(reason: unknown): void {
    for (const flight of this.byKey.values()) {
      flight.isStorable = false;
      flight.reject(reason);
      flight.group.controller.abort(reason);
    }
    this.byKey.clear();
  }

  /** One waiter less; after the last, the load is given up, and whoever asks from now on begins another. */
  private abandon(flight: OwnFlight<K>, reason: unknown): void {
    const { group } = flight;
    // It has landed.
    if (flight.waiters === 0) return;
    flight.waiters--;
    if (--group.waiters > 0 || group.isKept) return;
    for (const [key, other] of this.byKey) if (other.group === group) this.outdate(key);
    group.controller.abort(reason);
  }

  private leave(flight: OwnFlight<K>): void {
    if (this.byKey.get(flight.key) === flight) this.byKey.delete(flight.key);
  }
}

/** The flights that one load serves. */
export class LoadGroup<K extends CacheKey> {
  private readonly open: Map<K, OwnFlight<K>>;

  constructor(
    flights: readonly OwnFlight<K>[],
    private readonly group: Group,
    private readonly ahead: ReadonlySet<K>,
    private readonly leave: (flight: OwnFlight<K>) => void,
  ) {
    this.open = new Map(flights.map((flight) => [flight.key, flight]));
  }

  get controller(): AbortController {
    return this.group.controller;
  }

  /** Whether the load goes on although nobody waits for it. */
  get isKept(): boolean {
    return this.group.isKept;
  }

  /** Whether nobody had asked for the key when loading began. */
  isAhead(key: K): boolean {
    return this.ahead.has(key);
  }

  /** Keys that have no value yet. */
  get keys(): K[] {
    return [...this.open.keys()];
  }

  /** Hands a value to all who wait. Whether it may be stored. */
  land(key: K, value: ValueBytes): boolean {
    const flight = this.open.get(key)!;
    this.open.delete(key);
    this.leave(flight);
    flight.group.waiters -= flight.waiters;
    flight.waiters = 0;
    flight.resolve(value);
    return flight.isStorable;
  }

  /** Those who wait for a key get an error. */
  failOne(key: K, reason: unknown): void {
    const flight = this.open.get(key)!;
    this.open.delete(key);
    this.leave(flight);
    flight.group.waiters -= flight.waiters;
    flight.waiters = 0;
    flight.reject(reason);
  }

  /** Those who wait for one of the keys that have no value get an error. */
  fail(reason: unknown): void {
    for (const flight of this.open.values()) {
      this.leave(flight);
      flight.reject(reason);
    }
    this.open.clear();
  }
}
