import { errorOfCode, LichenError, type LichenErrorCode } from '../errors.js';
import type { Key } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import { History } from './history.js';
import type { AppliedIds } from './applied-ids.js';
import { broken, type Frame } from './frame.js';
import { WriteGroup } from './write-group.js';
import {
  applyWrite,
  decodeWrite,
  pickRows,
  type WriteMessage,
  type WriteRules,
} from './write-message.js';

/** What a change came to. */
export type Outcome =
  | { readonly kind: 'applied' }
  | { readonly kind: 'rejected'; readonly code: LichenErrorCode; readonly message: string }
  /** Not yet done here. */
  | { readonly kind: 'pending' }
  /** Too long ago, or done by another replica before its snapshot was taken. */
  | { readonly kind: 'unknown' };

/** Refusals that every replica comes to, since they follow from the change and those before it. Files have their places. */
const REFUSALS: readonly LichenErrorCode[] = [
  'ERR_LICHEN_ARGUMENT',
  'ERR_LICHEN_DIMENSION',
  'ERR_LICHEN_NOT_FINITE',
  'ERR_LICHEN_DUPLICATE_KEY',
  'ERR_LICHEN_UNKNOWN_KEY',
  'ERR_LICHEN_EMPTY',
  'ERR_LICHEN_FORMAT',
  'ERR_LICHEN_UNSUPPORTED',
];
/** Refusals, and copies, of which is remembered what became of them. */
const REMEMBERED = 10_000;

/** How many changes a replica has seen since it was started, and what became of them. */
export interface ShardCounts {
  /** Done. */
  readonly applied: number;
  /** Damaged, hostile, or against the rules of the index. */
  readonly rejected: number;
  /** Copies of changes that were done before. */
  readonly duplicates: number;
  /** Done late, since they were missing in what the replica had read. */
  readonly mended: number;
}

/** A change as a stream holds it. */
export interface StreamChange {
  readonly seq: number;
  readonly data: Uint8Array;
}

/** And what it says, if it can be understood. */
interface KnownChange extends StreamChange {
  readonly message: WriteMessage | undefined;
}

/**
 * A shard as one replica has it: an index, and the sequence of the last change that is in it. Changes and saves come one
 * after another; searches may run beside them.
 */
export class ShardState {
  #applied: number;
  #tail: Promise<unknown> = Promise.resolve();
  /** Nothing is known of what became of changes up to this one. */
  #forgotten: number;
  readonly #refusals = new Map<number, { code: LichenErrorCode; message: string }>();
  /** Of copies: the sequence of the first, whose outcome is theirs, and what it was refused for, if it was. */
  readonly #copies = new Map<number, { first: number; code: LichenErrorCode | undefined }>();
  readonly #waiting = new Map<() => void, number>();
  #counts = { applied: 0, rejected: 0, duplicates: 0, mended: 0 };
  readonly history: History;
  /** Told of a change that somebody waits for. */
  onWait: (sequence: number) => void = () => undefined;

  constructor(
    readonly index: VectorIndex<Key>,
    private readonly rules: WriteRules,
    private readonly ids: AppliedIds,
    sequence: number,
    /** Fingerprint of the changes that are in the index. */
    fingerprint = 0,
  ) {
    this.#applied = sequence;
    this.#forgotten = sequence;
    this.history = new History(sequence, fingerprint);
  }

  /** The last change that searches find. */
  get sequence(): number {
    return this.#applied;
  }

  get counts(): ShardCounts {
    return this.#counts;
  }

