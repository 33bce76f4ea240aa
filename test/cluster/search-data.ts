import type { ClusterSearchResult } from '../../src/cluster/cluster-options.js';
import type { Key } from '../../src/index/types.js';
import { Random } from '../../src/vectors/random.js';

export const ATTRIBUTES = { year: 'number', genre: 'category', tags: 'tags' } as const;
const GENRES = ['jazz', 'blues', 'rock', null, 'folk', 'naïve'];
const TAGS = ['live', 'new', 'rare', '日本'];

/** Vectors with keys and attributes; what is not there and what is infinite is among them. */
export interface Rows<K extends Key> {
  readonly dim: number;
  readonly keys: K[];
  readonly vectors: Float32Array;
  readonly attributes: {
    readonly year: Float64Array;
    readonly genre: (string | null)[];
    readonly tags: string[][];
  };
}

export function rowsOf<K extends Key>(
  count: number,
  dim: number,
  keyOf: (at: number) => K,
): Rows<K> {
  const random = new Random(7);
  const rows = Array.from({ length: count }, (_, at) => at);
  return {
    dim,
    keys: rows.map(keyOf),
    vectors: Float32Array.from({ length: count * dim }, () => random.gaussian()),
    attributes: {
      year: Float64Array.from(rows, (at) =>
        at % 11 === 0
          ? NaN
          : at % 13 === 0
            ? Infinity
            : at % 17 === 0
              ? -Infinity
              : 1950 + (at % 70),
      ),
      genre: rows.map((at) => GENRES[at % GENRES.length]!),
      tags: rows.map((at) => TAGS.filter((_, nth) => (at >> nth) % 2 === 1)),
    },
  };
}

export function queriesOf(count: number, dim: number, seed = 99): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: count * dim }, () => random.gaussian());
}

/** Keys and scores as lists, to be compared. */
export function listed({ keys, scores }: Pick<ClusterSearchResult<Key>, 'keys' | 'scores'>) {
  return { keys: [...(keys as unknown as Key[])], scores: [...scores] };
}
