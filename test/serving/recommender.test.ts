import { describe, expect, it } from 'vitest';
import { Vocabulary } from '../../src/interactions/vocabulary.js';
import type { Metric } from '../../src/vectors/metric.js';
import { Recommender } from '../../src/serving/recommender.js';
import type { RankedQuery } from '../../src/index.js';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import {
  AMPLE,
  bestOf,
  deploymentOf,
  DIM,
  flatOf,
  heldOf,
  randomVectors,
  rowsOf,
  scoreOf,
  vectorOf,
} from './helpers.js';
import { batching as serving } from './services.js';

const items = randomVectors(300, 7);
const users = Array.from({ length: 10 }, (_, at) => `user ${at}`);

describe('recommendations', () => {
  it.each<Metric>(['dot', 'cosine', 'l2'])('are the nearest by %s, best first', async (metric) => {
    const { service } = await serving(await flatOf(items, { metric }));
    for (const user of users) {
      const expected = bestOf(items, vectorOf(user), { metric, k: 12 });
      const { items: got, scores } = await service.recommend({ user }, { k: 12 });
      expect(got).toEqual(rowsOf(expected));
      expected.forEach(({ score }, at) => expect(scores[at]).toBeCloseTo(score, 4));
    }
    await service.close();
  });

  it('never are what the request excludes, the history holds or the user has seen', async () => {
    const seen = (user: string | number | undefined): number[] =>
      rowsOf(bestOf(items, vectorOf(user), { k: 6 })).slice(4);
    const { service } = await serving(await flatOf(items), {
      encode: (queries) => queries.map(({ user }) => vectorOf(user)),
      seen: ({ user }) => Float64Array.from(seen(user)),
    });
    for (const user of users) {
      const [first, second, third, fourth] = rowsOf(bestOf(items, vectorOf(user), { k: 4 }));
      const recommended = await service.recommend(
        { user, history: [String(first), second!, 'unheard of', -3, 2 ** 40] },
        { k: 20, exclude: [third!, String(fourth), '', 100_000] },
      );
      const without = [first!, second!, third!, fourth!, ...seen(user)];
      expect(recommended.items).toEqual(rowsOf(bestOf(items, vectorOf(user), { k: 20, without })));
    }
    await service.close();
  });

  it('are fewer when nothing else is left', async () => {
    const few = items.slice(0, 5);
    const { service } = await serving(await flatOf(few));
    expect((await service.recommend({ user: 1 }, { k: 100 })).items).toHaveLength(5);
    const { items: got, scores } = await service.recommend(
      { user: 1 },
      { exclude: [0, 1, 2, 3, 4] },
    );
    expect(got).toEqual([]);
    expect(scores).toHaveLength(0);
    await service.close();
  });

  it('are none from an empty index', async () => {
    const { service } = await serving(new FlatIndex({ dim: DIM, metric: 'dot' }), {
      usualVector: new Float32Array(DIM),
    });
    const { items: got, explanation } = await service.recommend({ user: 1 }, { k: 3 });
    expect(got).toEqual([]);
    expect(explanation.isDegraded).toBe(false);
    await service.close();
  });

  it('are 20 unless the service or the request says otherwise', async () => {
    const { deployment } = deploymentOf(await flatOf(items));
    const service = new Recommender({ slo: AMPLE, k: 7 });
    await service.deploy(deployment);
    expect((await service.recommend({})).items).toHaveLength(7);
    expect((await service.recommend({}, { k: 1 })).items).toHaveLength(1);
    expect((await service.recommend({}, { k: 250 })).items).toHaveLength(250);
    await service.close();
    const { service: usual } = await serving(await flatOf(items));
    expect((await usual.recommend({ user: 1 })).items).toHaveLength(20);
    await usual.close();
  });

  it('fulfil the condition of the request', async () => {
    const years = items.map((_, at) => 1950 + (at % 70));
    const genres = items.map((_, at) => (at % 3 === 0 ? 'jazz' : 'rock'));
    const index = await flatOf(items, {
      schema: { year: 'number', genre: 'category' },
      attributes: { year: years, genre: genres },
    });
    const { service } = await serving(index);
    for (const user of users) {
      const without = items
        .map((_, at) => at)
        .filter((at) => years[at]! < 1990 || genres[at] !== 'jazz');
      const { items: got } = await service.recommend(
        { user },
        { k: 8, where: { year: { gte: 1990 }, genre: 'jazz' } },
      );
      expect(got).toEqual(rowsOf(bestOf(items, vectorOf(user), { k: 8, without })));
    }
    const { items: none } = await service.recommend({ user: 1 }, { where: { genre: 'polka' } });
    expect(none).toEqual([]);
    await service.close();
  });
});

