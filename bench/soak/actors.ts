import { join } from 'node:path';
import type { Lichen } from '../harness/compiled.js';
import { DIM, dot, priceOf, SHELVES, shelfOf, type Stock } from './stock.js';

/** One kind of traffic. A step throws if something fails or an answer makes no sense. */
export interface Actor {
  readonly name: string;
  /** Milliseconds between two steps; 0 for as many as can be. */
  readonly everyMs: number;
  step(): Promise<void> | void;
  close?(): Promise<void> | void;
}

/** What actors work on. */
export interface World {
  readonly library: Lichen;
  readonly stock: Stock;
  /** For files. */
  readonly folder: string;
  readonly random: InstanceType<Lichen['Random']>;
}

const K = 10;
const BATCH = 16;

/** Searches of every kind, beside changes. */
export function searchActors({ stock, random }: World): Actor[] {
  const { index } = stock;
  const check = (what: string, since: number, found: Parameters<Stock['check']>[2]): void =>
    stock.check(what, since, found, K);
  const search = (name: string, step: Actor['step']): Actor => ({ name, everyMs: 0, step });
  return [
    search('search, sync', () => {
      for (let at = 0; at < BATCH; at++) {
        const since = stock.changes;
        check('searchSync', since, index.searchSync(stock.vector(), { k: K }));
      }
    }),
    search('search, promise', async () => {
      const since = stock.changes;
      const all = Array.from({ length: 4 }, () => index.search(stock.vector(), { k: K, ef: 32 }));
      for (const found of await Promise.all(all)) check('search', since, found);
    }),
    search('search, batch', async () => {
      const since = stock.changes;
      const queries = Array.from({ length: BATCH }, () => stock.vector());
      const { keys, scores, counts } = await index.searchBatch(queries, { k: K, recall: 0.95 });
      for (let query = 0; query < BATCH; query++) {
        const [from, to] = [query * K, query * K + counts[query]!];
        check('searchBatch', since, {
          keys: keys.slice(from, to),
          scores: scores.slice(from, to),
        });
      }
    }),
    search('search, within a score', async () => {
      const since = stock.changes;
      const score = 0.9;
      const found = await index.searchWithin(stock.vector(), { score });
      stock.check('searchWithin', since, found, stock.capacity);
      if (found.scores.some((one) => one < score)) throw new Error('searchWithin: below the score');
    }),
    search('search, condition', () => {
      const since = stock.changes;
      const shelf = SHELVES[random.below(SHELVES.length)]!;
      const lt = 10 + random.below(90);
      const found = index.searchSync(stock.vector(), { k: K, where: { shelf, price: { lt } } });
      check('where', since, found);
      const isWrong = (key: number): boolean => shelfOf(key) !== shelf || priceOf(key) >= lt;
      if (found.keys.some(isWrong))
        throw new Error(`where: [${found.keys.join()}] are not all ${shelf}`);
    }),
    search('search, filter and exclude', async () => {
      const since = stock.changes;
      const half = index.filter((key) => key % 2 === 0);
      const exclude = stock.someKeys(5, true);
      const found = await index.search(stock.vector(), { k: K, filter: half });
      // The filter was made before: a key may come and go meanwhile, but not become odd.
      check('filter', since, found);
      if (found.keys.some((key) => key % 2 === 1)) throw new Error('filter: an odd key');
      const others = index.searchSync(stock.vector(), { k: K, exclude });
      if (others.keys.some((key) => exclude.includes(key))) throw new Error('exclude: found');
    }),
    search('search, groups', () => {
      const since = stock.changes;
      const found = index.searchSync(stock.vector(), { k: 3, groupBy: 'shelf' });
      check('groupBy', since, found);
      if (new Set([...found.keys].map(shelfOf)).size !== found.keys.length) {
        throw new Error('groupBy: a shelf twice');
      }
    }),
  ];
}

/** Changes one after the other; now and then the index is compared with the map, and checkpoints are made. */
export function changeActors({ stock, random }: World): Actor[] {
  let changes = 0;
  return [
    {
      name: 'upsert, remove',
      everyMs: 2,
      async step() {
        const isFull = stock.size > 0.8 * stock.capacity;
        if (isFull || (random.below(3) === 0 && stock.size > 0.4 * stock.capacity)) {
          await stock.remove(stock.someKeys(1 + random.below(8), true));
        } else {
          await stock.upsert(stock.someKeys(1 + random.below(16), false));
        }
        if (++changes % 20 === 0) stock.spotCheck();
      },
    },
    {
      name: 'checkpoint',
      everyMs: 5000,
      async step() {
        await stock.index.checkpoint();
      },
    },
  ];
}

