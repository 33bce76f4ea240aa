import { describe, expect, it } from 'vitest';
import {
  AMPLE,
  bestOf,
  breathe,
  deploymentOf,
  DIM,
  flatOf,
  isClosed,
  randomVectors,
  rowsOf,
  until,
  vectorOf,
} from './helpers.js';
import { quiet } from './services.js';

const items = randomVectors(50, 11);
describe('many requests while models change places', () => {
  const MARKS = [
    { version: 'A', mark: 1 },
    { version: 'B', mark: -1 },
  ] as const;
  /** The last value of a vector says which model it is of; items of a model are far from vectors of the other. */
  const marked = (vector: Float32Array, mark: number): Float32Array =>
    Float32Array.from([...vector, 100 * mark]);

  it.each(['no cache', 'vectors kept', 'vectors and results kept'])(
    'are each answered by one of them alone: %s',
    async (caches) => {
      const cache = { maxBytes: 1 << 20, ttlMs: AMPLE };
      const service = quiet({
        ...(caches !== 'no cache' && { vectorCache: cache }),
        ...(caches.includes('results') && { resultCache: { maxUsers: 100, ttlMs: AMPLE } }),
        limit: { initial: 1000, most: 1000 },
      });
      const indexes: Awaited<ReturnType<typeof flatOf>>[] = [];
      const deploy = async (round: number): Promise<void> => {
        const { version, mark } = MARKS[round % 2]!;
        const index = await flatOf(items.map((item) => marked(item, mark)));
        indexes.push(index);
        await service.deploy(
          deploymentOf(index, {
            version,
            encode: async (queries) => {
              await breathe();
              return queries.map(({ user }) => marked(vectorOf(`${version}${user}`), mark));
            },
          }).deployment,
        );
      };
      await deploy(0);
      let isOver = false;
      const seen = new Map<string, number>();
      const client = async (): Promise<void> => {
        for (let round = 0; !isOver; round++) {
          const user = `u${round % 7}`;
          const { items: got, scores, explanation } = await service.recommend({ user });
          const { version } = explanation;
          const mark = version === 'A' ? 1 : -1;
          const vector = marked(vectorOf(`${version}${user}`), mark);
          const expected = bestOf(
            items.map((item) => marked(item, mark)),
            vector,
            { k: 5 },
          );
          expect(got).toEqual(rowsOf(expected));
          // Of vectors of two models the product would be far below 0.
          expect(scores[0]).toBeGreaterThan(9000);
          seen.set(version, (seen.get(version) ?? 0) + 1);
          // What is kept is answered without a turn of the event loop.
          await breathe();
        }
      };
      let hasFailed = false;
      const clients = Array.from({ length: 12 }, client);
      for (const one of clients) one.catch(() => (hasFailed = true));
      for (let round = 1; round <= 12; round++) {
        const { ok } = service.stats().outcomes;
        await deploy(round);
        await until(() => hasFailed || service.stats().outcomes.ok >= ok + 20);
      }
      isOver = true;
      await Promise.all(clients);
      expect(seen.get('A')).toBeGreaterThan(20);
      expect(seen.get('B')).toBeGreaterThan(20);
      const { outcomes, deployments } = service.stats();
      expect(outcomes).toMatchObject({ failed: 0, shed: 0, deadline: 0, degraded: 0 });
      expect(deployments).toBe(13);
      await service.close();
      expect(indexes.map(isClosed)).toEqual(indexes.map(() => true));
    },
  );

  it('have vectors of the right length also if models have other ones', async () => {
    const service = quiet({ vectorCache: { maxBytes: 1 << 20, ttlMs: AMPLE } });
    for (const dim of [DIM, DIM + 3, DIM - 2]) {
      const other = randomVectors(20, dim, dim);
      await service.deploy(deploymentOf(await flatOf(other), { version: `of ${dim}` }).deployment);
      for (let round = 0; round < 2; round++) {
        const { items: got } = await service.recommend({ user: 'a' });
        expect(got).toEqual(rowsOf(bestOf(other, vectorOf('a', dim), { k: 5 })));
      }
    }
    await service.close();
  });
});
