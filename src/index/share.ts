import { LichenArgumentError, shown } from '../errors.js';
import { native, type IndexHandle, type ShareHandle } from '../native.js';
import type { OpenedIndex } from './snapshot.js';
import { READ_ONLY, UNJOURNALED } from './writes.js';

/** What names an index to other threads of the process: an {@link IndexShare}, or what a message made of one. */
export interface ShareToken {
  /** What `attachIndex` knows the index by. */
  readonly token: string;
}

/**
 * Lets other threads of this process attach to an index (`attachIndex`): send it to them in a message or as
 * `workerData`. Nothing is copied; the index is in memory once, whatever the number of threads.
 *
 * It holds the index until it is closed, or until it and the index object that it was made of are both collected, or the
 * thread that made it has ended. Whoever has attached by then holds the index himself.
 *
 * @example
 * const share: IndexShare = index.share();
 * new Worker('./search.js', { workerData: share }); // which calls attachIndex(workerData)
 */
export class IndexShare implements ShareToken {
  /** Of 128 bits that nobody can guess; valid in this process alone, until the share is closed. */
  readonly token: string;
  readonly #handle: ShareHandle;
  readonly #onClose: (share: IndexShare) => void;

  /** @internal */
  constructor(handle: IndexHandle, onClose: (share: IndexShare) => void) {
    this.#handle = native().indexShare(handle);
    this.#onClose = onClose;
    this.token = native().shareToken(this.#handle);
  }

  /** Nobody can attach by it any more. Closing twice does nothing. */
  close(): void {
    native().shareClose(this.#handle);
    this.#onClose(this);
  }

  /** As `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * The native index of a share. An index with a journal cannot be changed by it, since the thread that opened the index
 * keeps the journal.
 * @throws ERR_LICHEN_ARGUMENT for what is no share of this process, ERR_LICHEN_CLOSED for a share that is closed.
 */
export function attachNative(share: ShareToken): OpenedIndex {
  const token: unknown = (share as Partial<ShareToken> | null | undefined)?.token;
  if (typeof token !== 'string') {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `share must be what index.share() gave, got ${shown(share)}`,
    );
  }
  const handle = native().indexAttach(token);
  const hasJournal = native().indexDescribe(handle).journalBytes !== undefined;
  return { handle, writes: hasJournal ? READ_ONLY : UNJOURNALED };
}

/** The native index of a share that must be of a certain kind. */
export function attachNativeOf(kind: 'flat' | 'hnsw', share: ShareToken): OpenedIndex {
  const attached = attachNative(share);
  const found = native().indexDescribe(attached.handle).index;
  if (found === kind) return attached;
  native().indexClose(attached.handle);
  throw new LichenArgumentError(
    'ERR_LICHEN_ARGUMENT',
    `share is of a ${found} index, expected a ${kind} index`,
  );
}
