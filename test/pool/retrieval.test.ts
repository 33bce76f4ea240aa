import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import type { Key, SearchBatchResult } from '../../src/index/types.js';
import { interactionsFromPairs, itemsOf } from '../../src/interactions/interactions.js';
import { Vocabulary } from '../../src/interactions/vocabulary.js';
import { RetrievalPool } from '../../src/pool/retrieval-pool.js';
import { sharedMatrix, type UserHistories } from '../../src/pool/user-tower.js';
import { matrix } from '../../src/vectors/matrix.js';
import { Random } from '../../src/vectors/random.js';
import { clustered, exactRows } from '../index/data.js';

const DIM = 8;
const ROWS = 400;
const USERS = 300;
const vectors = clustered(5, ROWS, DIM);
const userVectors = clustered(6, USERS, DIM);
const pools: RetrievalPool<Key>[] = [];
afterAll(() => Promise.all(pools.map((pool) => pool.close())));

function kept<K extends Key>(pool: RetrievalPool<K>): RetrievalPool<K> {
  pools.push(pool);
  return pool;
}

const rowOf = (data: Float32Array, row: number): Float32Array =>
  data.subarray(row * DIM, (row + 1) * DIM);

/** A result as text, which is compared in a moment. */
const plain = ({ keys, scores, counts, rows, k }: SearchBatchResult<Key>): string =>
  [Array.from<Key>(keys), scores, counts, rows, k].join();

/** Histories of some users, drawn from a seed; the first is empty. */
function histories(seed: number, users: number): UserHistories {
  const random = new Random(seed);
  const offsets = new Uint32Array(users + 1);
  const rows: number[] = [];
  for (let user = 0; user < users; user++) {
    for (let left = user === 0 ? 0 : random.below(9); left > 0; left--)
      rows.push(random.below(ROWS));
    offsets[user + 1] = rows.length;
  }
  const weights = Float32Array.from(rows, () => random.below(8) / 4 - 1);
  return { offsets, rows: Uint32Array.from(rows), weights };
}

describe('a pool of a table', () => {
  const index = new HnswIndex({ dim: DIM, metric: 'l2', m: 8, attributes: { group: 'category' } });
  const groups = Array.from({ length: ROWS }, (_, row) => `g${row % 7}`);
  index.addSync(vectors, { attributes: { group: groups } });
  const pool = RetrievalPool.create({
    index,
    tower: { kind: 'table', vectors: matrix(userVectors, DIM) },
    workers: 2,
  }).then(kept);

  it('finds what a search on this thread finds, whatever the size of the batch', async () => {
    for (const size of [1, 2, 15, 16, 64, 129, 300, 1000]) {
      const users = Uint32Array.from({ length: size }, (_, at) => (at * 7) % USERS);
      const found = await (await pool).retrieve({ users }, { k: 5, ef: 40 });
      expect(found).toMatchObject({ rows: size, k: 5 });
      users.forEach((user, at) => {
        const one = index.searchSync(rowOf(userVectors, user), { k: 5, ef: 40 });
        expect(found.keys.subarray(at * 5, at * 5 + 5)).toEqual(Float64Array.from(one.keys));
        expect(found.scores.subarray(at * 5, at * 5 + 5)).toEqual(Float32Array.from(one.scores));
        expect(found.counts[at]).toBe(5);
      });
    }
  });

  it('narrows searches as they are narrowed on this thread', async () => {
    const users = Array.from({ length: 150 }, (_, at) => at);
    const queries = userVectors.subarray(0, 150 * DIM);
    const exclude = users.map((user) =>
      user % 3 === 0 ? [] : [user, user + 1, ROWS + 5, (user * 31) % ROWS],
    );
    const filter = index.filter((key) => key % 2 === 0);
    for (const options of [
      { exclude },
      { filter },
      { filter: filter.bits, exclude },
      { where: { group: ['g1', 'g4'] }, exclude },
      { groupBy: 'group', groupSize: 1 },
      { exact: true },
      { recall: 0.9 },
    ]) {
      const found = await (await pool).retrieve({ users }, { k: 12, ...options });
      const expected = await index.searchBatch(queries, { k: 12, ...options });
      expect(plain(found)).toBe(plain(expected));
    }
  });

  it('gives each of many requests at once its own results', async () => {
    const asked = Array.from({ length: 60 }, (_, at) => 1 + ((at * 13) % 90));
    const all = await Promise.all(
      asked.map(async (size, at) =>
        (await pool).retrieve(
          { users: Int32Array.from({ length: size }, (_, u) => (u + at) % USERS) },
          { k: 1 + (at % 9) },
        ),
      ),
    );
    all.forEach(({ keys, k, rows }, at) => {
      expect([k, rows]).toEqual([1 + (at % 9), asked[at]]);
      for (let u = 0; u < rows; u++) {
        const { keys: one } = index.searchSync(rowOf(userVectors, (u + at) % USERS), { k });
        expect([...keys.subarray(u * k, (u + 1) * k)]).toEqual([...one]);
      }
    });
  });

  it('finds vectors that are added, and not those that are removed', async () => {
    const changing = new FlatIndex({ dim: DIM, metric: 'l2' });
    changing.addSync(vectors.subarray(0, 10 * DIM));
    const tower = { kind: 'table', vectors: sharedMatrix(matrix(vectors, DIM)) } as const;
    const its = kept(await RetrievalPool.create({ index: changing, tower, workers: 1 }));
    const nearest = async (user: number): Promise<number> =>
      (await its.retrieve({ users: [user] }, { k: 1 })).keys[0]!;
    expect(await nearest(3)).toBe(3);
    changing.removeSync([3]);
    expect(await nearest(3)).not.toBe(3);
    changing.addSync(vectors.subarray(10 * DIM, 20 * DIM));
    expect(await nearest(15)).toBe(15);
    // The pool has the index for itself as well.
    changing.close();
    expect(await nearest(15)).toBe(15);
  });
});

