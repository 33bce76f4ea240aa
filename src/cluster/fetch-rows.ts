import type { Key } from '../index/types.js';
import type { ClusterView } from './cluster-view.js';
import { broken, float32sOf, float64sOf, jsonSection, listOf, type Frame } from './frame.js';
import { shardOf } from './names.js';
import { askShard } from './shard-questions.js';

/** What is known of a key that is there. */
export interface FetchedRow {
  readonly vector: Float32Array | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** What is wanted of keys, and when to give up, by `performance.now()`. */
export interface FetchOptions {
  readonly wantsVectors?: boolean;
  readonly wantsAttributes?: boolean;
  /** By shard the change that must be there. */
  readonly after: readonly number[];
  readonly end: number;
}

/** Keys of one question: their vectors must fit an answer. */
const MOST_KEYS = 1000;
const MOST_VALUES = 2 ** 17;

/** What shards know of some keys, in their order; undefined for those that are not there. @throws ERR_LICHEN_DEADLINE */
export async function fetchRows(
  { map, cluster, schema }: ClusterView,
  keys: readonly Key[],
  { after, end, ...wants }: FetchOptions,
): Promise<(FetchedRow | undefined)[]> {
  const { dim, keys: kind } = map.index;
  const rows = new Array<FetchedRow | undefined>(keys.length).fill(undefined);
  const places = Array.from({ length: map.shards }, (): number[] => []);
  keys.forEach((key, place) => places[shardOf(key, map.shards)]!.push(place));
  const some = wants.wantsVectors === true ? Math.max(1, Math.floor(MOST_VALUES / dim)) : MOST_KEYS;

  const read = ({ header, sections }: Frame, of: readonly number[]) => {
    const { found, columns: names } = header;
    if (!Array.isArray(found) || found.length !== of.length || !Array.isArray(names)) {
      throw broken('it tells not what was found');
    }
    const there = of.filter((_, at) => found[at] === 1);
    const vectors = float32sOf(sections[0], wants.wantsVectors === true ? there.length * dim : 0);
    const columns = names.map((name, at): ArrayLike<unknown> => {
      const isNumber = schema.byName.get(String(name))?.kind === 'number';
      const section = sections[at + 1];
      return isNumber ? float64sOf(section, there.length) : listOf(section, there.length);
    });
    return { there, vectors, names: names.map(String), columns };
  };

  const fetch = async (shard: number, of: readonly number[]): Promise<void> => {
    const wanted = of.map((place) => keys[place]!);
    const isInteger = kind === 'integer';
    // What is no key of this index is not there, and not worth a question.
    if (wanted.some((key) => (typeof key === 'number') !== isInteger)) return;
    const { there, vectors, names, columns } = await askShard(
      cluster,
      {
        ...{ epoch: map.epoch, shard, read: (frame: Frame) => read(frame, of) },
        header: { ask: 'fetch', isInteger, ...wants, after: after[shard] ?? 0, withinMs: 1000 },
        sections: [isInteger ? Float64Array.from(wanted as number[]) : jsonSection(wanted)],
      },
      end,
    );
    there.forEach((place, at) => {
      rows[place] = {
        vector: wants.wantsVectors ? vectors.slice(at * dim, (at + 1) * dim) : undefined,
        attributes: Object.fromEntries(names.map((name, nth) => [name, columns[nth]![at]])),
      };
    });
  };

  const questions: Promise<void>[] = [];
  places.forEach((of, shard) => {
    for (let from = 0; from < of.length; from += some) {
      questions.push(fetch(shard, of.slice(from, from + some)));
    }
  });
  await Promise.all(questions);
  return rows;
}
