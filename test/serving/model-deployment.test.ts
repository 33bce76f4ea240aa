import { beforeAll, describe, expect, it } from 'vitest';
import { makeCatalogue, type Catalogue } from '../../src/catalogue/catalogue.js';
import { interactionsFromPairs, itemsOf } from '../../src/interactions/interactions.js';
import { matrixRow } from '../../src/vectors/matrix.js';
import { TwoTowerModel } from '../../src/towers/two-tower-model.js';
import { FlatIndex } from '../../src/index/flat.js';
import {
  modelDeployment,
  type ModelDeploymentOptions,
} from '../../src/serving/model-deployment.js';
import { Recommender } from '../../src/serving/recommender.js';
import { outcome } from '../batching/helpers.js';
import { AMPLE, bestOf, flatOf, rowsOf } from './helpers.js';

let catalogue: Catalogue;
let model: TwoTowerModel;
let itemVectors: Float32Array[];
let userVectors: Float32Array[];

beforeAll(async () => {
  catalogue = makeCatalogue({ listeners: 100, tracks: 300, seed: 3 });
  model = await TwoTowerModel.train(catalogue.train, { dim: 8, epochs: 3, backend: 'cpu' });
  itemVectors = Array.from({ length: model.items.size }, (_, at) =>
    matrixRow(model.itemVectors, at),
  );
  userVectors = Array.from({ length: model.users.size }, (_, at) =>
    matrixRow(model.userVectors, at),
  );
});

async function serving(changes: Partial<ModelDeploymentOptions<number>> = {}) {
  const index = await flatOf(itemVectors);
  const deployment = await modelDeployment({ model, index, ...changes });
  const service = new Recommender({ slo: AMPLE, k: 10, warmUp: 8 });
  await service.deploy(deployment);
  return { service, deployment };
}

const best = (vector: ArrayLike<number>, without: Iterable<number> = []): string[] =>
  rowsOf(bestOf(itemVectors, vector, { k: 10, without })).map((row) => model.items.idAt(row));

