import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { itemsOf, type Interactions } from '../../src/index.js';
import type { CascadeOptions } from '../../src/cascade/cascade-options.js';
import type { RankingGroup } from '../../src/towers/ranker.js';
import { ratioText, spread } from '../harness/alternate.js';
import { compiled } from '../harness/compiled.js';
import { listQuality } from '../../src/ranking/ranking-metrics.js';
import { RANKING_FEATURES, RankingFeatures } from '../../src/towers/ranking-features.js';
import { integerOption, type Result, type Suite, type SuiteContext } from '../harness/suite.js';
import { dataFolder } from '../harness/vectors.js';

const K = 20;
/** Candidates of a request that the ranker is trained on: the nearest, and some of all, since it shall rank all as well. */
const TRAINED = 200;
const DRAWN = 100;
/** Of what the retrieval may give at most. */
const MOST = 2000;
/** Numbers of candidates are good enough with this share of what ranking everything would give, by nDCG. */
const GOOD = 0.99;
/** What a cascade may cost of ranking everything. */
const MOST_COST = 0.1;
/** Requests that the numbers of candidates are tuned on. */
const TUNED = 100;

/** A cascade with a trained second stage against ranking everything with that stage. */
export const cascadeSuite: Suite = {
  name: 'cascade',
  description: 'retrieval and a ranker, tuned, beside ranking all items',
  options: {
    interactions: 'to train on, as lichen train reads them, or made (default: gowalla, else made)',
    test: 'what users met later',
    users: 'test users that count (default 1,000)',
    epochs: 'of the towers (default as of lichen train)',
    'graph-layers': 'of the towers of ids, 0 for none (default 0)',
    rounds: 'rounds of timing (default 3)',
  },
  quick: { interactions: 'made', epochs: '2', users: '100', rounds: '1' },
  run,
};

