import { join } from 'node:path';
import load from 'node-gyp-build';
import { errorOfCode, LichenError, type LichenErrorCode } from './errors.js';
import type { CudaCalls } from './native-cuda.js';
import type {
  Access,
  IndexDescription,
  NativeSnapshotReport,
  StorageErrors,
  StoreDescription,
} from './native-descriptions.js';
import type { TensorCalls } from './native-tensor.js';

export type {
  Access,
  IndexDescription,
  NativeSnapshotReport,
  SnapshotSection,
  StorageErrors,
  StoreDescription,
} from './native-descriptions.js';

declare const nativeKind: unique symbol;
/** A native index, shared by whoever holds the handle; freed when closed everywhere or collected. */
export type IndexHandle = { readonly [nativeKind]: 'index' };
/** How far a native operation is, and the wish that it stop. */
export type FileLockHandle = { readonly [nativeKind]: 'lock' };
export type CheckpointHandle = { readonly [nativeKind]: 'checkpoint' };
export type ProgressHandle = { readonly [nativeKind]: 'progress' };
/** A native share of an index, which keeps the index; given up when closed or collected. */
export type ShareHandle = { readonly [nativeKind]: 'share' };
/** A native embedding store; freed when closed or collected. */
export type StoreHandle = { readonly [nativeKind]: 'store' };

/** Kinds of keys: none given (row numbers), integers, strings. */
export type KeyKind = 'row' | 'integer' | 'string';

/** How vectors are kept; `StorageType` in `vectors/` says what each is. */
export type StorageName = 'f32' | 'f16' | 'bf16' | 'i8' | 'i4' | 'b1' | 'pq';

/** The processor as the kernels see it. */
export interface Machine {
  /** Instruction set in use. */
  readonly isa: string;
  /** Instruction sets that can run here, narrowest first; `LICHEN_ISA` names one to use. */
  readonly runnable: readonly string[];
  /** Threads that are worth having: processors that this process may use, as affinity and a container's quota have it. */
  readonly threads: number;
}

/** What this process may use, whatever the machine has. */
export interface ProcessLimits {
  /** Processors that its threads may run on. */
  readonly processors: number;
  /** Processor seconds a second that its control groups allow, and the file that says so; 0 and '' without a limit. */
  readonly quota: number;
  readonly quotaFrom: string;
  /** Bytes of memory that its control groups allow, and the file that says so; 0 and '' without a limit. */
  readonly memoryBytes: number;
  readonly memoryFrom: string;
}

/** What a sound index file of hnswlib says of its rows, in the order in which they were added. */
export interface HnswlibReport {
  readonly labels: Float64Array;
  /** One a row, 1 where it is marked as deleted. */
  readonly deleted: Uint8Array;
  readonly m: number;
  readonly efConstruction: number;
  /** Rows that hnswlib will take memory for. */
  readonly capacity: number;
}

/** Keys of an add: null for row numbers. */
export type NativeKeys = null | Float64Array | readonly string[];
/** Where a search writes integer keys; null where keys are strings, which it returns. */
export type NativeSlots = Float64Array | null;

/**
 * Searches for the query in the memory that it was made with, by the numbers there (k, ef, first place of the results);
 * gives the number of results. With arguments: where results go from now on. None of that memory may be detached.
 */
export interface NativeSearcher {
  (): number;
  (slots: Float64Array, scores: Float32Array): void;
}
/** `ef` of a search that scores every row; between 0 and 1 it is the recall wanted, and 0 the default. */
export const EXACT = -1;
/** The rows a search may return: bit r % 8 of byte r / 8 for row r; null for all. */
export type NativeFilter = Uint8Array | null;
/** What is found, where only the search tells how much. */
export interface NativeHits<Keys extends Float64Array | string[]> {
  readonly keys: Keys;
  readonly scores: Float32Array;
}
/** What becomes of keys of an add that are there already: an error; they must be; they may be. */
export const KEY_MODES = { add: 0, update: 1, upsert: 2 } as const;

