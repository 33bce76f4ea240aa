/**
 * Recall, latency and their spread; exact truth; sweeps over many indexes, and their reports.
 * @packageDocumentation
 */
export { latencySummary, type LatencySummary } from './latency.js';
export {
  recallAtK,
  recallAtKByScore,
  type Neighbours,
  type ScoreRecallOptions,
} from './neighbours.js';
export {
  exactTruth,
  exactTruthAmong,
  type Truth,
  type TruthByKey,
  type TruthByScore,
} from './truth.js';
export { measureSearch, type MeasureOptions, type SearchPoint } from './search-points.js';

export { crossCandidates, parseStored, type IndexCandidate, type StoredAs } from './candidate.js';
export { describeMachine, type MachineDescription } from './machine.js';
export { loadedLatency } from './loaded-latency.js';
export { paretoFront, paretoRanks, type Objective } from './pareto.js';
export { meanInterval, pairedRatio, spreadOf, type Interval, type Spread } from './statistics.js';
export { readAnnBenchmarks, type AnnBenchmarksData } from './ann-benchmarks.js';
export { sweep, type SweepPoint, type SweepResult } from './sweep.js';
export type { SweepOptions } from './sweep-options.js';
export type { SweepPeer } from './sweep-peers.js';
export { sweepReport } from './sweep-report.js';
export {
  reportHtml,
  writeReport,
  type Report,
  type ReportAxis,
  type ReportPoint,
} from './report.js';