  /**
   * Does those changes that come after the last one, in their order, several at once where they go together; any other is
   * left alone.
   * @throws what keeps this replica alone from doing them, such as ERR_LICHEN_MEMORY: it must not go on then.
   */
  apply(changes: readonly StreamChange[]): Promise<void> {
    return this.#inTurn(async () => {
      let next = this.#applied + 1;
      let group = new WriteGroup();
      let waiting: KnownChange[] = [];
      const doWaiting = async (): Promise<void> => {
        if (waiting.length > 1) await this.#doGroup(waiting, group);
        else if (waiting.length === 1) await this.#do(waiting[0]!);
        group = new WriteGroup();
        waiting = [];
      };
      for (const { seq, data } of changes) {
        if (seq !== next) continue;
        next++;
        const message = this.#decode(seq, data);
        const joins = (): boolean =>
          message !== undefined &&
          this.ids.firstOf(message.id) === undefined &&
          group.takes(message);
        if (!joins()) {
          await doWaiting();
          // It may be a copy of what has just been done.
          joins();
        }
        waiting.push({ seq, data, message });
        if (group.length === 0) await doWaiting();
      }
      await doWaiting();
    });
  }

  /** Whether every change has been done, or refused, but for those that are still to come. */
  hasAll(changes: readonly StreamChange[]): boolean {
    return changes.every(({ seq, data }) => {
      if (seq > this.#applied) return true;
      const message = this.#read(data);
      return message === undefined || this.ids.firstOf(message.id) !== undefined;
    });
  }

  /**
   * Does those changes that are missing, in their order, but for keys that a later change has been done of.
   * @param read gives changes in their order, up to the last that there is.
   * @returns how many were missing. @throws as {@link apply}.
   */
  mend(read: () => Promise<readonly StreamChange[]>): Promise<number> {
    return this.#inTurn(async () => {
      const later = new Set<Key>();
      const missing = new Map<string, { message: WriteMessage; rows: Uint32Array }>();
      for (const { data } of [...(await read())].reverse()) {
        const message = this.#read(data);
        if (message === undefined) continue;
        const keys: readonly Key[] = Array.from(message.keys as ArrayLike<Key>);
        if (this.ids.firstOf(message.id) !== undefined) {
          for (const key of keys) later.add(key);
        } else {
          const rows = Uint32Array.from(keys.flatMap((key, row) => (later.has(key) ? [] : [row])));
          // Of copies the first counts, which comes last here.
          missing.delete(message.id);
          missing.set(message.id, { message, rows });
        }
      }
      for (const { message, rows } of [...missing.values()].reverse()) {
        this.#counts.mended++;
        if (rows.length > 0)
          await this.#attempt(() => applyWrite(this.index, pickRows(message, rows)));
        this.ids.add(message.id, this.#applied);
      }
      return missing.size;
    });
  }

  outcomeOf(sequence: number): Outcome {
    if (sequence > this.#applied) return { kind: 'pending' };
    const copy = this.#copies.get(sequence);
    const refusal = this.#refusals.get(copy?.first ?? sequence);
    if (refusal !== undefined) return { kind: 'rejected', ...refusal };
    if (copy !== undefined) return outcomeOfCopy(copy.code);
    return { kind: sequence > this.#forgotten ? 'applied' : 'unknown' };
  }

  /** Whether a change is there, now or within some milliseconds. */
  async reaches(sequence: number, withinMs: number): Promise<boolean> {
    if (sequence <= this.#applied) return true;
    if (!(withinMs > 0)) return false;
    let timer: NodeJS.Timeout | undefined;
    const arrival = new Promise<boolean>((resolve) => {
      const found = () => resolve(true);
      this.#waiting.set(found, sequence);
      timer = setTimeout(() => {
        this.#waiting.delete(found);
        resolve(false);
      }, withinMs);
    });
    this.onWait(sequence);
    return arrival.finally(() => clearTimeout(timer));
  }

  /** Writes the index and the ids of its last changes; gives the change that they end with. */
  save(path: string, modelVersion: string | undefined) {
    return this.#inTurn(async () => {
      const sequence = this.#applied;
      const ids = this.ids.toBytes();
      const label = {
        snapshotVersion: sequence,
        ...(modelVersion !== undefined && { modelVersion }),
      };
      const bytes = await this.index.save(path, label);
      const { fingerprint } = this.history;
      return { sequence, ids, fingerprint, bytes, size: this.index.size };
    });
  }

  /** Leaves out rows that are dead. */
  compact(): Promise<void> {
    return this.#inTurn(() => this.index.compact());
  }

  /** When what is at work has ended. */
  async idle(): Promise<void> {
    await this.#tail;
  }

  #decode(sequence: number, bytes: Uint8Array): WriteMessage | undefined {
    try {
      return decodeWrite(bytes, this.rules);
    } catch (error) {
      this.#reject(sequence, error);
      return undefined;
    }
  }

  /** Does several changes as one, or one by one if together they are refused. */
  async #doGroup(changes: readonly KnownChange[], group: WriteGroup): Promise<void> {
    try {
      await applyWrite(this.index, group.joined());
    } catch (error) {
      // Then nothing has changed, and each has its own outcome.
      if (!isRefusal(error)) throw error;
      for (const change of changes) await this.#do(change);
      return;
    }
    for (const change of changes) {
      this.#counts.applied++;
      this.ids.add(change.message!.id, change.seq);
      this.#finish(change);
    }
  }

  async #do(change: KnownChange): Promise<void> {
    const { seq, message } = change;
    const first = message && this.ids.firstOf(message.id);
    if (first !== undefined) {
      this.#counts.duplicates++;
      this.#copies.set(seq, { first, code: REFUSALS[this.ids.kindOf(message!.id) - 1] });
      this.#forget(this.#copies);
    } else if (message !== undefined) {
      await this.#attempt(async () => {
        await applyWrite(this.index, message);
        this.#counts.applied++;
      }, seq);
      // Not before: a snapshot that is saved after a failure must not have it for done.
      const code = this.#refusals.get(seq)?.code;
      this.ids.add(message.id, seq, code === undefined ? 0 : REFUSALS.indexOf(code) + 1);
    }
    this.#finish(change);
  }

  /** Nothing is left to do for a change. */
  #finish({ seq, data }: StreamChange): void {
    this.#applied = seq;
    this.history.extend(data);
    for (const [resolve, wanted] of this.#waiting) {
      if (wanted > seq) continue;
      this.#waiting.delete(resolve);
      resolve();
    }
  }

  /** The message of a change that can be understood. */
  #read(bytes: Uint8Array): WriteMessage | undefined {
    try {
      return decodeWrite(bytes, this.rules);
    } catch {
      return undefined;
    }
  }

  async #attempt(work: () => Promise<void>, sequence?: number): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#reject(sequence, error);
    }
  }

  #reject(sequence: number | undefined, error: unknown): void {
    if (!isRefusal(error)) throw error;
    this.#counts.rejected++;
    if (sequence === undefined) return;
    this.#refusals.set(sequence, { code: error.code, message: error.message });
    this.#forget(this.#refusals);
  }

  /** Forgets the oldest of many. */
  #forget(known: Map<number, unknown>): void {
    if (known.size <= REMEMBERED) return;
    const [oldest] = known.keys();
    known.delete(oldest!);
    this.#forgotten = Math.max(this.#forgotten, oldest!);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#tail.then(work);
    this.#tail = done.catch(() => undefined);
    return done;
  }
}

function isRefusal(error: unknown): error is LichenError {
  return error instanceof LichenError && REFUSALS.includes(error.code);
}

/** Of one whose first was done before this replica began. */
function outcomeOfCopy(code: LichenErrorCode | undefined): Outcome {
  if (code === undefined) return { kind: 'applied' };
  return {
    kind: 'rejected',
    code,
    message: 'a change with this idempotency key was refused before',
  };
}

/** @throws ERR_LICHEN_FORMAT for an answer that tells none. */
export function toOutcome({ header }: Frame): Outcome {
  const outcome = header['outcome'] as Partial<Record<string, unknown>> | null | undefined;
  const { kind, code, message } = outcome ?? {};
  if (kind === 'applied' || kind === 'pending' || kind === 'unknown') return { kind };
  if (kind !== 'rejected' || !REFUSALS.includes(code as LichenErrorCode)) {
    throw broken('it tells nothing of a change');
  }
  return { kind, code: code as LichenErrorCode, message: String(message) };
}

/** The error of a change that was rejected. */
export function errorOfOutcome(outcome: Outcome): LichenError | undefined {
  return outcome.kind === 'rejected' ? errorOfCode(outcome.code, outcome.message) : undefined;
}