describe('ids', () => {
  it('are texts where keys are', async () => {
    const keys = items.map((_, at) => `item ${at}`);
    const { deployment } = deploymentOf(await flatOf<string>(items, { keys }), {
      seen: () => ['item 5', 'never there'],
    });
    const service = new Recommender({ slo: AMPLE });
    await service.deploy(deployment);
    const expected = bestOf(items, vectorOf(3), { k: 10, without: [5, 17, 18] });
    const { items: got } = await service.recommend(
      { user: 3, history: ['item 17', 'unknown'] },
      { k: 10, exclude: ['item 18', 4] },
    );
    expect(got).toEqual(rowsOf(expected).map((row) => `item ${row}`));
    await service.close();
  });

  it('are integers where keys are, wherever their rows stand', async () => {
    const keys = Float64Array.from(items, (_, at) => 10_000 - 7 * at);
    const { service } = await serving(await flatOf(items, { keys }));
    const out = rowsOf(bestOf(items, vectorOf(3), { k: 3 }));
    const exclude = [keys[out[0]!]!, String(keys[out[2]!]!)];
    const expected = bestOf(items, vectorOf(3), { k: 10, without: [out[0]!, out[2]!] });
    const { items: got } = await service.recommend({ user: 3 }, { k: 10, exclude });
    expect(got).toEqual(rowsOf(expected).map((row) => keys[row]));
    await service.close();
  });

  it('are those of a vocabulary where keys are row numbers', async () => {
    const names = Vocabulary.ordered(items.map((_, at) => `song ${(at * 7) % 300}`));
    const { service } = await serving(await flatOf(items), { items: names });
    const [first, second] = rowsOf(bestOf(items, vectorOf(3), { k: 2 }));
    const expected = bestOf(items, vectorOf(3), { k: 10, without: [first!, second!] });
    const { items: got } = await service.recommend(
      { user: 3, history: [names.idAt(first!), 'unheard of'] },
      // Numbers are ids as well, and no item is called so.
      { k: 10, exclude: [names.idAt(second!), expected[0]!.row, expected[3]!.row] },
    );
    expect(got).toEqual(rowsOf(expected).map((row) => names.idAt(row)));
    await service.close();
  });
});

