import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import type { Key } from '../../src/index/types.js';
import { interactionsFromPairs, itemsOf } from '../../src/interactions/interactions.js';
import { Vocabulary } from '../../src/interactions/vocabulary.js';
import { NO_ITEM, recommendBatch } from '../../src/ranking/recommend.js';
import { matrix } from '../../src/vectors/matrix.js';
import { clustered, exactRows } from '../index/data.js';

const DIM = 6;

describe('recommendBatch', () => {
  it('ranks all items that the user does not have, whatever the keys', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 45 }),
        fc.constantFrom('row', 'integer', 'string'),
        fc.array(fc.tuple(fc.nat(11), fc.nat(39)), { maxLength: 120 }),
        fc.nat(),
        async (itemCount, userCount, k, keyKind, drawn, seed) => {
          const prefix = keyKind === 'string' ? 'item ' : keyKind === 'integer' ? '7' : '';
          const ids = Array.from({ length: itemCount }, (_, item) => `${prefix}${item}`);
          const items = Vocabulary.from(ids);
          const users = Vocabulary.identity(userCount);
          const pairs = drawn.map(([u, i]) => [u % userCount, ids[i % itemCount]!] as const);
          const known = interactionsFromPairs(
            pairs.map(([user]) => String(user)),
            pairs.map(([, item]) => item),
            { users, items },
          );
          const vectors = clustered(seed, itemCount, DIM);
          const index = new FlatIndex<Key>({ dim: DIM, metric: 'dot' });
          const keys = keyKind === 'row' ? undefined : items.keys();
          await index.add(vectors, { keys: keys as never });
          const queries = matrix(clustered(seed + 1, userCount + 1, DIM), DIM);
          const rows = Int32Array.from({ length: userCount + 1 }, (_, row) =>
            row === userCount ? -1 : row,
          );
          const ranked = await recommendBatch({ index, items, queries, users: rows, known }, { k });
          for (let row = 0; row <= userCount; row++) {
            const has = new Set<number>(row === userCount ? [] : itemsOf(known, row));
            const query = queries.data.subarray(row * DIM, (row + 1) * DIM);
            const expected = exactRows(vectors, query, 'dot', itemCount)
              .map((hit) => hit.row)
              .filter((item) => !has.has(item))
              .slice(0, k);
            while (expected.length < k) expected.push(NO_ITEM);
            expect([...ranked.subarray(row * k, (row + 1) * k)]).toEqual(expected);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  const items = Vocabulary.identity(3);
  const known = interactionsFromPairs([], [], { items });
  const queries = matrix(new Float32Array(2), 1);

  it('refuses users and items that do not fit', async () => {
    const index = new FlatIndex<Key>({ dim: 1, metric: 'dot' });
    await index.add([[1], [2]]);
    const request = { index, items, queries, known };
    await expect(
      recommendBatch({ ...request, users: Int32Array.of(-1) }, { k: 1 }),
    ).rejects.toMatchObject({ code: 'ERR_LICHEN_DIMENSION' });
    await expect(
      recommendBatch({ ...request, users: Int32Array.of(-1, -1) }, { k: 1 }),
    ).rejects.toMatchObject({
      code: 'ERR_LICHEN_DIMENSION',
      message: 'an index without keys must hold one vector an item, 3, got 2',
    });
  });

  it('takes query i for user i unless told otherwise, and refuses users that are not there', async () => {
    const index = new FlatIndex<Key>({ dim: 1, metric: 'dot' });
    await index.add([[1], [2], [3]]);
    const met = interactionsFromPairs([0, 1], [2, 1], { items, users: Vocabulary.identity(2) });
    const request = { index, items, queries: matrix(Float32Array.of(1, 1), 1), known: met };
    expect([...(await recommendBatch(request, { k: 2 }))]).toEqual([1, 0, 2, 0]);
    const swapped = { ...request, users: Int32Array.of(1, 0) };
    expect([...(await recommendBatch(swapped, { k: 2 }))]).toEqual([2, 0, 1, 0]);
    for (const user of [-2, 2]) {
      await expect(
        recommendBatch({ ...request, users: Int32Array.of(0, user) }, { k: 2 }),
      ).rejects.toMatchObject({
        code: 'ERR_LICHEN_ARGUMENT',
        message: `users must be in -1..1, got ${user}`,
      });
    }
    const three = matrix(new Float32Array(3), 1);
    await expect(recommendBatch({ ...request, queries: three }, { k: 2 })).rejects.toMatchObject({
      code: 'ERR_LICHEN_DIMENSION',
    });
  });

  it('reports progress and can be aborted', async () => {
    const index = new FlatIndex<Key>({ dim: 1, metric: 'dot' });
    await index.add([[1], [2], [3]]);
    const request = { index, items, queries, known, users: Int32Array.of(-1, -1) };
    const seen: number[] = [];
    await recommendBatch(request, { k: 1, onProgress: (...at) => seen.push(...at) });
    expect(seen).toEqual([2, 2]);
    await expect(
      recommendBatch(request, { k: 1, signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: 'ERR_LICHEN_ABORTED' });
  });
});