describe('what users have already', () => {
  it.each(['row', 'integer', 'string'] as const)(
    'is left out, of keys of kind %s',
    async (kind) => {
      const ids = Array.from({ length: ROWS }, (_, row) =>
        kind === 'string' ? `item ${row}` : String(kind === 'integer' ? 1000 + 3 * row : row),
      );
      const items = Vocabulary.ordered(ids);
      const random = new Random(9);
      const pairs = Array.from({ length: 3000 }, () => [random.below(USERS), random.below(ROWS)]);
      const known = interactionsFromPairs(
        pairs.map(([user]) => user!),
        pairs.map(([, item]) => ids[item!]!),
        { items, users: Vocabulary.identity(USERS) },
      );
      const index = new FlatIndex<Key>({ dim: DIM, metric: 'dot' });
      index.addSync(vectors, { keys: (kind === 'row' ? undefined : items.keys()) as never });
      const pool = kept(
        await RetrievalPool.create<Key>({
          index,
          tower: { kind: 'vectors' },
          known: kind === 'row' ? { ...known, items: undefined } : known,
          workers: kind === 'string' ? 2 : 1,
        }),
      );
      const users = Int32Array.from({ length: 140 }, (_, at) => (at % 10 === 9 ? -1 : at));
      const queries = userVectors.subarray(0, 140 * DIM);
      // One more item a user, which the caller does not want either.
      const unwanted = Array.from(users, (_, at) => (at * 17) % ROWS);
      const keyOf = (row: number): Key => (kind === 'string' ? ids[row]! : Number(ids[row]));
      const exclude = unwanted.map((row) => [keyOf(row)]) as number[][];
      const k = 7;
      const [without, also, all] = await Promise.all([
        pool.retrieve({ users, vectors: queries }, { k }),
        pool.retrieve({ users, vectors: queries }, { k, exclude }),
        pool.retrieve({ vectors: matrix(queries, DIM) }, { k, excludeKnown: false }),
      ]);
      users.forEach((user, at) => {
        const ranked = exactRows(vectors, rowOf(queries, at), 'dot', ROWS).map(({ row }) => row);
        const has = new Set(user < 0 ? [] : itemsOf(known, user));
        const expectTop = (found: { keys: ArrayLike<unknown> }, left: number[]): void =>
          expect(Array.from(found.keys).slice(at * k, (at + 1) * k)).toEqual(
            left.slice(0, k).map(keyOf),
          );
        expectTop(
          without,
          ranked.filter((row) => !has.has(row)),
        );
        expectTop(
          also,
          ranked.filter((row) => !has.has(row) && row !== unwanted[at]),
        );
        expectTop(all, ranked);
      });
      await expect(pool.retrieve({ vectors: queries })).rejects.toMatchObject({
        code: 'ERR_LICHEN_ARGUMENT',
      });
      await expect(
        pool.retrieve({ users: [USERS], vectors: rowOf(queries, 0) }),
      ).rejects.toMatchObject({ code: 'ERR_LICHEN_ARGUMENT' });
    },
  );
});

