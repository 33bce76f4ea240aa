// A video service: what is new counts, most videos are watched by few, and the final ranker is heavy.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  aggregate,
  Cascade,
  entity,
  feature,
  featureService,
  FlatIndex,
  HnswIndex,
  InteractionRanker,
  itemsOf,
  matrixRow,
  OnlineFeatures,
  openLmdbStore,
  Random,
  streamView,
  StreamWriter,
  TwoTowerModel,
  type Interactions,
} from 'lichen';
import {
  chooseDesign,
  exampleOptions,
  heading,
  interactionsOf,
  requestOf,
  say,
  sayTable,
  splitUsers,
} from '../common.js';

const K = 20;
const HALF_LIFE_MS = 6 * 3_600_000;

async function main(): Promise<void> {
  const options = exampleOptions('video', 'gowalla');
  const { isSmall, seed, report } = options;
  const { known, later } = await interactionsOf(options, ['train.txt.gz', 'test.txt.gz']);
  say(
    `${known.users.size} viewers, ${known.items.size} videos, ${known.itemIndices.length} views to learn from.`,
  );
  const model = await TwoTowerModel.train(known, {
    ...{ userTower: 'id', dim: 64, prefixes: [32], seed },
    epochs: isSmall ? 2 : 6,
  });
  const { itemVectors, userVectors, metric } = model;
  const [learners, requests, reportRequests] = splitUsers(
    later,
    isSmall ? [200, 100, 60] : [2000, 800, 800],
    seed,
  );
  using ranker = await InteractionRanker.train(
    { known, users: userVectors, items: itemVectors, metric, later, learners: learners! },
    { seed, epochs: isSmall ? 4 : 20 },
  );

  heading('Freshness and the long tail');
  await freshness(known, userVectors, itemVectors, metric, ranker, seed);

  const request = requestOf(known, later);
  await chooseDesign(
    'Video: a design for 1,000 requests a second within 60 ms, with a heavy ranker',
    { viewers: known.users.size, videos: known.items.size },
    {
      ...{ items: itemVectors, users: userVectors, metric, k: K, seed },
      requests: requests!.map(request),
      reportRequests: reportRequests!.map(request),
      ranker: (user: number, rows: Uint32Array) => ranker.score(user, rows),
      rankerBytes: ranker.bytes,
      demand: { qps: 1000, sloMs: 60 },
      space: {
        ...{ dims: [32, 64], storages: ['f32', 'i8+f16'], indexes: ['hnsw'], m: [16] },
        ...{ efs: [32, 64, 128], candidates: [0, 50, 100, 200, 400, Infinity] },
      },
      ...{ maxSecondsADesign: isSmall ? 3 : 30 },
      ...(isSmall && { maxDesigns: 24, firstRung: 12 }),
    },
    report,
  );
}

/** A cascade whose last stage adds what the last hours say of each video, from features that events keep up to date. */
async function freshness(
  known: Interactions,
  users: { data: Float32Array; rows: number; dim: number },
  items: { data: Float32Array; rows: number; dim: number },
  metric: 'dot' | 'cosine',
  ranker: InteractionRanker,
  seed: number,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'lichen-video-'));
  const video = entity('video', { keys: 'integer' });
  const recent = streamView({
    ...{ name: 'recent', entity: video, ttlMs: 86_400_000 },
    event: { seconds: feature.f32() },
    features: { popularity: aggregate.decayed(HALF_LIFE_MS) },
  });
  const service = featureService({ name: 'freshness', version: 1, views: [recent] });
  const store = await openLmdbStore({ path: join(folder, 'features') });
  try {
    // New uploads: videos that few have seen, which everybody watches this hour.
    const random = new Random(seed);
    const views = new Uint32Array(items.rows);
    for (const item of known.itemIndices) views[item]!++;
    const rare = Array.from(views, (count, item) => ({ count, item }))
      .sort((a, b) => a.count - b.count)
      .slice(0, Math.ceil(items.rows / 50));
    const now = Date.now();
    const events = Array.from({ length: 20 * rare.length }, (_, at) => ({
      ...{ key: rare[random.below(rare.length)]!.item, id: `e${at}` },
      ...{ time: now - random.below(3_600_000), fields: { seconds: 60 } },
    }));
    const writer = await StreamWriter.open(recent, store);
    await writer.ingest(events);
    const online = new OnlineFeatures(service, {
      store,
      memory: { maxBytes: 16e6, freshMs: 1000 },
    });

    using index = new HnswIndex({ dim: items.dim, metric, storage: 'i8', rerank: 'f16' });
    await index.add(items.data);
    // New videos are few: searched exactly, so that some of them are always among the candidates.
    using fresh = new FlatIndex<number>({ dim: items.dim, metric });
    const newest = Float64Array.from(new Set(events.map(({ key }) => key)));
    const vectors = new Float32Array(newest.length * items.dim);
    newest.forEach((item, at) => vectors.set(matrixRow(items, item), at * items.dim));
    await fresh.add(vectors, { keys: newest });

    const popular = Float64Array.from(views).sort();
    const often = popular[Math.floor(0.9 * popular.length)]!;
    const isNew = new Set(newest);
    const rows = [['weight of freshness', 'new of 20', 'of the long tail', 'ms']];
    for (const weight of [0, 2, 8]) {
      const cascade = new Cascade<number, number>({
        k: K,
        retrieval: {
          name: 'retrieval',
          candidates: 200,
          retrieve: (user, count) => {
            const vector = matrixRow(users, user);
            const exclude = itemsOf(known, user);
            const near = index.searchSync(vector, { k: count - 20, ef: 2 * count, exclude });
            const found = new Map(Array.from(near.keys, (key, at) => [key, near.scores[at]!]));
            const some = fresh.searchSync(vector, { k: Math.min(20, fresh.size) });
            some.keys.forEach((key, at) => found.set(key, some.scores[at]!));
            const order = [...found].sort((a, b) => b[1] - a[1]);
            return Promise.resolve({
              keys: Float64Array.from(order, ([key]) => key),
              scores: Float64Array.from(order, ([, score]) => score),
            });
          },
        },
        stages: [
          {
            ...{ name: 'ranker and freshness', candidates: 200 },
            score: async (user, { keys }) => {
              const [scores, { columns }] = await Promise.all([
                ranker.score(user, keys),
                online.get({ video: Array.from(keys) }),
              ]);
              const { popularity } = columns.recent;
              return scores.map((score, at) => score + weight * Math.log1p(popularity[at]!));
            },
          },
        ],
      });
      let fromNew = 0;
      let fromTail = 0;
      const count = 50;
      const started = performance.now();
      for (let user = 0; user < count; user++) {
        const { keys } = await cascade.rank(user);
        for (const key of keys) {
          if (isNew.has(key)) fromNew++;
          if (views[key]! < often) fromTail++;
        }
      }
      const ms = (performance.now() - started) / count;
      rows.push([
        String(weight),
        (fromNew / count).toFixed(1),
        `${((100 * fromTail) / (count * K)).toFixed(0)}%`,
        ms.toFixed(1),
      ]);
    }
    sayTable(rows);
    say('Long tail: the nine tenths of the videos that are watched least.');
  } finally {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

void main();
