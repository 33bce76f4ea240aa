import { machine, native, type IndexHandle, KEY_MODES } from '../native.js';
import {
  requireKeys,
  requireOptions,
  requirePath,
  resolveThreads,
  toKeyList,
} from './arguments.js';
import { toAttributes, type AttributesInput } from './attributes.js';
import { resolveLabel, SAVE_OPTIONS, type SaveOptions } from './file-options.js';
import { runOperation } from './operation.js';
import type {
  AddOptions,
  AddSyncOptions,
  CompactOptions,
  HnswAddOptions,
  HnswAddSyncOptions,
  Key,
  KeysInput,
  UpdateOptions,
  UpdateSyncOptions,
  VectorsInput,
} from './types.js';
import { SearchableIndex } from './searchable-index.js';
import { IndexShare } from './share.js';
import { UNJOURNALED, type Writes } from './writes.js';
import {
  ADD_OPTIONS,
  ADD_SYNC_OPTIONS,
  COMPACT_OPTIONS,
  ownCopy,
  resolveAdd,
} from './write-options.js';

/**
 * What flat and graph indexes share. Vectors are copied when they are added; searches may run side by side and beside
 * an add. One add or save at a time: another meanwhile fails with ERR_LICHEN_BUSY, but that it waits its turn where the
 * index has a journal, which is an option of `open`.
 *
 * Every call on a closed index throws ERR_LICHEN_CLOSED.
 *
 * @example
 * async function replace(index: VectorIndex<string>): Promise<void> {
 *   await index.upsert([[1, 0, 0]], { keys: ['east'] });
 *   await index.remove(['north']);
 *   await index.save('items.lichen');
 * }
 */
export abstract class VectorIndex<K extends Key = number> extends SearchableIndex<K> {
  /** @internal */
  protected readonly writes: Writes;
  /** Kept, so that none is collected before the index that it was made of is. */
  readonly #shares = new Set<IndexShare>();

  protected constructor(handle: IndexHandle, writes: Writes = UNJOURNALED) {
    super(handle);
    this.writes = writes;
  }

  /**
   * Adds vectors; they are copied before this returns, and found by searches once the promise is fulfilled.
   * @throws ERR_LICHEN_DIMENSION, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_EMPTY, ERR_LICHEN_ARGUMENT (keys that do not fit),
   * ERR_LICHEN_DUPLICATE_KEY, ERR_LICHEN_BUSY, ERR_LICHEN_MEMORY, ERR_LICHEN_ABORTED; the index is then as it was.
   */
  async add(vectors: VectorsInput, options?: AddOptions<K>): Promise<void> {
    await this.write(vectors, requireOptions(options, ADD_OPTIONS), 'add');
  }

  /** As {@link add}, but blocks the thread until the vectors are searchable. */
  addSync(vectors: VectorsInput, options?: AddSyncOptions<K>): void {
    this.writeSync(vectors, requireOptions(options, ADD_SYNC_OPTIONS), 'add');
  }

  /**
   * Gives keys that are there other vectors. Searches find the old ones until all new ones are ready. Now and then it
   * compacts the index, see {@link compact}.
   * @throws ERR_LICHEN_UNKNOWN_KEY, ERR_LICHEN_DUPLICATE_KEY (a key twice in one call); as {@link add}.
   */
  async update(vectors: VectorsInput, options: UpdateOptions<K>): Promise<void> {
    await this.write(vectors, requireKeys(requireOptions(options, ADD_OPTIONS)), 'update');
  }

  /** As {@link update}, but blocks the thread, and does not compact. */
  updateSync(vectors: VectorsInput, options: UpdateSyncOptions<K>): void {
    this.writeSync(vectors, requireKeys(requireOptions(options, ADD_SYNC_OPTIONS)), 'update');
  }

  /** As {@link update}, but keys that are not there are added. */
  async upsert(vectors: VectorsInput, options: UpdateOptions<K>): Promise<void> {
    await this.write(vectors, requireKeys(requireOptions(options, ADD_OPTIONS)), 'upsert');
  }

  /** As {@link upsert}, but blocks the thread, and does not compact. */
  upsertSync(vectors: VectorsInput, options: UpdateSyncOptions<K>): void {
    this.writeSync(vectors, requireKeys(requireOptions(options, ADD_SYNC_OPTIONS)), 'upsert');
  }

  /**
   * Removes the vectors of some keys; no search that begins later finds them. Once a quarter of the rows is dead it
   * compacts the index before the promise is fulfilled, beside searches; see {@link compact}.
   * @throws ERR_LICHEN_UNKNOWN_KEY, ERR_LICHEN_DUPLICATE_KEY (a key twice in one call), ERR_LICHEN_BUSY; nothing is
   * removed then.
   */
  async remove(keys: KeysInput<K>): Promise<void> {
    const list = this.own(toKeyList(keys));
    await this.writes.run(() => native().indexRemove(this.handle, list));
    await this.#compactIfWorth();
  }

  /** As {@link remove}, but at once, and without compaction. */
  removeSync(keys: KeysInput<K>): void {
    this.writes.runSync(() => native().indexRemove(this.handle, toKeyList(keys)));
  }