/** Names and kinds of attributes, by turns. */
export type NativeSchema = readonly string[];
/**
 * Values of one attribute: numbers (NaN for none); for a category its distinct strings and a code a row (0 for none,
 * else 1 + the string's place); for tags their distinct strings, the places of all rows' tags, and where each row's
 * begin; null where no row has a value.
 */
export type NativeColumn =
  | null
  | Float64Array
  | readonly [strings: readonly string[], codes: Uint32Array]
  | readonly [strings: readonly string[], codes: Uint32Array, offsets: Uint32Array];
/** Values of the attributes in the order of the schema; null where no row has any. */
export type NativeAttributes = readonly NativeColumn[] | null;
/** A condition on attributes: the same key for the same rows, its nodes, the strings that they name. */
export type NativeCondition = readonly [
  key: string,
  program: Float64Array,
  strings: readonly string[],
];
/** What narrows a search. */
export interface NativeRestrictions {
  /** 0 for the default. */
  readonly oversample?: number;
  readonly filter?: Uint8Array;
  /** Whose rows those of the filter are; 0 for the present layout. */
  readonly layout?: number;
  /** Keys that must not be found, and where those of each query end. */
  readonly exclude?: Float64Array | readonly string[];
  readonly ends?: Uint32Array;
  readonly where?: NativeCondition;
  /** Place of the attribute in the schema. */
  readonly groupBy?: number;
  readonly groupSize?: number;
}

/** Of the whole process. */
export interface NativeShareCounts {
  /** Shares that are open. */
  readonly shares: number;
  /** Indexes that were ever shared and are still in memory. */
  readonly indexes: number;
  /** Who holds these: handles of all threads, shares, operations at work. */
  readonly holders: number;
}