describe('stages', () => {
  const byNumber = {
    ...{ name: 'number', candidates: 30 },
    score: (_query: RankedQuery, { keys }: { keys: Float64Array }) => keys,
  };

  it('put the nearest into an order of their own, and the answer says which did', async () => {
    const asked: { vector: Float32Array; context: unknown }[] = [];
    const { service } = await serving(await flatOf(items), {
      stages: [
        byNumber,
        {
          ...{ name: 'odd ones', candidates: 4 },
          score: ({ vector, context }, { keys }) => {
            asked.push({ vector, context });
            return Float64Array.from(keys, (key) => (key % 2 === 0 ? key : 1000 + key));
          },
        },
      ],
    });
    asked.length = 0;
    const query = { user: 'user 1', context: { device: 'tv' } };
    const { items: got, scores, explanation } = await service.recommend(query, { k: 10 });
    const candidates = rowsOf(bestOf(items, vectorOf('user 1'), { k: 30 })).sort((a, b) => b - a);
    const best = candidates.slice(0, 4).sort((a, b) => (b % 2) * 1000 + b - (a % 2) * 1000 - a);
    expect(got).toEqual([...best, ...candidates.slice(4, 10)]);
    expect([...scores]).toEqual([
      ...best.map((row) => row + 1000 * (row % 2)),
      ...candidates.slice(4, 10),
    ]);
    expect(asked).toEqual([{ vector: vectorOf('user 1'), context: { device: 'tv' } }]);
    expect(explanation).toMatchObject({ version: 'v1', cache: 'none', isDegraded: false });
    expect(explanation.scoredBy).toEqual([
      ...Array.from({ length: 4 }, () => 'odd ones'),
      ...Array.from({ length: 6 }, () => 'number'),
    ]);
    expect(explanation.steps).toMatchObject([
      { name: 'encode', outcome: 'full', wanted: 1, candidates: 1 },
      { name: 'retrieval', outcome: 'full', wanted: 30, candidates: 30 },
      { name: 'number', outcome: 'full', wanted: 30, candidates: 30 },
      { name: 'odd ones', outcome: 'full', wanted: 4, candidates: 4 },
    ]);
    for (const { ms, reason } of explanation.steps) {
      expect(ms).toBeGreaterThanOrEqual(0);
      expect(reason).toBeUndefined();
    }
    expect(explanation.ms).toBeGreaterThanOrEqual(0);
    await service.close();
  });

  it('get as many candidates as the deployment says', async () => {
    const { service } = await serving(await flatOf(items), { stages: [byNumber], candidates: 100 });
    const { items: got, explanation } = await service.recommend({ user: 1 }, { k: 50 });
    const candidates = rowsOf(bestOf(items, vectorOf(1), { k: 100 }));
    expect(got.slice(0, 30)).toEqual(candidates.slice(0, 30).sort((a, b) => b - a));
    expect(got.slice(30)).toEqual(candidates.slice(30, 50));
    expect(explanation.steps[1]).toMatchObject({ name: 'retrieval', candidates: 100 });
    expect(explanation.scoredBy.slice(29, 31)).toEqual(['number', 'retrieval']);
    await service.close();
  });

  it('can take items out, and never bring an excluded one back', async () => {
    const { service } = await serving(await flatOf(items), {
      stages: [
        {
          ...{ name: 'rules', candidates: 40 },
          score: (_query, { keys }) =>
            Float64Array.from(keys, (key) => (key % 3 ? key : -Infinity)),
        },
      ],
    });
    const exclude = rowsOf(bestOf(items, vectorOf(1), { k: 5 }));
    const { items: got } = await service.recommend({ user: 1 }, { k: 10, exclude });
    const left = rowsOf(bestOf(items, vectorOf(1), { k: 40, without: exclude }));
    expect(got).toEqual(
      left
        .filter((row) => row % 3)
        .sort((a, b) => b - a)
        .slice(0, 10),
    );
    await service.close();
  });

  it('see squared distances as scores that are better the higher they are', async () => {
    let seen: number[] = [];
    const { service } = await serving(await flatOf(items, { metric: 'l2' }), {
      stages: [
        {
          ...{ name: 'same', candidates: 10 },
          score: (_query, { scores }) => (seen = Array.from(scores)),
        },
      ],
    });
    const { items: got } = await service.recommend({ user: 1 }, { k: 10 });
    expect(got).toEqual(rowsOf(bestOf(items, vectorOf(1), { metric: 'l2', k: 10 })));
    got.forEach((row, at) =>
      expect(seen[at]).toBeCloseTo(scoreOf('l2', items[row as number]!, vectorOf(1)), 4),
    );
    await service.close();
  });
});

describe('how the index of a deployment is searched', () => {
  it('is what the deployment says', async () => {
    const options: unknown[] = [];
    const index = await heldOf(items);
    index.before = (given) => void options.push(given);
    const { service } = await serving(index, { search: { oversample: 3, ef: 7 } });
    await service.recommend({ user: 1 }, { k: 30 });
    expect(options.at(-1)).toMatchObject({ k: 30, oversample: 3, ef: 7 });
    await service.close();
  });

  it('keeps to the condition of the deployment when a request has one as well', async () => {
    const index = await flatOf(items, {
      schema: { year: 'number', country: 'category' },
      attributes: {
        year: items.map((_, at) => at),
        country: items.map((_, at) => (at % 2 ? 'de' : 'fr')),
      },
    });
    const { service } = await serving(index, { search: { where: { country: 'de' } } });
    const { items: got } = await service.recommend(
      { user: 1 },
      { k: 10, where: { year: { lt: 100 } } },
    );
    const without = items.map((_, at) => at).filter((at) => at % 2 === 0 || at >= 100);
    expect(got).toEqual(rowsOf(bestOf(items, vectorOf(1), { k: 10, without })));
    await service.close();
  });

  it('finds the same in a graph that is searched well', async () => {
    const index = new HnswIndex({ dim: DIM, metric: 'dot' });
    await index.add([...items], { threads: 1 });
    const { service } = await serving(index, { search: { ef: 300 } });
    const { items: got } = await service.recommend({ user: 1 }, { k: 10 });
    expect(got).toEqual(rowsOf(bestOf(items, vectorOf(1), { k: 10 })));
    await service.close();
  });
});