describe('a two-tower model in service', () => {
  it('gives its users what is nearest to their vectors, by the ids of its items', async () => {
    const { service } = await serving();
    for (const user of [0, 7, 42, 99]) {
      const { items, explanation } = await service.recommend({ user: model.users.idAt(user) });
      expect(items).toEqual(best(userVectors[user]!));
      expect(explanation.isDegraded).toBe(false);
    }
    // A number is the same user as its text.
    const id = model.users.idAt(5);
    expect((await service.recommend({ user: Number(id) })).items).toEqual(best(userVectors[5]!));
    await service.close();
  });

  it('gives users whom it does not know what the mean user gets', async () => {
    const { service } = await serving();
    const usual = await model.encodeNewUsers([{ history: [] }]);
    for (const query of [{ user: 'nobody' }, { user: 123_456 }, {}, { context: { hour: 5 } }]) {
      expect((await service.recommend(query)).items).toEqual(best(usual));
    }
    await service.close();
  });

  it('encodes a history, also of users whom it knows, and leaves it out', async () => {
    const { service } = await serving();
    const history = [3, 17, 101].map((row) => model.items.idAt(row));
    const vector = await model.encodeNewUsers([{ history }]);
    for (const user of [model.users.idAt(4), 'nobody', undefined]) {
      const { items } = await service.recommend({ user, history: [...history, 'unheard of'] });
      expect(items).toEqual(best(vector, [3, 17, 101]));
    }
    await service.close();
  });

  it('encodes many at once as one by one', async () => {
    const { service } = await serving();
    const queries = Array.from({ length: 40 }, (_, at) => ({
      user: at % 3 ? model.users.idAt(at) : 'nobody',
      ...(at % 4 === 0 && { history: [model.items.idAt(at), model.items.idAt(2 * at)] }),
    }));
    const together = await Promise.all(queries.map((query) => service.recommend(query)));
    for (const [at, query] of queries.entries()) {
      const alone = await service.recommend(query);
      expect(together[at]!.items).toEqual(alone.items);
    }
    await service.close();
  });

  it('leaves out what is known of its users, besides what the request says', async () => {
    const { service } = await serving({ known: catalogue.train });
    for (const user of [0, 7, 42]) {
      const met = [...itemsOf(catalogue.train, user)];
      const next = Number(
        rowsOf(bestOf(itemVectors, userVectors[user]!, { k: 1, without: met }))[0],
      );
      const id = model.users.idAt(user);
      expect((await service.recommend({ user: id })).items).toEqual(best(userVectors[user]!, met));
      const { items } = await service.recommend(
        { user: id },
        { exclude: [model.items.idAt(next)] },
      );
      expect(items).toEqual(best(userVectors[user]!, [...met, next]));
      const history = [model.items.idAt(next)];
      const vector = await model.encodeNewUsers([{ history }]);
      const { items: anew } = await service.recommend({ user: id, history });
      expect(anew).toEqual(best(vector, [...met, next]));
    }
    const usual = await model.encodeNewUsers([{ history: [] }]);
    expect((await service.recommend({ user: 'nobody' })).items).toEqual(best(usual));
    await service.close();
  });

  it('works with keys that are ids', async () => {
    const keys = model.items.keys() as Float64Array;
    const shuffled = Array.from(itemVectors.keys()).sort(
      (a, b) => ((a * 7) % 300) - ((b * 7) % 300),
    );
    const index = await flatOf(
      shuffled.map((row) => itemVectors[row]!),
      { keys: Float64Array.from(shuffled, (row) => keys[row]!) },
    );
    const { service } = await serving({ index, known: catalogue.train });
    const met = [...itemsOf(catalogue.train, 7)];
    const { items } = await service.recommend({ user: model.users.idAt(7) });
    expect(items.map(String)).toEqual(best(userVectors[7]!, met));
    await service.close();
  });

  it('is warmed up by users of its own, all of them different', async () => {
    const { deployment, service } = await serving();
    const users = deployment.samples!.map(({ user }) => user!);
    expect(new Set(users).size).toBe(64);
    for (const user of users) expect(model.users.indexOf(user)).toBeGreaterThanOrEqual(0);
    await service.close();
  });

  it('of few users is warmed up by each of them', async () => {
    const users = Array.from({ length: 10 }, (_, at) => at);
    const few = interactionsFromPairs(
      users.flatMap((user) => [user, user, user]),
      users.flatMap((user) => [user, (user + 1) % 10, (user + 2) % 10]),
    );
    const small = await TwoTowerModel.train(few, { dim: 4, epochs: 1, backend: 'cpu' });
    const index = new FlatIndex({ dim: 4, metric: 'dot' });
    await index.add(small.itemVectors);
    const { samples } = await modelDeployment({ model: small, index });
    expect(new Set(samples!.map(({ user }) => Number(user)))).toEqual(new Set(users));
    index.close();
  });

  it('is called as is said, or as its index is', async () => {
    const index = await flatOf(itemVectors);
    expect(await modelDeployment({ model, index })).toMatchObject({ version: 'unversioned' });
    expect(await modelDeployment({ model, index, version: 'x' })).toMatchObject({ version: 'x' });
    index.close();
  });

  it('does not let bad features of one request fail another', async () => {
    const { service } = await serving();
    const good = service.recommend({ user: model.users.idAt(1) });
    const bad = outcome(service.recommend({ context: { features: { 'no such feature': 1 } } }));
    expect((await good).items).toEqual(best(userVectors[1]!));
    expect(await bad).toBe('ERR_LICHEN_ARGUMENT');
    const { outcomes, deployment } = service.stats();
    expect(outcomes).toMatchObject({ invalid: 1, ok: 1 });
    expect(deployment!.encode.breaker).toBe('closed');
    await service.close();
  });

  it('refuses what does not go together', async () => {
    const index = await flatOf(itemVectors);
    const other = new FlatIndex({ dim: 9, metric: 'dot' });
    const refused = async (options: unknown): Promise<unknown> =>
      outcome(modelDeployment(options as ModelDeploymentOptions<number>));
    expect(await refused({ model, index: other })).toBe('ERR_LICHEN_DIMENSION');
    expect(await refused({ model: {}, index })).toBe('ERR_LICHEN_ARGUMENT');
    expect(await refused({ model: null, index })).toBe('ERR_LICHEN_ARGUMENT');
    for (const bad of [undefined, null, {}]) {
      expect(await refused({ model, index: bad })).toMatch(/^ERR_LICHEN_(ARGUMENT|DIMENSION)$/);
    }
    expect(await refused({ model, index, known: { offsets: [0], itemIndices: [] } })).toBe(
      'ERR_LICHEN_ARGUMENT',
    );
    for (const bad of [undefined, null, 5]) expect(await refused(bad)).toBe('ERR_LICHEN_ARGUMENT');
    expect(await refused({ model, index, vresion: 'typo' })).toBe('ERR_LICHEN_ARGUMENT');
    const fewer = await flatOf(itemVectors.slice(1));
    const service = new Recommender();
    const deployed = modelDeployment({ model, index: fewer }).then((made) => service.deploy(made));
    expect(await outcome(deployed)).toBe('ERR_LICHEN_DIMENSION');
    await service.close();
    for (const one of [index, other, fewer]) one.close();
  });
});
