import { badArgument } from '../cache/cache-limits.js';
import { shown } from '../errors.js';
import { crossCandidates, parseStored, type IndexCandidate } from '../evaluation/candidate.js';
import { requireInteger } from '../index/arguments.js';
import { Random } from '../vectors/random.js';
import { requireShape } from './reuse.js';

/** A cache of results, by user. */
export interface ResultCacheDesign {
  /** 0: none. */
  readonly entries: number;
  /** Milliseconds. */
  readonly ttlMs: number;
}

/** A service as it could be built. */
export interface Design {
  /** Leading values of the vectors that are used. */
  readonly dim: number;
  /** The index, and how it keeps vectors. */
  readonly index: IndexCandidate;
  /** Search beam of a graph. */
  readonly ef: number | undefined;
  /** Candidates that the ranker scores; 0: it is left out; Infinity: all items, without a search. */
  readonly candidates: number;
  /** Users whose vectors are computed together. */
  readonly batch: number;
  /** A cache of results before all of it. */
  readonly cache: ResultCacheDesign;
}

/** What is tried, each with each. */
export interface DesignSpace {
  /** Default: all values. */
  readonly dims?: readonly number[] | undefined;
  /** As `parseStored` reads them. Default f32, i8+f16, i4+i8. */
  readonly storages?: readonly string[] | undefined;
  /** Default hnsw and flat. */
  readonly indexes?: readonly ('flat' | 'hnsw')[] | undefined;
  /** Links of a graph. Default 8 and 16. */
  readonly m?: readonly number[] | undefined;
  /** Beams while building. Default 100. */
  readonly efConstruction?: readonly number[] | undefined;
  /** Search beams. Default 16, 32, 64, 128. */
  readonly efs?: readonly number[] | undefined;
  /** Candidates of the ranker. Default, with a ranker: 0, 50, 100, 200, 400, 800 and all. */
  readonly candidates?: readonly number[] | undefined;
  /** Sizes of batches of the encoder. Default, with an encoder: 1, 4, 16, 64. */
  readonly batches?: readonly number[] | undefined;
  /** Caches of results. Default: none; with a trace also a tenth of its keys, for a minute. */
  readonly caches?: readonly ResultCacheDesign[] | undefined;
}

/** What a problem has, which decides what there is to try. */
export interface DesignScope {
  readonly dim: number;
  readonly k: number;
  readonly items: number;
  readonly hasRanker: boolean;
  readonly hasEncoder: boolean;
  /** Different keys of the trace; 0 without one. */
  readonly traceKeys: number;
}

const NO_CACHE: ResultCacheDesign = { entries: 0, ttlMs: 0 };
const MINUTE_MS = 60_000;

/** All designs of a space, in a fixed order. @throws ERR_LICHEN_ARGUMENT */
export function designsOf(space: DesignSpace, scope: DesignScope): Design[] {
  const { dim, k, items, hasRanker, hasEncoder, traceKeys } = scope;
  const dims = checked('dims', space.dims ?? [dim], 1, dim);
  const stored = some('storages', space.storages ?? ['f32', 'i8+f16', 'i4+i8']).map((text) =>
    parseStored(text, 'storages'),
  );
  const kinds = some('indexes', space.indexes ?? (['hnsw', 'flat'] as const));
  for (const kind of kinds) {
    if (kind !== 'hnsw' && kind !== 'flat') {
      throw badArgument(`indexes are hnsw or flat, got ${shown(kind)}`);
    }
  }
  const indexes = crossCandidates(
    stored,
    kinds,
    checked('m', space.m ?? [8, 16], 2, 512),
    checked('efConstruction', space.efConstruction ?? [100], 1, 65_536),
  );
  const efs = checked('efs', space.efs ?? [16, 32, 64, 128], 1, 2 ** 31 - 1);
  const candidates = candidatesOf(space, scope);
  const batches = checked(
    'batches',
    space.batches ?? (hasEncoder ? [1, 4, 16, 64] : [1]),
    1,
    65_536,
  );
  if (!hasEncoder && batches.some((batch) => batch > 1)) {
    throw badArgument('batches: there is no encoder that batches would be for');
  }
  const caches = space.caches ?? [
    NO_CACHE,
    ...(traceKeys > 0 ? [{ entries: Math.ceil(traceKeys / 10), ttlMs: MINUTE_MS }] : []),
  ];
  some('caches', caches);
  for (const { entries, ttlMs } of caches) {
    requireInteger('entries of a cache', entries, 0, 2 ** 31 - 1);
    if (entries > 0) requireShape({ entries, ttlMs });
  }
  if (traceKeys === 0 && caches.some(({ entries }) => entries > 0)) {
    throw badArgument('caches: without a trace nothing can be said of a cache');
  }
  const designs: Design[] = [];
  for (const cache of caches) {
    for (const batch of batches) {
      if (hasRanker && candidates.includes(Infinity)) {
        // Nothing is searched, so how it would be stored does not matter.
        const index: IndexCandidate = { index: 'flat', storage: 'f32' };
        designs.push({ dim, index, ef: undefined, candidates: Infinity, batch, cache });
      }
      for (const values of dims) {
        for (const index of indexes) {
          for (const count of candidates.filter((one) => one <= items)) {
            const wanted = Math.max(k, count);
            const beams = index.index === 'flat' ? [undefined] : beamsFor(efs, wanted);
            for (const ef of beams) {
              designs.push({ dim: values, index, ef, candidates: count, batch, cache });
            }
          }
        }
      }
    }
  }
  if (designs.length === 0)
    throw badArgument(`candidates: none is at most the number of items, ${items}`);
  return designs;
}