/** An index of its own whose adds are aborted half of the time, and which is closed, or forgotten, for the next. */
export function abortActor({ library, random, stock }: World): Actor {
  return {
    name: 'add, abort, close',
    everyMs: 50,
    async step() {
      const index = new library.HnswIndex({ dim: DIM, metric: 'cosine', storage: 'i4' });
      const vectors = Array.from({ length: 64 }, () => stock.vector());
      await index.add(vectors);
      const signal = random.below(2) === 0 ? AbortSignal.abort() : undefined;
      try {
        await index.add(vectors, { signal });
        if (signal !== undefined) throw new Error('an aborted add was done');
      } catch (error) {
        if ((error as { code?: unknown }).code !== 'ERR_LICHEN_ABORTED') throw error;
      }
      const rows = signal === undefined ? 2 * vectors.length : vectors.length;
      if (index.size !== rows) throw new Error(`after adds: ${index.size} rows, not ${rows}`);
      if (random.below(4) > 0) index.close();
    },
  };
}

/** Versions that are published, and a LiveIndex that swaps to each under searches. */
export async function publishActors({ library, stock, folder }: World): Promise<Actor[]> {
  const target = join(folder, 'published');
  await library.publishIndex(target, stock.index);
  const live = await library.LiveIndex.open(target, { pollInterval: 200 });
  let published = 1;
  let seen = 1;
  return [
    {
      name: 'publish',
      everyMs: 1000,
      async step() {
        published = await library.publishIndex(target, stock.index, { keep: 1 });
      },
    },
    {
      name: 'search, published',
      everyMs: 1,
      async step() {
        const { version } = live.published;
        if (version < seen || version > published + 1) {
          throw new Error(`version ${version} after ${seen}, ${published} being the newest`);
        }
        seen = version;
        const found = await live.use((index) => index.search(stock.vector(), { k: K }));
        const isOdd = (key: number): boolean => !(key >= 0 && key < stock.capacity);
        if (found.keys.length !== K || found.keys.some(isOdd)) {
          throw new Error(`published: [${found.keys.join()}]`);
        }
        if (!found.scores.every(Number.isFinite)) throw new Error('published: a score');
      },
      close: () => live.close(),
    },
    {
      name: 'open, search, close',
      everyMs: 250,
      async step() {
        const { path } = await library.readPublished(target);
        let opened;
        try {
          opened = await library.HnswIndex.open(path, { map: published % 2 === 0 });
        } catch (error) {
          // Two versions later the file is gone.
          if ((error as { code?: unknown }).code === 'ERR_LICHEN_NOT_FOUND') return;
          throw error;
        }
        const query = stock.vector();
        const [first] = opened.searchSync(query, { k: 1 }).keys;
        const vector = opened.get(first!)!;
        if (Math.abs(Math.hypot(...vector) - 1) > 0.01) throw new Error('opened: no unit vector');
        opened.close();
      },
    },
  ];
}

/** Caches whose values tell by themselves whether they belong to their key. */
export function cacheActors({ library, random }: World): Actor[] {
  const valueOf = (key: number): Float32Array => new Float32Array(8 + (key % 50)).fill(key);
  const isOf = (key: number, value: Float32Array | undefined): boolean =>
    value !== undefined && value.length === 8 + (key % 50) && value.every((one) => one === key);
  const tiered = new library.TieredCache<number, Float32Array>({
    ...{ name: 'soak', maxBytes: 2 ** 20, ttlMs: 2000, staleMs: 1000, readAhead: 2 },
    load: async (keys) => Promise.resolve(keys.map(valueOf)),
  });
  const memory = new library.MemoryCache<number, Float32Array>({ maxEntries: 1000 });
  // Few keys often.
  const draw = (): number => Math.floor(10_000 * random.uniform() ** 3);
  return [
    {
      name: 'cache, tiered',
      everyMs: 0,
      async step() {
        const keys = Array.from({ length: BATCH }, draw);
        const values = await Promise.all(keys.map((key) => tiered.get(key)));
        keys.forEach((key, at) => {
          if (!isOf(key, values[at])) throw new Error(`tiered cache: a wrong value for ${key}`);
        });
      },
      close: () => tiered.close(),
    },
    {
      name: 'cache, memory',
      everyMs: 0,
      step() {
        const key = draw();
        const value = memory.get(key);
        if (value === undefined) memory.set(key, valueOf(key));
        else if (!isOf(key, value)) throw new Error(`memory cache: a wrong value for ${key}`);
      },
    },
  ];
}

/** A batcher in front of batch searches: each answer must be of its own request. */
export function batcherActor({ library, stock }: World): Actor {
  const batcher = new library.Batcher<Float32Array, { query: Float32Array; score: number }>(
    async (queries) => {
      const { scores } = await stock.index.searchBatch(queries, { k: 1 });
      return queries.map((query, at) => ({ query, score: scores[at]! }));
    },
    { slo: 1000 },
  );
  return {
    name: 'batcher',
    everyMs: 0,
    async step() {
      const queries = Array.from({ length: 8 }, () => stock.vector());
      const answers = await Promise.all(queries.map((query) => batcher.submit(query)));
      answers.forEach(({ query, score }, at) => {
        if (dot(query, queries[at]!) < 0.999) throw new Error('batcher: the answer of another');
        if (!(score <= 1.01 && score >= -1.01)) throw new Error(`batcher: score ${score}`);
      });
    },
    close: () => batcher.close(),
  };
}