/** The addon's functions. Arguments are checked there too, but the messages for people are made here. */
export interface Addon extends TensorCalls, CudaCalls {
  setErrorFactory(factory: (code: LichenErrorCode, message: string) => Error): void;
  machine(): Machine;
  /** As they are now; a container's may change while it runs. */
  limits(): ProcessLimits;
  /** `rerank` '' for none, `codes` a vector: of pq the subspaces, else the components; 0 for the default. */
  createFlat(
    dim: number,
    metric: string,
    storage: string,
    rerank: string,
    codes: number,
    seed: number,
    attributes: NativeSchema,
  ): IndexHandle;
  createHnsw(
    dim: number,
    metric: string,
    storage: string,
    rerank: string,
    codes: number,
    seed: number,
    attributes: NativeSchema,
    m: number,
    efConstruction: number,
  ): IndexHandle;
  /** An index with the vectors and the graph of a file of hnswlib; keys null for its labels, 'row' for row numbers. */
  indexFromHnswlib(
    dim: number,
    metric: string,
    storage: string,
    rerank: string,
    codes: number,
    seed: number,
    attributes: NativeSchema,
    path: string,
    keys: null | 'row' | readonly string[],
    threads: number,
    progress: ProgressHandle,
  ): Promise<IndexHandle>;
  /** Learns from queries what beam reaches what recall. */
  indexCalibrate(index: IndexHandle, queries: Float32Array): Promise<void>;
  /** Pairs of a beam and the recall it reached. */
  indexCalibration(index: IndexHandle): Float64Array;
  /** With threads, together with the journal beside it, of which they do again what the snapshot does not have. */
  indexOpen(path: string, access: Access, threads: number | null): Promise<IndexHandle>;
  /** Of all files of its journal, which must be there. */
  indexJournalBytes(index: IndexHandle): number;
  /** Once every change so far is on disk. */
  indexSync(index: IndexHandle): Promise<void>;
  indexSyncNow(index: IndexHandle): void;
  /** Copies an index with a journal beside its snapshot file. */
  indexBeginCheckpoint(index: IndexHandle, progress: ProgressHandle): Promise<CheckpointHandle>;
  /** Puts the copy in the file's place; returns its size. */
  indexFinishCheckpoint(checkpoint: CheckpointHandle): Promise<number>;
  /** Locks a file, which is made if it is not there, against others that ask so; null if another has it. */
  lockFile(path: string): FileLockHandle | null;
  unlockFile(lock: FileLockHandle): void;
  /** Removes a snapshot that no process has mapped; whether it is gone. */
  removeUnreadFile(path: string): boolean;
  indexInspect(path: string): Promise<NativeSnapshotReport>;
  indexDescribe(index: IndexHandle): IndexDescription;
  indexSize(index: IndexHandle): number;
  indexHas(index: IndexHandle, key: number | string): boolean;
  indexGet(index: IndexHandle, key: number | string, vector: Float32Array): boolean;
  /** The keys in order of rows, their rows, and the layout whose rows those are. */
  indexKeys(index: IndexHandle): {
    readonly keys: Float64Array | string[];
    readonly rows: Uint32Array;
    readonly layout: number;
  };
  /** A filter that admits the rows of some keys; ERR_LICHEN_UNKNOWN_KEY for one that is not there. */
  indexFilter(
    index: IndexHandle,
    keys: Float64Array | readonly string[],
  ): { readonly bits: Uint8Array; readonly layout: number };
  indexRemove(index: IndexHandle, keys: Float64Array | readonly string[]): void;
  /** Whether compaction is worth its while now. */
  indexWantsCompaction(index: IndexHandle): boolean;
  indexCompact(index: IndexHandle, threads: number, progress: ProgressHandle): Promise<void>;
  indexAdd(
    index: IndexHandle,
    keys: NativeKeys,
    vectors: Float32Array,
    threads: number,
    progress: ProgressHandle,
    mode: number,
    attributes: NativeAttributes,
    neighbors?: Uint32Array,
    neighborsK?: number,
  ): Promise<void>;
  indexAddSync(
    index: IndexHandle,
    keys: NativeKeys,
    vectors: Float32Array,
    threads: number,
    progress: ProgressHandle,
    mode: number,
    attributes: NativeAttributes,
    neighbors?: Uint32Array,
    neighborsK?: number,
  ): void;
  indexSearchSync(
    index: IndexHandle,
    query: Float32Array,
    k: number,
    ef: number,
    slots: NativeSlots,
    scores: Float32Array,
    restrictions?: NativeRestrictions,
  ): number | string[];
  /** The `k` nearest other rows of each row, as many rows as `out` has room for; 0xFFFFFFFF where there are not so many. */
  indexNeighbors(
    index: IndexHandle,
    k: number,
    threads: number,
    progress: ProgressHandle,
    out: Uint32Array,
  ): Promise<undefined>;
  createSearcher(index: IndexHandle, query: Float32Array, numbers: Float64Array): NativeSearcher;
  indexSearch(
    index: IndexHandle,
    queries: Float32Array,
    k: number,
    ef: number,
    threads: number,
    progress: ProgressHandle,
    slots: NativeSlots,
    scores: Float32Array,
    counts: Uint32Array,
    restrictions: NativeRestrictions | undefined,
  ): Promise<undefined | string[]>;
  /** As indexSearch, on this thread. */
  indexSearchBatchSync(
    index: IndexHandle,
    queries: Float32Array,
    k: number,
    ef: number,
    slots: NativeSlots,
    scores: Float32Array,
    counts: Uint32Array,
    restrictions: NativeRestrictions | undefined,
  ): undefined | string[];
  indexSearchWithin<Keys extends Float64Array | string[]>(
    index: IndexHandle,
    query: Float32Array,
    score: number,
    ef: number,
    restrictions: NativeRestrictions | undefined,
  ): Promise<NativeHits<Keys>>;
  indexSearchWithinSync<Keys extends Float64Array | string[]>(
    index: IndexHandle,
    query: Float32Array,
    score: number,
    ef: number,
    restrictions: NativeRestrictions | undefined,
  ): NativeHits<Keys>;
  /** A label that is null is the one the index was opened with. */
  indexSave(
    index: IndexHandle,
    path: string,
    progress: ProgressHandle,
    modelVersion: string | null,
    snapshotVersion: number | null,
  ): Promise<number>;
  indexClose(index: IndexHandle): void;
  /** Lets other threads of the process attach to the index by a token. */
  indexShare(index: IndexHandle): ShareHandle;
  shareToken(share: ShareHandle): string;
  shareClose(share: ShareHandle): void;
  indexAttach(token: string): IndexHandle;
  shareCounts(): NativeShareCounts;
  /** Bytes that are held beside V8's heap, and that malloc keeps for later; 0 where the C library does not tell. */
  memoryCounts(): { readonly used: number; readonly kept: number };
  createProgress(): ProgressHandle;
  progressState(progress: ProgressHandle, state: Float64Array): void;
  progressCancel(progress: ProgressHandle): void;
  createStore(
    dim: number,
    metric: string,
    storage: string,
    unused: undefined,
    codes: number,
    seed: number,
  ): StoreHandle;
  storeDescribe(store: StoreHandle): StoreDescription;
  storeTrain(store: StoreHandle, vectors: Float32Array): void;
  storeAppend(store: StoreHandle, vectors: Float32Array): number;
  storeOverwrite(store: StoreHandle, row: number, vector: Float32Array): void;
  storeDelete(store: StoreHandle, row: number): boolean;
  storeDecode(store: StoreHandle, row: number, vector: Float32Array): boolean;
  storeScan(
    store: StoreHandle,
    query: Float32Array,
    k: number,
    filter: NativeFilter,
    rows: Uint32Array,
    scores: Float32Array,
  ): number;
  storeScore(
    store: StoreHandle,
    query: Float32Array,
    rows: Uint32Array,
    scores: Float32Array,
    bounds: Float32Array | null,
  ): void;
  storeErrors(store: StoreHandle, vectors: Float32Array, first: number): StorageErrors;
  storeConvert(store: StoreHandle, storage: string, codes: number, seed: number): StoreHandle;
  /** Returns the file's size. */
  storeSave(store: StoreHandle, path: string): number;
  storeOpen(path: string, access: Access): StoreHandle;
  storeClose(store: StoreHandle): void;
  /** Reads an index file of hnswlib and checks all that a search would follow; keeps nothing of it. */
  hnswlibCheck(path: string, dim: number): Promise<HnswlibReport>;
  /** Gives the vectors of some keys other values of the attributes that are not null. */
  indexSetAttributes(
    index: IndexHandle,
    keys: Float64Array | readonly string[],
    columns: NativeAttributes,
  ): void;
  /** Values of the vectors of some keys, an array an attribute; null for a category that is missing. */
  indexAttributes(
    index: IndexHandle,
    keys: Float64Array | readonly string[],
  ): readonly (Float64Array | (string | null)[] | string[][])[];
  /** A filter that admits the rows on which a condition holds now. */
  indexWhere(
    index: IndexHandle,
    where: NativeCondition,
  ): { readonly bits: Uint8Array; readonly layout: number };
}

