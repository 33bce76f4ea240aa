import { Command } from 'commander';
import { readInteractions } from '../interactions/reader.js';
import { BACKENDS } from '../tensorflow/backends.js';
import { readFeatures } from '../towers/feature-files.js';
import type { FeatureColumns } from '../towers/features.js';
import { TWO_TOWER_DEFAULTS, type TwoTowerOptions } from '../towers/options.js';
import { TwoTowerModel } from '../towers/two-tower-model.js';
import type { Vocabulary } from '../interactions/vocabulary.js';
import { tellBackend } from './backend-notice.js';
import { grouped, openTerminal, timed, type Terminal } from './terminal.js';
import { heldOut, parseHoldOut, testMetrics, type HoldOut } from './train-test.js';
import {
  examples,
  integer,
  integers,
  nonNegativeNumber,
  oneOf,
  outputPath,
  positiveNumber,
  share,
} from './usage.js';

interface TrainFlags extends Pick<
  TwoTowerOptions,
  | 'dim'
  | 'userTower'
  | 'loss'
  | 'ordered'
  | 'epochs'
  | 'batchSize'
  | 'temperature'
  | 'negatives'
  | 'weightDecay'
  | 'graphLayers'
  | 'recency'
  | 'maxHistory'
  | 'layers'
  | 'dropout'
  | 'prefixes'
  | 'validation'
  | 'patience'
  | 'seed'
  | 'backend'
> {
  interactions: string;
  test?: string;
  holdOut?: HoldOut;
  itemFeatures?: string;
  userFeatures?: string;
  texts?: string;
  initial?: string;
  output: string;
  lr?: number;
  normalize?: boolean;
  dot?: boolean;
  cutOffs: number[];
  json?: boolean;
}

/** `lichen train` */
export function trainCommand(): Command {
  const { dim, epochs, batchSize, learningRate, temperature, negatives, seed, patience } =
    TWO_TOWER_DEFAULTS;
  return new Command('train')
    .description('Train two towers on interactions; save the model to a folder.')
    .optionsGroup('Data:')
    .requiredOption(
      '--interactions <file>',
      'lines "user item item …", or .csv/.tsv rows "user item [rating] [timestamp]"; .gz too',
    )
    .option('--test <file>', 'interactions to measure recall@k and ndcg@k on')
    .option(
      '--hold-out <what>',
      'measure on a part of the interactions instead, held out of training: last (of each user), ' +
        'SHARE (0.2: by chance) or items=SHARE (all of some items, as if new)',
      parseHoldOut,
    )
    .option('--cut-offs <k,…>', 'k of the metrics', integers, [20, 50])
    .requiredOption('--output <folder>', 'where the model is saved', outputPath)
    .option(
      '--item-features <file>',
      'lines "item value value …", or .jsonl {"id": …, "name": value, …}',
    )
    .option('--user-features <file>', 'the same of users')
    .option('--texts <names>', 'features of .jsonl files that are texts, with commas between')
    .option('--initial <folder>', 'a model to start from: its rows are taken for the same ids')
    .optionsGroup('Towers:')
    .option(
      '--user-tower <kind>',
      'what a user is: history (default), attention or id',
      oneOf(['history', 'attention', 'id']),
    )
    .option('--ordered', "a user's items are in order, oldest first: learn the next one")
    .option('--loss <name>', 'softmax (default), bpr or ccl', oneOf(['softmax', 'bpr', 'ccl']))
    .option('--dim <n>', `values a vector (default: ${dim})`, integer(1, 4096))
    .option('--prefixes <n,…>', 'lengths whose prefixes are to be good vectors too', integers)
    .optionsGroup('Training:')
    .option('--epochs <n>', `passes over the users (default: ${epochs})`, integer(1, 100_000))
    .option('--batch-size <n>', `users a step (default: ${batchSize})`, integer(2, 65536))
    .option('--negatives <n>', `negatives a step (default: ${negatives})`, integer(0, 1_048_576))
    .option('--lr <x>', `learning rate (default: ${learningRate})`, positiveNumber)
    .option('--temperature <x>', `of the loss (default: ${temperature})`, positiveNumber)
    .option('--normalize', 'score by the cosine (the default but for ids)')
    .option('--dot', 'score by the dot product instead of the cosine (try --temperature 1)')
    .option('--weight-decay <x>', 'pull of touched rows towards 0', nonNegativeNumber)
    .option(
      '--graph-layers <n>',
      'of ids: steps along the graph of interactions that vectors are smoothed over',
      integer(0, 4),
    )
    .option(
      '--recency <x>',
      'what an item of an ordered history weighs beside the next',
      positiveNumber,
    )
    .option(
      '--max-history <n>',
      'the newest items of an ordered history that count',
      integer(1, 4096),
    )
    .option('--layers <n>', 'layers of the attention tower', integer(1, 16))
    .option('--dropout <x>', 'of the attention tower', nonNegativeNumber)
    .option(
      '--validation <share>',
      'hold back to choose the best epoch by (--ordered: the last of each user)',
      share,
    )
    .option(
      '--patience <n>',
      `validations without a better one before it stops (default: ${patience})`,
      integer(1),
    )
    .option('--seed <n>', `decides every random choice (default: ${seed})`, integer(0))
    .option('--backend <name>', 'TensorFlow.js backend', oneOf(['auto', ...BACKENDS]))
    .optionsGroup('Options:')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      examples(
        'lichen train --interactions plays.csv --hold-out last --output model',
        'lichen train --interactions train.txt.gz --test test.txt.gz --user-tower id \\',
        '             --graph-layers 2 --output model',
      ),
    )
    .action(train);
}