describe('a pool of bags', () => {
  // Quarters sum up exactly in any order.
  const table = Float32Array.from(vectors, (value) => Math.round(value * 4) / 4);
  const index = new FlatIndex<string>({ dim: DIM, metric: 'dot' });
  index.addSync(vectors, { keys: Array.from({ length: ROWS }, (_, row) => `song ${row}`) });

  /** Σ w · table[row] in plain loops. */
  function sums({ offsets, rows, weights }: UserHistories): Float32Array {
    return Float32Array.from({ length: (offsets.length - 1) * DIM }, (_, at) => {
      const [user, d] = [Math.floor(at / DIM), at % DIM];
      let sum = 0;
      for (let i = offsets[user]!; i < offsets[user + 1]!; i++) {
        sum += (weights?.[i] ?? 1) * table[rows[i]! * DIM + d]!;
      }
      return sum;
    });
  }

  it('sums rows by their weights', async () => {
    const tower = { kind: 'bag', vectors: matrix(table, DIM) } as const;
    const pool = kept(await RetrievalPool.create({ index, tower, workers: 2 }));
    const whole = histories(3, 200);
    const { offsets, rows } = whole;
    // Users of the middle of a longer list.
    const middle = { ...whole, offsets: offsets.subarray(60, 170) };
    for (const history of [whole, { offsets, rows }, middle]) {
      const found = await pool.retrieve({ history }, { k: 4 });
      expect(plain(found)).toBe(plain(await index.searchBatch(sums(history), { k: 4 })));
    }
  });

  it('divides by the length if it is told to', async () => {
    const tower = { kind: 'bag', vectors: matrix(table, DIM), normalize: true } as const;
    const pool = kept(await RetrievalPool.create({ index, tower, workers: 1 }));
    const history = histories(4, 90);
    const { scores, keys } = await pool.retrieve({ history }, { k: 1 });
    const plain = sums(history);
    for (let user = 0; user < 90; user++) {
      const sum = rowOf(plain, user);
      const length = Math.hypot(...sum);
      const [best] = exactRows(vectors, sum, 'dot', 1);
      expect(scores[user]).toBeCloseTo(length === 0 ? 0 : best!.score / length, 4);
      if (length > 0) expect(keys[user]).toBe(`song ${best!.row}`);
    }
  });
});

describe('a tower of a module', () => {
  it('gets what the batch has, and may be asynchronous', async () => {
    const index = new FlatIndex({ dim: 3, metric: 'l2' });
    index.addSync(Array.from({ length: 50 }, (_, row) => [row, row, row]));
    const scale = new Float32Array(new SharedArrayBuffer(4));
    const path = join(__dirname, 'scaling-module.ts');
    const pool = kept(
      await RetrievalPool.create({
        index,
        tower: { kind: 'module', path, data: { scale, dim: 3 } },
        workers: 2,
      }),
    );
    scale[0] = 2;
    const users = Int32Array.from({ length: 24 }, (_, at) => at);
    const found = await pool.retrieve({ users }, { k: 1 });
    expect([...found.keys]).toEqual(Array.from(users, (user) => 2 * user));
    // Weights that are shared may be changed while the pool is open.
    scale[0] = 1;
    expect([...(await pool.retrieve({ users }, { k: 1 })).keys]).toEqual([...users]);
  });
});

describe('any batch', () => {
  it('of any size and k is found as by searchBatch', async () => {
    const index = new FlatIndex({ dim: DIM, metric: 'cosine', storage: 'i8', rerank: 'f16' });
    index.addSync(vectors);
    const pool = kept(
      await RetrievalPool.create({ index, tower: { kind: 'vectors' }, workers: 3 }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: USERS }),
        fc.integer({ min: 1, max: 30 }),
        fc.nat({ max: 40 }),
        async (rows, k, excluded) => {
          const queries = userVectors.slice(0, rows * DIM);
          const exclude = Array.from({ length: rows }, (_, at) =>
            Array.from({ length: (at * 7) % (excluded + 1) }, (_, i) => (at + 3 * i) % ROWS),
          );
          const asked = pool.retrieve({ vectors: queries }, { k, exclude });
          const expected = index.searchBatch(queries, { k, exclude });
          // Both have copied it.
          queries.fill(0);
          expect(plain(await asked)).toBe(plain(await expected));
        },
      ),
      { numRuns: 30 },
    );
  });
});
