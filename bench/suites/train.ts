import * as tf from '@tensorflow/tfjs-core';
import * as cpu from '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { native } from '../../src/native.js';
import { operation } from '../../src/tensorflow/kernel.js';
import {
  lichenFallbacks,
  registerLichenBackend,
  resetLichenFallbacks,
} from '../../src/tensorflow/lichen-backend.js';
import { Vocabulary } from '../../src/interactions/vocabulary.js';
import { EmbeddingTable, randomTable } from '../../src/towers/embedding-table.js';
import { tableLayout, tableRows, towerSchema } from '../../src/towers/layout.js';
import { resolveTwoTowerOptions } from '../../src/towers/options.js';
import { TwoTowerTrainer, type TrainingSource } from '../../src/towers/trainer.js';
import { Random } from '../../src/vectors/random.js';
import { alternate, type Side } from '../harness/alternate.js';
import {
  buildKernelsBench,
  COMPILE_OPTION,
  kernelsBenchMissing,
  measureLimits,
} from '../harness/native-bench.js';
import { ratioFields, sectionTables, type SectionResult } from '../harness/report.js';
import { integerOption, listOption, type Suite, type SuiteContext } from '../harness/suite.js';

const USERS = 6000;
const ITEMS = 4000;
/** Of each user. */
const PAIRS = 12;
const BACKENDS = ['lichen', 'wasm', 'cpu'] as const;

/** Products whose rate is held against the processor's: rows, depth, columns. */
const PRODUCTS = [
  [512, 4096, 64],
  [512, 64, 4096],
  [1024, 64, 1024],
  [1024, 1024, 64],
] as const;

/** What a step of training costs on each backend, the loop being the same; and how near products come to the processor. */
export const trainSuite: Suite = {
  name: 'train',
  description: 'steps of training on TensorFlow.js backends; matrix products',
  options: {
    batch: 'rows of a step, and negatives (1024)',
    dim: 'values a vector (64)',
    backends: `of ${BACKENDS.join(',')}; the first is compared with the others (all)`,
    rounds: 'rounds that count (7)',
    ...COMPILE_OPTION,
  },
  quick: { batch: '256', rounds: '1', backends: 'lichen,wasm', compile: 'no' },
  run,
  tables: sectionTables,
};

async function run(context: SuiteContext): Promise<SectionResult[]> {
  tf.env().set('PROD', true); // the cpu backend advertises another package otherwise
  registerLichenBackend(tf, cpu);
  return [...(await steps(context)), ...(await products(context))];
}

/** Steps of `TwoTowerModel.train`: a row of the batch is a user and four pairs, all against as many negatives. */
async function steps(context: SuiteContext): Promise<SectionResult[]> {
  const batch = integerOption(context, 'batch', 1024);
  const dim = integerOption(context, 'dim', 64);
  const backends = listOption(context, 'backends', BACKENDS);
  const sides = backends.map((backend): Side => {
    const step = trainer(batch, dim);
    return {
      name: backend,
      async work() {
        await tf.setBackend(backend);
        step();
        return 1;
      },
    };
  });
  context.say(`batch ${batch}, dim ${dim}, ${USERS} users, ${ITEMS} items; steps a second`);
  resetLichenFallbacks();
  const { rates, ratios } = await alternate(sides, {
    rounds: integerOption(context, 'rounds', 7),
    secondsASide: 1,
  });
  for (const [name, count] of lichenFallbacks()) context.say(`not native: ${name}, ${count} times`);
  return backends.map((name) => {
    const ratio = ratios.get(name);
    return {
      section: 'two-tower training',
      name,
      ...rates.get(name)!,
      unit: 'steps/s',
      ...(ratio && ratioFields(ratio)),
    };
  });
}

/** One model of ids under training; each call is a step. */
function trainer(batch: number, dim: number): () => void {
  const options = resolveTwoTowerOptions({
    userTower: 'id',
    dim,
    batchSize: batch,
    negatives: batch,
    epochs: 100_000,
  });
  const ids = [Vocabulary.identity(USERS), Vocabulary.identity(ITEMS)] as const;
  const schema = towerSchema(options, ...ids, {});
  const { total } = tableRows(schema, dim);
  const source = randomInteractions();
  const values = randomTable(total, dim, 0.1, new Random(1));
  const training = new TwoTowerTrainer(
    tf,
    source,
    new EmbeddingTable(values, dim, options.weightDecay),
    tableLayout(schema, {}, options, source.items),
    new Float32Array(0),
    options,
  );
  let epoch = training.epoch();
  return () => {
    if (epoch.next().done !== true) return;
    epoch = training.epoch();
    epoch.next();
  };
}

/** Users with {@link PAIRS} distinct items each. */
function randomInteractions(): TrainingSource {
  const random = new Random(2);
  const offsets = Uint32Array.from({ length: USERS + 1 }, (_, user) => user * PAIRS);
  const items = new Uint32Array(USERS * PAIRS);
  for (let user = 0; user < USERS; user++) {
    const met = new Set<number>();
    while (met.size < PAIRS) met.add(random.below(ITEMS));
    items.set([...met], user * PAIRS);
  }
  return { offsets, items, itemCount: ITEMS };
}

/** Products of matrices beside multiply-adds in registers, of one thread. */
async function products(context: SuiteContext): Promise<SectionResult[]> {
  const missing = kernelsBenchMissing(context);
  if (missing !== undefined) {
    context.say(`matrix products are skipped: ${missing}`);
    return [];
  }
  buildKernelsBench(context);
  const limit = measureLimits().multiplyAdd;
  context.say(
    `limit share: of ${limit.toFixed(1)} GFLOP/s, multiply-adds in registers on one thread`,
  );
  const sides = PRODUCTS.map(([rows, depth, columns]): Side => {
    const random = new Random(1);
    const values = (length: number) => new Float32Array(length).map(() => random.uniform());
    const [a, b, out] = [values(rows * depth), values(depth * columns), values(rows * columns)];
    const none = operation('activation', 'none');
    return {
      name: `${rows} × ${depth} × ${columns}`,
      work() {
        native().tensorProduct(a, b, out, 1, rows, depth, columns, false, false, null, none, 0);
        return (2 * rows * depth * columns) / 1e9;
      },
    };
  });
  const { rates } = await alternate(sides);
  const threads = process.env['LICHEN_THREADS'] ?? 'all';
  return [...rates].map(([name, rate]) => ({
    section: `matrix products from JavaScript, ${threads} threads`,
    name,
    ...rate,
    unit: 'GFLOP/s',
    limitShare: rate.median / limit,
  }));
}