async function train(flags: TrainFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  tellBackend(terminal);
  const { signal } = terminal;
  const read = await terminal.withProgress('reading', (onProgress) =>
    readInteractions(flags.interactions, { signal, onProgress }),
  );
  const held = await heldOut(read, flags, signal);
  const interactions = held?.train ?? read;
  const { users, items, itemIndices } = interactions;
  terminal.say(
    `${grouped(users.size)} users, ${grouped(items.size)} items, ${grouped(itemIndices.length)} pairs`,
  );
  const itemFeatures = await features(flags.itemFeatures, items, flags, terminal);
  const userFeatures = await features(flags.userFeatures, users, flags, terminal);
  const initial =
    flags.initial === undefined ? undefined : await TwoTowerModel.open(flags.initial, { signal });
  const [model, seconds] = await timed(() =>
    terminal.withProgress('training', (report) =>
      TwoTowerModel.train(
        interactions,
        { ...optionsOf(flags), signal, onProgress: ({ step, steps }) => report(step, steps) },
        { itemFeatures, userFeatures, initial },
      ),
    ),
  );
  const tested = held && (await testMetrics(model, held, { ...flags, itemFeatures }, terminal));
  await model.save(flags.output, { metrics: tested?.metrics ?? {} });
  report(model, seconds, tested, flags, terminal);
}

function optionsOf(flags: TrainFlags): TwoTowerOptions {
  const { userTower, ordered, ...rest } = flags;
  return {
    dim: rest.dim,
    userTower,
    ordered: userTower === 'attention' ? undefined : ordered,
    loss: rest.loss,
    epochs: rest.epochs,
    batchSize: rest.batchSize,
    negatives: rest.negatives,
    learningRate: rest.lr,
    temperature: rest.temperature,
    normalize: rest.dot === true ? false : rest.normalize,
    weightDecay: rest.weightDecay,
    graphLayers: rest.graphLayers,
    recency: rest.recency,
    maxHistory: rest.maxHistory,
    layers: rest.layers,
    dropout: rest.dropout,
    prefixes: rest.prefixes,
    validation: rest.validation,
    patience: rest.patience,
    seed: rest.seed,
    backend: rest.backend,
  };
}

async function features(
  path: string | undefined,
  ids: Vocabulary,
  { texts }: TrainFlags,
  terminal: Terminal,
): Promise<FeatureColumns | undefined> {
  if (path === undefined) return undefined;
  const read = await readFeatures(path, ids, {
    texts: texts?.split(',').map((name) => name.trim()),
    signal: terminal.signal,
  });
  const names = Object.keys(read.columns).join(', ') || 'none';
  terminal.say(`features of ${grouped(read.known)} of ${grouped(ids.size)} ids: ${names}`);
  return read.columns;
}

function report(
  { info, users, items }: TwoTowerModel,
  seconds: number,
  tested: Awaited<ReturnType<typeof testMetrics>> | undefined,
  { output }: TrainFlags,
  terminal: Terminal,
): void {
  const { epochs, loss } = info;
  const metrics = { ...info.metrics, ...tested?.metrics };
  const perSecond = `${epochs} epochs in ${seconds.toFixed(1)} s on ${info.backend}`;
  terminal.say(`${perSecond}, loss ${loss.toFixed(4)}`);
  for (const [name, value] of Object.entries(metrics)) terminal.say(`${name} ${value.toFixed(4)}`);
  for (const [name, values] of Object.entries(tested?.baselines ?? {})) {
    const cells = Object.entries(values).map(([metric, value]) => `${metric} ${value.toFixed(4)}`);
    terminal.say(`${name}: ${cells.join(', ')}`);
  }
  terminal.say(`saved to ${output}`);
  terminal.result({
    users: users.size,
    items: items.size,
    epochs,
    seconds,
    loss,
    backend: info.backend,
    metrics,
    ...(tested?.baselines && { baselines: tested.baselines }),
    output,
  });
}
