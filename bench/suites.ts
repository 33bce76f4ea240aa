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

/** All suites, as the menu shows them. */
export const SUITES: readonly Suite[] = [
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
