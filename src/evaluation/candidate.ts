import { badArgument } from '../cache/cache-limits.js';
import { shown } from '../errors.js';
import type { AttributeSchema } from '../index/attributes.js';
import { FlatIndex } from '../index/flat.js';
import { HnswIndex } from '../index/hnsw.js';
import type { Metric } from '../vectors/metric.js';
import { isFiner, parseStorageType, takesPca, type StorageType } from '../vectors/storage-type.js';

/** A storage, and what rescores its results; beam and links of the graph where they are not those of others. */
export interface StoredAs {
  /** How vectors are kept. */
  readonly storage: StorageType;
  /** Principal components that codes are of. */
  readonly pca: number | undefined;
  /** How they are kept once more, to score the best results anew. */
  readonly rerank: StorageType | undefined;
  /** Beam while building a graph. */
  readonly efConstruction: number | undefined;
  /** Links a vector of a graph. */
  readonly m: number | undefined;
}

/** An index that a sweep builds. */
export interface IndexCandidate {
  /** `flat`: exact search; `hnsw`: a graph. */
  readonly index: 'flat' | 'hnsw';
  /** How vectors are kept. */
  readonly storage: StorageType;
  /** How they are kept once more, to score the best results anew. Default: they are not. */
  readonly rerank?: StorageType | undefined;
  /** Principal components that codes are of. */
  readonly pca?: number | undefined;
  /** Links of a graph. Default 16. */
  readonly m?: number | undefined;
  /** Beam while building a graph. Default 100. */
  readonly efConstruction?: number | undefined;
}

const STORED = /^(\w+)(?:\/([1-9]\d*))?(?:\+(\w+))?(?:@([1-9]\d*))?(?::([1-9]\d*))?$/;

/**
 * Reads `storage[/pca][+rerank][@efConstruction][:m]`, such as `i8`, `i4+f16`, `i4/128+f16@50:12`.
 * @throws ERR_LICHEN_ARGUMENT
 *
 * @example
 * parseStored('i4+f16@50:12'); // storage i4, rerank f16, efConstruction 50, m 12
 */
export function parseStored(text: string, name = 'storage'): StoredAs {
  const parts = STORED.exec(text);
  if (parts === null) {
    throw badArgument(
      `${name} is storage[/pca][+rerank][@efConstruction][:m], got ${JSON.stringify(text)}`,
    );
  }
  const [, type, pca, finer, beam, links] = parts;
  const number = (digits: string | undefined) =>
    digits === undefined ? undefined : Number(digits);
  const storage = parseStorageType(type, name);
  const rerank = finer === undefined ? undefined : parseStorageType(finer, name);
  if (pca !== undefined && !takesPca(storage)) {
    throw badArgument(`${name} ${text}: principal components are for i8, i4 and b1`);
  }
  if (
    rerank !== undefined &&
    !isFiner(rerank, storage) &&
    !(pca !== undefined && rerank === storage)
  ) {
    throw badArgument(
      `${name} ${text}: results must be rescored by a finer storage than ${storage}`,
    );
  }
  return {
    ...{ storage, pca: number(pca), rerank },
    ...{ efConstruction: number(beam), m: number(links) },
  };
}

/** What an index needs beside how it is kept. */
export interface CandidateContext {
  readonly dim: number;
  readonly metric: Metric;
  readonly attributes?: AttributeSchema | undefined;
}

/** The candidate without any vectors. @throws as the index does; ERR_LICHEN_ARGUMENT for another kind. */
export function makeIndex(
  candidate: IndexCandidate,
  context: CandidateContext,
): FlatIndex | HnswIndex {
  const { index, m, efConstruction, ...stored } = candidate;
  const options = { ...context, ...stored };
  if (index === 'hnsw') return new HnswIndex({ ...options, m, efConstruction });
  if (index === 'flat') return new FlatIndex(options);
  throw badArgument(`index must be flat or hnsw, got ${shown(index)}`);
}

/** That such an index can be made. @throws as `makeIndex`. */
export function requireCandidate(candidate: IndexCandidate, context: CandidateContext): void {
  makeIndex(candidate, context).close();
}

/**
 * Every combination, without those that say the same twice.
 *
 * @example
 * const stored = ['f32', 'i8+f16'].map((text) => parseStored(text));
 * const candidates = crossCandidates(stored, ['hnsw'], [8, 16], [100]); // four indexes
 */
export function crossCandidates(
  stored: readonly StoredAs[],
  indexes: readonly ('flat' | 'hnsw')[],
  links: readonly number[],
  beams: readonly number[],
): IndexCandidate[] {
  const all = new Map<string, IndexCandidate>();
  for (const index of indexes) {
    for (const { storage, pca, rerank, ...own } of stored) {
      const same = { index, storage, rerank, pca };
      const ms = own.m === undefined ? links : [own.m];
      const efs = own.efConstruction === undefined ? beams : [own.efConstruction];
      for (const m of index === 'flat' ? [undefined] : ms) {
        for (const efConstruction of index === 'flat' ? [undefined] : efs) {
          const candidate = { ...same, m, efConstruction };
          all.set(candidateName(candidate), candidate);
        }
      }
    }
  }
  return [...all.values()];
}

/** `flat f32`, `hnsw i8+f16 m16 efc200`; the same for the same candidate. */
export function candidateName(candidate: IndexCandidate): string {
  const { index, storage, rerank, pca, m = 16, efConstruction = 100 } = candidate;
  const stored =
    storage + (pca === undefined ? '' : `/${pca}`) + (rerank === undefined ? '' : `+${rerank}`);
  return index === 'flat' ? `flat ${stored}` : `hnsw ${stored} m${m} efc${efConstruction}`;
}
