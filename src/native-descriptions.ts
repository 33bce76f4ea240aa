import type { KeyKind, NativeSchema, StorageName } from './native.js';

/** What an index says of itself. */
export interface IndexDescription {
  /** Its kind. */
  readonly index: 'flat' | 'hnsw';
  /** Values a vector. */
  readonly dim: number;
  /** What scores are. */
  readonly metric: 'dot' | 'cosine' | 'l2';
  /** How the vectors are kept. */
  readonly storage: StorageName;
  /** How they are kept once more, to score the best results anew; absent if they are not. */
  readonly rerank?: StorageName;
  /** Of storage `pq`: codes a vector. */
  readonly subspaces?: number;
  /** Principal components that codes are of; absent if they are of all values. */
  readonly pca?: number;
  /** Kind of its keys. */
  readonly keys: KeyKind;
  /** Names and kinds of its attributes. */
  readonly attributes: NativeSchema;
  /** Rows that were removed or replaced and still take memory. */
  readonly dead: number;
  /** Memory held: vectors, keys, links. */
  readonly bytes: number;
  /** Links a vector of a graph. */
  readonly m?: number;
  /** Beam while building a graph. */
  readonly efConstruction?: number;
  /** Decides what is random in building. */
  readonly seed?: number;
  /** The version of the model that made the vectors, if it was told. */
  readonly modelVersion?: string;
  /** A number that the caller counts; 0 if it was never told. */
  readonly snapshotVersion: number;
  /** Of all files of its journal; absent if it has none. */
  readonly journalBytes?: number;
}

/** How a file is looked at: read, mapped, or mapped with a look at all checksums. */
export type Access = 'read' | 'map' | 'verify';

/** A section of a snapshot file and whether its bytes have the checksum that the file gives. */
export interface SnapshotSection {
  /** What it holds; see FORMAT.md. */
  readonly name: string;
  /** Where it begins in the file, in bytes. */
  readonly offset: number;
  /** Its size. */
  readonly bytes: number;
  /** The checksum that the file says. */
  readonly checksum: number;
  /** Whether what stands there has that checksum. */
  readonly ok: boolean;
}

/** What stands in a snapshot file. */
export interface NativeSnapshotReport extends Omit<IndexDescription, 'index'> {
  /** What it holds. */
  readonly index: 'flat' | 'hnsw' | 'store';
  /** Version of the file format. */
  readonly version: number;
  /** Rows, dead ones included. */
  readonly rows: number;
  /** The highest level of a graph. */
  readonly maxLevel?: number;
  /** Its sections, in the order of the file. */
  readonly sections: readonly SnapshotSection[];
}

/** What an embedding store says of itself. */
export interface StoreDescription {
  readonly dim: number;
  readonly metric: 'dot' | 'cosine' | 'l2';
  readonly storage: StorageName;
  readonly subspaces?: number;
  readonly pca?: number;
  readonly seed: number;
  /** Rows, deleted ones included. */
  readonly rows: number;
  readonly deleted: number;
  /** Memory held. */
  readonly bytes: number;
  /** Bytes of a row's code and factors. */
  readonly bytesPerVector: number;
}

/** How far decoded vectors are from the given ones, in shares of the given vector's norm. */
export interface StorageErrors {
  /** Mean of |decoded - given| / |given|. */
  readonly meanRelative: number;
  /** The greatest of these. */
  readonly worstRelative: number;
  /** Mean of ||decoded| - |given|| / |given|. */
  readonly meanNorm: number;
  /** The greatest of these. */
  readonly worstNorm: number;
}
