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
import { inBatchSoftmax } from '../../src/towers/softmax-loss.js';
import { SparseAdam } from '../../src/towers/sparse-adam.js';
import { Random } from '../../src/vectors/random.js';
import { alternate, type Side } from '../harness/alternate.js';
import { buildKernelsBench, measureLimits } from '../harness/native-bench.js';
import { ratioFields, sectionTables, type SectionResult } from '../harness/report.js';
import { integerOption, listOption, type Suite, type SuiteContext } from '../harness/suite.js';

const USERS = 6000;
const ITEMS = 4000;
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
  description: 'steps of two-tower training on backends of TensorFlow.js; matrix products',
  options: {
    batch: 'pairs a step (1024)',
    dim: 'values a vector (64)',
    backends: `of ${BACKENDS.join(',')}; the first is compared with the others (all)`,
    rounds: 'rounds that count (7)',
  },
  run,
  report: (results) => sectionTables(results),
};

async function run(context: SuiteContext): Promise<SectionResult[]> {
  tf.env().set('PROD', true); // the cpu backend advertises another package otherwise
  registerLichenBackend(tf, cpu);
  return [...(await steps(context)), ...(await products(context))];
}

/** Steps of in-batch softmax and sparse Adam, as `TwoTowerModel.train` does them. */
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

/** One model under training; each call is a step. */
function trainer(batch: number, dim: number): () => void {
  const random = new Random(1);
  const table = (rows: number) => new Float32Array(rows * dim).map(() => 0.1 * random.gaussian());
  const [users, items] = [table(USERS), table(ITEMS)];
  const [userAdam, itemAdam] = [new SparseAdam(users, dim), new SparseAdam(items, dim)];
  const bias = new Float32Array(batch * batch);
  const pairOffsets = Int32Array.from({ length: batch + 1 }, (_, row) => row);
  const pairColumns = pairOffsets.slice(0, batch);
  return () => {
    const rows = (end: number) => new Int32Array(batch).map(() => random.below(end));
    const pairs = { users: rows(USERS), items: rows(ITEMS), pairOffsets, pairColumns };
    const step = inBatchSoftmax(tf, {
      pairs,
      dim,
      users: gathered(users, dim, pairs.users),
      items: gathered(items, dim, pairs.items),
      bias,
      temperature: 1,
      normalize: false,
    });
    userAdam.step(pairs.users, step.userGradients, 0.01);
    itemAdam.step(pairs.items, step.itemGradients, 0.01);
  };
}

function gathered(table: Float32Array, dim: number, rows: Int32Array): Float32Array {
  const out = new Float32Array(rows.length * dim);
  rows.forEach((row, at) => out.set(table.subarray(row * dim, (row + 1) * dim), at * dim));
  return out;
}

/** Products of matrices beside multiply-adds in registers, of one thread. */
async function products(context: SuiteContext): Promise<SectionResult[]> {
  buildKernelsBench();
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
