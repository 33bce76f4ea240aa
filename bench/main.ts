import { writeFileSync } from 'node:fs';
import { describeMachine } from '../src/evaluation/machine.js';
import { resultTable } from './harness/report.js';
import type { Suite } from './harness/suite.js';
import { annSuite } from './suites/ann.js';
import { batchingSuite } from './suites/batching.js';
import { cacheSuite } from './suites/cache.js';
import { callsSuite } from './suites/calls.js';
import { cascadeSuite } from './suites/cascade.js';
import { clusterSuite } from './suites/cluster.js';
import { exactSuite } from './suites/exact.js';
import { featuresSuite } from './suites/features.js';
import { filesSuite } from './suites/files.js';
import { filterSuite } from './suites/filter.js';
import { gpuSuite } from './suites/gpu.js';
import { hnswlibSuite } from './suites/hnswlib.js';
import { kernelsSuite } from './suites/kernels.js';
import { knnBuildSuite } from './suites/knn-build.js';
import { poolSuite } from './suites/pool.js';
import { serveSuite } from './suites/serve.js';
import { storageSuite } from './suites/storage.js';
import { tfScorerSuite } from './suites/tf-scorer.js';
import { trainSuite } from './suites/train.js';

const SUITES: readonly Suite[] = [
  callsSuite,
  annSuite,
  filterSuite,
  hnswlibSuite,
  knnBuildSuite,
  kernelsSuite,
  exactSuite,
  gpuSuite,
  storageSuite,
  filesSuite,
  cacheSuite,
  featuresSuite,
  poolSuite,
  batchingSuite,
  cascadeSuite,
  serveSuite,
  clusterSuite,
  tfScorerSuite,
  trainSuite,
];

function usage(): string {
  const lines = SUITES.flatMap(({ name, description, options }) => [
    `  ${name.padEnd(16)}${description}`,
    ...Object.entries(options).map(([option, meaning]) => `    --${option.padEnd(18)}${meaning}`),
  ]);
  return ['npm run bench -- SUITE [--json FILE] [options]', ...lines].join('\n');
}

function parse(args: readonly string[]): { suite: Suite; options: Map<string, string> } {
  const suite = SUITES.find(({ name }) => name === args[0]);
  if (suite === undefined) throw new Error(`no suite '${args[0] ?? ''}'\n${usage()}`);
  const options = new Map<string, string>();
  for (let at = 1; at < args.length; at += 2) {
    const name = args[at]!.replace(/^--/, '');
    const value = args[at + 1];
    const isKnown = name === 'json' || name in suite.options;
    if (!args[at]!.startsWith('--') || !isKnown || value === undefined) {
      throw new Error(`unknown or incomplete option ${args[at]}\n${usage()}`);
    }
    options.set(name, value);
  }
  return { suite, options };
}

async function main(args: readonly string[]): Promise<void> {
  if (args.length === 0 || args.includes('--help')) {
    console.log(usage());
    return;
  }
  const { suite, options } = parse(args);
  const { isa, ...description } = describeMachine();
  console.log(
    `${suite.name}: ${description.processor}, ${description.threads} threads, ${isa}, node ${process.version}`,
  );
  const results = await suite.run({ options, say: (line) => console.log(line) });
  console.log(`\n${(suite.report ?? resultTable)(results)}`);
  const file = options.get('json');
  if (file !== undefined) {
    const document = { suite: suite.name, machine: description, isa, results };
    writeFileSync(file, `${JSON.stringify(document, null, 2)}\n`);
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