/** Beams below what is wanted of a search are the same as that. */
function beamsFor(efs: readonly number[], wanted: number): number[] {
  return [...new Set(efs.map((ef) => Math.max(ef, wanted)))];
}

function candidatesOf({ candidates }: DesignSpace, { hasRanker }: DesignScope): number[] {
  const tried = candidates ?? (hasRanker ? [0, 50, 100, 200, 400, 800, Infinity] : [0]);
  const different = [...new Set(some('candidates', tried))];
  for (const count of different) {
    if (count !== Infinity) requireInteger('candidates', count, 0, 2 ** 31 - 1);
    if (count > 0 && !hasRanker)
      throw badArgument('candidates: there is no ranker that they would be for');
  }
  return different;
}

function checked(name: string, values: readonly number[], low: number, high: number): number[] {
  for (const value of some(name, values)) requireInteger(name, value, low, high);
  return [...new Set(values)];
}

function some<T>(name: string, values: readonly T[]): readonly T[] {
  if (values.length > 0) return values;
  throw badArgument(`${name}: none`);
}

/** So many of the designs, drawn by the seed; those without a search come first, as far as there is room. */
export function sampleDesigns(designs: readonly Design[], most: number, seed: number): Design[] {
  if (designs.length <= most) return [...designs];
  const always = designs.filter(({ candidates }) => candidates === Infinity).slice(0, most);
  const others = designs.filter(({ candidates }) => candidates !== Infinity);
  const order = new Random(seed).shuffle(Uint32Array.from(others, (_, at) => at));
  const drawn = order.subarray(0, Math.max(0, most - always.length)).sort();
  return [...always, ...Array.from(drawn, (at) => others[at]!)];
}

/** The index that a design searches, the same for those that share it. */
export function indexKey({ dim, index }: Design): string {
  const { index: kind, storage, rerank, pca, m, efConstruction } = index;
  return [dim, kind, storage, rerank, pca, m, efConstruction].join(' ');
}

/**
 * The design in words.
 *
 * @example
 * const { best } = await codesign(codesignOptions);
 * console.log(designName(best.design));
 */
export function designName(design: Design): string {
  const { dim, index, ef, candidates, batch, cache } = design;
  const { index: kind, storage, rerank, pca, m } = index;
  if (candidates === Infinity) return ['ranker over all items', ...rest(batch, cache)].join(', ');
  const stored = storage + (pca ? `/${pca}` : '') + (rerank ? `+${rerank}` : '');
  const graph = kind === 'flat' ? '' : ` m${m ?? 16} ef${ef}`;
  return [
    `dim ${dim} ${kind} ${stored}${graph}`,
    ...(candidates > 0 ? [`ranker over ${candidates}`] : []),
    ...rest(batch, cache),
  ].join(', ');
}

function rest(batch: number, { entries, ttlMs }: ResultCacheDesign): string[] {
  return [
    ...(batch > 1 ? [`batches of ${batch}`] : []),
    ...(entries > 0 ? [`${entries} results kept ${ttlMs / 1000} s`] : []),
  ];
}