  /**
   * Leaves out the rows of vectors that were removed or replaced, mends a graph where it led over them, and gives their
   * memory back; searches go on meanwhile. Rows get new numbers: bits of filters mean others afterwards, a `Filter`
   * goes on meaning the same vectors past one compaction.
   * @throws ERR_LICHEN_BUSY, ERR_LICHEN_MEMORY, ERR_LICHEN_ABORTED; the index is then as it was.
   */
  async compact(options?: CompactOptions): Promise<void> {
    const given = requireOptions(options, COMPACT_OPTIONS);
    const threads = resolveThreads(given.threads, machine().threads);
    await this.writes.run(() =>
      runOperation('compaction', given, (progress) =>
        native().indexCompact(this.handle, threads, progress),
      ),
    );
  }

  /**
   * Gives the vectors of some keys other values of the attributes named, at once: null, NaN or no tags take a value.
   * @throws ERR_LICHEN_UNKNOWN_KEY, ERR_LICHEN_DUPLICATE_KEY (a key twice in one call), ERR_LICHEN_ARGUMENT,
   * ERR_LICHEN_BUSY; nothing is changed then.
   */
  setAttributes(keys: KeysInput<K>, attributes: AttributesInput): void {
    const list = toKeyList(keys);
    const columns = toAttributes(this.schema, attributes, list.length);
    this.writes.runSync(() => native().indexSetAttributes(this.handle, list, columns));
  }

  /**
   * Writes the index to a snapshot file, atomically: `path` holds the old file or the whole new one, never a part.
   * Dead rows are written as well: {@link compact} before it makes the file smaller.
   * @returns the file's size in bytes.
   * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_NOT_FOUND for a missing folder, ERR_LICHEN_IO, ERR_LICHEN_BUSY,
   * ERR_LICHEN_ABORTED.
   */
  async save(path: string, options?: SaveOptions): Promise<number> {
    const given = requireOptions(options, SAVE_OPTIONS);
    const target = requirePath(path);
    const label = resolveLabel(given);
    return this.writes.save(() =>
      runOperation(`writing ${target}`, given, (progress) =>
        native().indexSave(this.handle, target, progress, ...label),
      ),
    );
  }

  /**
   * Writes an index that was opened with a journal over its snapshot file, after which the journal begins anew; searches
   * go on, and changes wait until the index is copied. It happens by itself once the journal is `checkpointBytes` long.
   * @returns the file's size in bytes; undefined if there is no journal.
   * @throws ERR_LICHEN_IO; snapshot and journal are then as they were.
   */
  async checkpoint(): Promise<number | undefined> {
    return this.writes.checkpoint();
  }

  /**
   * Lets other threads of this process attach to the index, by `attachIndex` there. The share holds the index as this
   * object does, and so is to be closed as well.
   */
  share(): IndexShare {
    const share = new IndexShare(this.handle, (closed) => this.#shares.delete(closed));
    this.#shares.add(share);
    return share;
  }

  /** Bytes of the journal; undefined if there is none. */
  get journalBytes(): number | undefined {
    return this.describe().journalBytes;
  }

  /**
   * Frees the memory and lets go of the journal, once running operations have ended: a checkpoint at work keeps the file
   * locked until then. `await using`, or `[Symbol.asyncDispose]()`, waits for that. Closing twice does nothing.
   * @throws ERR_LICHEN_IO if the last changes could not be synced; it is closed nevertheless.
   */
  close(): void {
    try {
      this.writes.close();
    } finally {
      native().indexClose(this.handle);
    }
  }

  /** As `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Waits for changes and checkpoints that are at work, and closes: the file may be opened again at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.writes.settled();
    this.close();
  }

  /** @internal */
  protected async write(
    vectors: VectorsInput,
    options: HnswAddOptions<K>,
    mode: keyof typeof KEY_MODES,
  ): Promise<void> {
    const { data, keys, threads, attributes, neighbors } = this.own(
      this.#resolveAdd(vectors, options),
    );
    const how = KEY_MODES[mode];
    const lists = [neighbors?.rows, neighbors?.k] as const;
    try {
      await this.writes.run(() =>
        runOperation(mode, options, (progress) =>
          native().indexAdd(this.handle, keys, data, threads, progress, how, attributes, ...lists),
        ),
      );
    } finally {
      this.forgetKind();
    }
    if (mode !== 'add') await this.#compactIfWorth();
  }

  /** What was to be done is done, so another change that is at work already, or close, is no failure. */
  async #compactIfWorth(): Promise<void> {
    try {
      if (native().indexWantsCompaction(this.handle)) await this.compact();
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (code !== 'ERR_LICHEN_BUSY' && code !== 'ERR_LICHEN_CLOSED') throw error;
    }
  }

  /** @internal */
  protected writeSync(
    vectors: VectorsInput,
    options: HnswAddSyncOptions<K>,
    mode: keyof typeof KEY_MODES,
  ): void {
    const { data, keys, threads, attributes, neighbors } = this.#resolveAdd(vectors, options);
    const addon = native();
    const progress = addon.createProgress();
    const how = KEY_MODES[mode];
    const lists = [neighbors?.rows, neighbors?.k] as const;
    this.writes.runSync(() =>
      addon.indexAddSync(this.handle, keys, data, threads, progress, how, attributes, ...lists),
    );
  }

  /** What a change is given: a copy if it has to wait, since the caller may do what he likes with his arrays. */
  protected own<T>(given: T): T {
    return this.writes.isBusy ? ownCopy(given) : given;
  }

  #resolveAdd(vectors: VectorsInput, options: HnswAddSyncOptions<K>) {
    this.forgetKind();
    return resolveAdd({ dim: this.dim, schema: this.schema }, vectors, options);
  }
}
