import { Command } from 'commander';
import { rankingMetrics } from '../evaluation/ranking.js';
import { FlatIndex } from '../index/flat.js';
import type { Interactions } from '../interactions/interactions.js';
import { readInteractions } from '../interactions/reader.js';
import { recommendBatch } from '../serving/recommend.js';
import { BACKENDS } from '../tensorflow/backends.js';
import type { TowerBackend } from '../tensorflow/tensorflow.js';
import { TWO_TOWER_DEFAULTS, type TwoTowerOptions } from '../towers/options.js';
import { TwoTowerModel } from '../towers/two-tower-model.js';
import { tellBackend } from './backend-notice.js';
import { grouped, openTerminal, timed, type Terminal } from './terminal.js';
import { integer, nonNegativeNumber, oneOf, positiveNumber } from './usage.js';

interface TrainFlags extends Pick<TwoTowerOptions, 'dim' | 'epochs' | 'batchSize' | 'seed'> {
  interactions: string;
  test?: string;
  output: string;
  loss: 'softmax';
  lr?: number;
  temperature?: number;
  weightDecay?: number;
  normalize?: boolean;
  backend?: TowerBackend;
  json?: boolean;
}

/** Cut-offs of the metrics that a test file gives. */
const CUT_OFFS = [20, 50];

/** `lichen train` */
export function trainCommand(): Command {
  const { dim, epochs, batchSize, learningRate, temperature, weightDecay, seed } =
    TWO_TOWER_DEFAULTS;
  return new Command('train')
    .description('Train two towers on interactions; save the model to a folder.')
    .requiredOption(
      '--interactions <file>',
      'lines "user item item …", or .csv/.tsv rows "user item [rating] [timestamp]"; .gz too',
    )
    .option('--test <file>', 'interactions to measure recall@k and ndcg@k on')
    .requiredOption('--output <folder>', 'where the model is saved')
    .option('--dim <n>', `values a vector (default: ${dim})`, integer(1, 4096))
    .option('--epochs <n>', `passes over the pairs (default: ${epochs})`, integer(1, 10000))
    .option('--loss <name>', 'loss: softmax', oneOf(['softmax']), 'softmax')
    .option('--batch-size <n>', `pairs a step (default: ${batchSize})`, integer(2, 65536))
    .option('--lr <x>', `learning rate (default: ${learningRate})`, positiveNumber)
    .option('--temperature <x>', `of the softmax (default: ${temperature})`, positiveNumber)
    .option('--normalize', 'score by the cosine instead of the dot product (try --temperature 0.1)')
    .option(
      '--weight-decay <x>',
      `pull of touched rows towards 0 (default: ${weightDecay})`,
      nonNegativeNumber,
    )
    .option('--seed <n>', `decides every random choice (default: ${seed})`, integer(0))
    .option('--backend <name>', 'TensorFlow.js backend', oneOf(['auto', ...BACKENDS]))
    .option('--json', 'print the result as JSON')
    .action(train);
}

async function train(flags: TrainFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  tellBackend(terminal);
  const { signal } = terminal;
  const interactions = await terminal.withProgress('reading', (onProgress) =>
    readInteractions(flags.interactions, { signal, onProgress }),
  );
  const test =
    flags.test &&
    (await readInteractions(flags.test, {
      users: interactions.users,
      items: interactions.items,
      signal,
    }));
  const { users, items, report } = interactions;
  terminal.say(
    `${grouped(users.size)} users, ${grouped(items.size)} items, ${grouped(report.kept)} pairs`,
  );
  const {
    dim,
    batchSize,
    seed,
    lr: learningRate,
    temperature,
    weightDecay,
    normalize,
    backend,
  } = flags;
  const [model, seconds] = await timed(() =>
    terminal.withProgress('training', (report) =>
      TwoTowerModel.train(interactions, {
        dim,
        epochs: flags.epochs,
        batchSize,
        seed,
        learningRate,
        temperature,
        weightDecay,
        normalize,
        backend,
        signal,
        onProgress: ({ step, steps }) => report(step, steps),
      }),
    ),
  );
  const metrics = test ? await testMetrics(model, interactions, test, terminal) : {};
  await model.save(flags.output, { metrics });
  const { epochs, loss } = model.info;
  terminal.say(`${epochs} epochs in ${seconds.toFixed(1)} s, loss ${loss.toFixed(4)}`);
  for (const [name, value] of Object.entries(metrics)) terminal.say(`${name} ${value.toFixed(4)}`);
  terminal.say(`saved to ${flags.output}`);
  terminal.result({
    users: users.size,
    items: items.size,
    epochs,
    seconds,
    loss,
    backend: model.info.backend,
    metrics,
    output: flags.output,
  });
}

/** recall@k and ndcg@k by exact search over all items that a user does not have yet. */
async function testMetrics(
  model: TwoTowerModel,
  known: Interactions,
  test: Interactions,
  terminal: Terminal,
): Promise<Readonly<Record<string, number>>> {
  const { signal } = terminal;
  const { items, userVectors, itemVectors } = model;
  using index = new FlatIndex({ dim: model.dim, metric: 'dot' });
  await index.add(itemVectors, { signal });
  const k = Math.max(...CUT_OFFS);
  const ranked = await terminal.withProgress('testing', (onProgress) =>
    recommendBatch({ index, items, queries: userVectors, known }, { k, signal, onProgress }),
  );
  return rankingMetrics(ranked, test, CUT_OFFS).values;
}
