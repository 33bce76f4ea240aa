import { Command } from 'commander';
import { makeCatalogue, type Catalogue } from '../catalogue/catalogue.js';
import { rankingMetrics } from '../ranking/ranking-metrics.js';
import { measureSearch } from '../evaluation/search-points.js';
import { exactTruth } from '../evaluation/truth.js';
import { HnswIndex } from '../index/hnsw.js';
import { itemsOf } from '../interactions/interactions.js';
import { machine } from '../native.js';
import { NO_ITEM, recommendBatch } from '../ranking/recommend.js';
import { TwoTowerModel } from '../towers/two-tower-model.js';
import { tellBackend } from './backend-notice.js';
import { grouped, openTerminal, table, timed, type Terminal } from './terminal.js';
import { examples, integer } from './usage.js';

interface DemoFlags {
  listeners: number;
  tracks: number;
  dim: number;
  seed: number;
  json?: boolean;
}

const RECOMMENDATIONS = 5;
const CUT_OFF = 20;
const SHOWN_LISTENERS = [3, 11, 42];
const EF = 64;

/** `lichen demo` */
export function demoCommand(): Command {
  return new Command('demo')
    .description(
      'Run the main job on a small built-in music service: train, embed, index, recommend.',
    )
    .option('--listeners <n>', 'listeners', integer(50), 2000)
    .option('--tracks <n>', 'tracks', integer(240), 3000)
    .option('--dim <n>', 'values a vector', integer(2, 1024), 32)
    .option('--seed <n>', 'decides every random choice', integer(0), 42)
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      examples('lichen demo', 'lichen demo --listeners 500 --tracks 1000 --json'),
    )
    .action(demo);
}

async function demo(flags: DemoFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  tellBackend(terminal);
  const { signal } = terminal;
  const { isa, threads } = machine();
  terminal.say(`lichen on ${threads} processors, instruction set ${isa}\n`);

  const [catalogue, makeSeconds] = await timed(() => Promise.resolve(makeCatalogue(flags)));
  const { train, test } = catalogue;
  terminal.say(
    `A music service of ${grouped(train.users.size)} listeners and ${grouped(train.items.size)} tracks; ` +
      `${grouped(train.report.kept)} plays to learn from, ${grouped(test.report.kept)} kept back.`,
  );
  const [model, trainSeconds] = await timed(() =>
    terminal.withProgress('training', (report) =>
      TwoTowerModel.train(train, {
        userTower: 'id',
        dim: flags.dim,
        seed: flags.seed,
        signal,
        onProgress: ({ step, steps }) => report(step, steps),
      }),
    ),
  );
  terminal.say(`Two towers of dim ${flags.dim} trained, loss ${model.info.loss.toFixed(3)}.`);

  using index = new HnswIndex({ dim: model.dim, metric: 'dot' });
  const [, buildSeconds] = await timed(() => index.add(model.itemVectors, { signal }));
  const bytesPerVector = index.bytes / index.size;
  terminal.say(
    `HNSW index of ${grouped(index.size)} track vectors: ${bytesPerVector.toFixed(0)} bytes a vector, graph included.\n`,
  );

  const { items, userVectors: queries } = model;
  const request = { index, items, queries, known: train };
  const [ranked, recommendSeconds] = await timed(() =>
    recommendBatch(request, { k: CUT_OFF, ef: EF, signal }),
  );
  const exact = await recommendBatch(request, { k: CUT_OFF, exact: true, signal });
  showRecommendations(terminal, catalogue, ranked);

  const quality = rankingMetrics(ranked, test, [CUT_OFF]).values;
  const exactQuality = rankingMetrics(exact, test, [CUT_OFF]).values;
  const popular = rankingMetrics(byPopularity(catalogue), test, [CUT_OFF]).values;
  const [[point], measureSeconds] = await timed(async () =>
    measureSearch(index, queries, await exactTruth(index, queries, 10, signal), {
      k: 10,
      efs: [EF],
      signal,
    }),
  );
  const name = `recall@${CUT_OFF}`;
  terminal.say(
    `Plays kept back that are among the first ${CUT_OFF} (${name}): ${quality[name]!.toFixed(4)} through the index, ` +
      `${exactQuality[name]!.toFixed(4)} by exact search, ${popular[name]!.toFixed(4)} by popularity alone.`,
  );
  terminal.say(
    `Index against exact search: recall@10 ${point!.recall.toFixed(4)} at ef ${EF}; ` +
      `${grouped(point!.qps)} queries/s on one thread, p50 ${point!.p50us.toFixed(1)} µs, p99 ${point!.p99us.toFixed(1)} µs.\n`,
  );
  const seconds = {
    catalogue: makeSeconds,
    train: trainSeconds,
    build: buildSeconds,
    recommend: recommendSeconds,
    measure: measureSeconds,
  };
  terminal.say(
    table([
      ['where the time went', 'seconds'],
      ...Object.entries(seconds).map(([stage, taken]) => [stage, taken.toFixed(2)]),
    ]),
  );
  terminal.result({
    users: train.users.size,
    items: train.items.size,
    dim: model.dim,
    loss: model.info.loss,
    recommendations: quality,
    exact: exactQuality,
    popularity: popular,
    search: point,
    bytesPerVector,
    seconds,
  });
}

function showRecommendations(
  terminal: Terminal,
  { tracks, listeners, train, test }: Catalogue,
  ranked: Uint32Array,
): void {
  const trackAt = (item: number) => tracks[Number(train.items.idAt(item))]!;
  for (const user of SHOWN_LISTENERS) {
    const { name, genres } = listeners[Number(train.users.idAt(user))]!;
    const later = new Set(itemsOf(test, user));
    const first = ranked.subarray(user * CUT_OFF, user * CUT_OFF + RECOMMENDATIONS);
    terminal.say(`${name}, who likes ${genres.join(', ')}, may like`);
    const rows = Array.from(first)
      .filter((item) => item !== NO_ITEM)
      .map((item) => {
        const { title, artist, genre } = trackAt(item);
        return [`  ${title}`, artist, genre, later.has(item) ? '(played later)' : ''];
      });
    terminal.say(`${table(rows)}\n`);
  }
}

/** The most played tracks that a listener has not heard, the same ranking for all. */
function byPopularity({ train }: Catalogue): Uint32Array {
  const plays = new Uint32Array(train.items.size);
  for (const item of train.itemIndices) plays[item]!++;
  const order = Array.from(plays.keys()).sort((a, b) => plays[b]! - plays[a]! || a - b);
  const ranked = new Uint32Array(train.users.size * CUT_OFF).fill(NO_ITEM);
  for (let user = 0; user < train.users.size; user++) {
    const heard = new Set(itemsOf(train, user));
    let place = 0;
    for (const item of order) {
      if (place === CUT_OFF) break;
      if (!heard.has(item)) ranked[user * CUT_OFF + place++] = item;
    }
  }
  return ranked;
}