async function run(context: SuiteContext): Promise<Result[]> {
  const library = compiled();
  const { known, test } = await data(context);
  const count = integerOption(context, 'users', 1000);
  const rounds = integerOption(context, 'rounds', 3);
  const graphLayers = Number(context.options.get('graph-layers') ?? 0);
  const epochs = context.options.has('epochs') ? integerOption(context, 'epochs', 1) : undefined;
  context.say(
    `${known.users.size} users, ${known.items.size} items: training towers on nine tenths`,
  );
  const { train: rest, test: held } = library.holdOutShare(known, 0.1, 1);
  const towers = await library.TwoTowerModel.train(rest, { userTower: 'id', graphLayers, epochs });
  const { userVectors: users, itemVectors: items } = towers;
  const index = new library.HnswIndex({ dim: items.dim, metric: 'dot' });
  await index.add(items.data);

  const learning = new RankingFeatures(rest, users, items);
  const random = new library.Random(5);
  const groups = (from: number, to: number): RankingGroup[] => {
    const list: RankingGroup[] = [];
    for (let user = from; user < to; user++) {
      const relevant = new Set(itemsOf(held, user));
      if (relevant.size === 0) continue;
      const vector = users.data.subarray(user * users.dim, (user + 1) * users.dim);
      const exclude = itemsOf(rest, user);
      const near = index.searchSync(vector, { k: TRAINED, ef: 2 * TRAINED, exclude });
      const drawn = Array.from({ length: DRAWN }, () => random.below(known.items.size));
      const keys = [...new Set([...near.keys, ...drawn])].filter((key) => !exclude.includes(key));
      const relevance = Array.from(keys, (key) => (relevant.has(key) ? 1 : 0));
      list.push({ features: learning.of(learning.user(user), keys), relevance });
    }
    return list;
  };
  const part = Math.min(6000, Math.floor(known.users.size / 2));
  const validated = Math.min(1000, Math.floor(known.users.size / 4));
  const ranker = await library.trainRanker(groups(0, part), {
    ...{ features: RANKING_FEATURES, validation: groups(part, part + validated), epochs: 30 },
  });
  const last = ranker.epochs.at(-1)!;
  context.say(
    `ranker: ${ranker.epochs.length} epochs, loss ${last.loss.toFixed(3)}, held out ${last.validationLoss!.toFixed(3)}`,
  );
  const { tf } = await library.loadTensorFlow('auto');
  const score = async (features: Float32Array): Promise<Float32Array> => {
    const rows = features.length / RANKING_FEATURES;
    const output = tf.tidy(() =>
      ranker.model.predict(tf.tensor2d(features, [rows, RANKING_FEATURES]) as never),
    );
    const [only] = [output].flat();
    const values = (await only!.data()) as Float32Array;
    only!.dispose();
    return values;
  };

  /** With counts of candidates, over what users are known to have met. */
  const cascadeOf = (
    had: Interactions,
    features: RankingFeatures,
    [first, second]: readonly [number, number],
  ): CascadeOptions<number, number> => ({
    k: K,
    retrieval: library.indexRetrieval({
      ...{ index, candidates: first },
      vector: (user: number) => users.data.subarray(user * users.dim, (user + 1) * users.dim),
      search: (user: number) => ({ exclude: itemsOf(had, user), ef: Math.max(64, first) }),
    }),
    stages:
      second === 0
        ? []
        : [
            {
              ...{ name: 'ranker', candidates: second },
              score: (user, { keys }) => score(features.of(features.user(user), keys)),
            },
          ],
  });

  const everything = Uint32Array.from({ length: known.items.size }, (_, item) => item);
  /** The best of all items for the ranker. */
  const bestOfAll = async (
    features: RankingFeatures,
    had: Interactions,
    user: number,
  ): Promise<Uint32Array> => {
    const values = await score(features.of(features.user(user), everything));
    for (const item of itemsOf(had, user)) values[item] = -Infinity;
    return best(values, K);
  };
  context.say(`tuning: ${TUNED} requests, relevant is what the ranker would take of all items`);
  const requests = [];
  const started = performance.now();
  for (let at = 0; at < TUNED; at++) {
    const query = part + validated + at;
    requests.push({ query, relevant: await bestOfAll(learning, rest, query) });
  }
  const maxCostMs = (MOST_COST * (performance.now() - started)) / TUNED;
  const tuned = await library.tuneCascade(cascadeOf(rest, learning, [MOST, MOST]), {
    ...{ steps: 10, requests, maxCostMs },
  });
  for (const { candidates, ndcg, costMs } of tuned.front) {
    context.say(
      `  ${candidates.join(' → ')}: nDCG ${ndcg.toFixed(4)} of it, ${costMs.toFixed(2)} ms`,
    );
  }
  const good =
    tuned.front.find(({ ndcg, costMs }) => ndcg >= GOOD && costMs <= maxCostMs) ?? tuned.best!;

  const serving = new RankingFeatures(known, users, items);
  const asked: number[] = [];
  for (let user = 0; asked.length < count && user < known.users.size; user++) {
    if (itemsOf(test, user).length > 0) asked.push(user);
  }
  const [first = MOST, second = MOST] = good.candidates;
  const cascade = new library.Cascade(cascadeOf(known, serving, [first, second]));
  const alone = new library.Cascade(cascadeOf(known, serving, [K, 0]));
  const sides: [string, (user: number) => Promise<ArrayLike<number>>][] = [
    [`cascade, ${good.candidates.join(' → ')}`, async (user) => (await cascade.rank(user)).keys],
    ['ranker over all items', (user) => bestOfAll(serving, known, user)],
    ['retrieval alone', async (user) => (await alone.rank(user)).keys],
  ];
  const quality = sides.map(() => ({ ndcg: 0, recall: 0 }));
  const micros = sides.map(() => [] as number[]);
  for (let round = 0; round < rounds; round++) {
    for (const [side, [, recommend]] of sides.entries()) {
      const sums = { ndcg: 0, recall: 0 };
      const started = performance.now();
      // Everything takes long: fewer users after the first round.
      const some = round > 0 ? asked.slice(0, 100) : asked;
      for (const user of some) {
        const found = await recommend(user);
        const of = listQuality(found, itemsOf(test, user), K);
        sums.ndcg += of.ndcg;
        sums.recall += of.recall;
      }
      micros[side]!.push((1000 * (performance.now() - started)) / some.length);
      if (round > 0) continue;
      quality[side] = { ndcg: sums.ndcg / some.length, recall: sums.recall / some.length };
    }
  }
  const cost = spread(micros[0]!.map((value, round) => value / micros[1]![round]!));
  const share = quality[0]!.ndcg / quality[1]!.ndcg;
  context.say(
    `the cascade has ${(100 * share).toFixed(1)}% of the nDCG of ranking everything, at ${ratioText(cost)} its cost`,
  );
  ranker.model.dispose();
  index.close();
  return sides.map(([name], side) => ({
    name,
    [`ndcg@${K}`]: quality[side]!.ndcg,
    [`recall@${K}`]: quality[side]!.recall,
    us: spread(micros[side]!).median,
    ofTheNdcg: quality[side]!.ndcg / quality[1]!.ndcg,
    ofTheCost: spread(micros[side]!.map((value, round) => value / micros[1]![round]!)).median,
  }));
}

/** Places of the highest scores. */
function best(scores: Float32Array, k: number): Uint32Array {
  const order = Uint32Array.from(scores, (_, at) => at);
  return order.sort((a, b) => scores[b]! - scores[a]!).slice(0, k);
}

async function data(context: SuiteContext): Promise<{ known: Interactions; test: Interactions }> {
  const { readInteractions, makeCatalogue } = compiled();
  const folder = join(dataFolder(), 'gowalla');
  const given = context.options.get('interactions');
  if (given === 'made' || (given === undefined && !existsSync(join(folder, 'train.txt.gz')))) {
    const why = given === undefined ? 'gowalla is missing: ' : '';
    context.say(`${why}interactions of the built-in catalogue`);
    const { train, test } = makeCatalogue();
    return { known: train, test };
  }
  const path = given ?? join(folder, 'train.txt.gz');
  const testPath = context.options.get('test') ?? join(folder, 'test.txt.gz');
  const known = await readInteractions(path);
  const { users, items } = known;
  return { known, test: await readInteractions(testPath, { users, items }) };
}