/** Gives an addon the class of errors it throws; returns it. */
export function prepareAddon(addon: Addon): Addon {
  addon.setErrorFactory(errorOfCode);
  return addon;
}

let loaded: Addon | undefined;
let described: Machine | undefined;

/**
 * The addon, loaded on first use: the prebuilt one that fits this machine, else the one that the installation built.
 * @throws ERR_LICHEN_ADDON when there is none or it cannot be loaded.
 */
export function native(): Addon {
  if (loaded === undefined) {
    let addon: Addon;
    try {
      addon = load(join(__dirname, '..')) as Addon;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
      throw new LichenError(
        'ERR_LICHEN_ADDON',
        `the native addon cannot be loaded (${reason}); there are prebuilt ones for Linux x64 and arm64 with glibc ` +
          "2.28 or later, and 'npm rebuild lichen' builds one, which needs a C++20 compiler, make and Python 3",
        { cause },
      );
    }
    loaded = prepareAddon(addon);
  }
  return loaded;
}

/**
 * The processor as the kernels see it; ERR_LICHEN_UNSUPPORTED if LICHEN_ISA names what cannot run here.
 *
 * @example
 * const { isa, threads } = machine(); // such as 'avx512vnni', 8
 */
export function machine(): Machine {
  // Asked for once: every add wants to know the number of processors.
  return (described ??= Object.freeze(native().machine()));
}
