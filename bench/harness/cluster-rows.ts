// Rows of the suite `cluster`, from what its rounds measured.

import { latencySummary, meanInterval } from '../../src/index.js';
import { quantile } from '../../src/planning/fan-out.js';
import { spread } from './alternate.js';
import type { Processors } from './cluster-fleet.js';
import { AT_ONCE, BATCH, SHARES, type OpenRun, type Round } from './cluster-rounds.js';
import type { ReplicaTimes } from './cluster-replicas.js';
import type { Visibility, WriteKind } from './cluster-writes.js';
import type { SectionResult } from './report.js';

/** The median of some rounds, with the least and the greatest. */
export function spreadFields<T>(key: string, rounds: readonly T[], of: (round: T) => number) {
  const { median, min, max } = spread(rounds.map(of));
  return { [key]: median, [`${key}Min`]: min, [`${key}Max`]: max };
}

/** The mean of some rounds, with where the true one lies with 95% confidence, if there were several. */
function intervalFields(key: string, values: readonly number[]): Record<string, number> {
  const { mean, low, high } = meanInterval(values, [0, Infinity]);
  return { [key]: mean, ...(values.length > 1 && { [`${key}Low`]: low, [`${key}High`]: high }) };
}

/** Searches one at a time, beside an index in this process that holds all vectors. */
export function overheadRow(
  name: string,
  rounds: readonly Round[],
  recalls: object,
): SectionResult {
  const of = (pick: (round: Round) => Float64Array) =>
    rounds.map((round) => latencySummary(pick(round)));
  const cluster = of(({ loads }) => loads.get(1)!.micros);
  const local = of((round) => round.local.micros);
  const sync = of((round) => round.localSync.micros);
  const pairs = cluster.map(({ p50us }, at) => ({ p50us, beside: local[at]!.p50us }));
  return {
    ...{ section: 'one search at a time', name },
    ...spreadFields('p50us', cluster, ({ p50us }) => p50us),
    ...spreadFields('p99us', cluster, ({ p99us }) => p99us),
    ...spreadFields('localP50us', local, ({ p50us }) => p50us),
    ...spreadFields('localP99us', local, ({ p99us }) => p99us),
    ...spreadFields('localSyncP50us', sync, ({ p50us }) => p50us),
    ...spreadFields('overheadUs', pairs, ({ p50us, beside }) => p50us - beside),
    ...spreadFields('ratio', pairs, ({ p50us, beside }) => p50us / beside),
    ...recalls,
  };
}

/** Always as many at a time. */
export function loadRows(name: string, rounds: readonly Round[]): SectionResult[] {
  const rows = AT_ONCE.map((atOnce): SectionResult => {
    const points = rounds.map(({ loads }) => loads.get(atOnce)!);
    const summaries = points.map(({ micros }) => latencySummary(micros));
    const each = (kind: 'client' | 'nats' | 'nodes') =>
      middleOf(points, ({ used, micros }) => used[kind] / micros.length);
    return {
      ...{ section: 'throughput', name: `${name}, ${atOnce} at once` },
      ...spreadFields('qps', points, ({ qps }) => qps),
      ...spreadFields('p50us', summaries, ({ p50us }) => p50us),
      ...spreadFields('p99us', summaries, ({ p99us }) => p99us),
      ...{ clientCpuUs: each('client'), natsCpuUs: each('nats'), nodesCpuUs: each('nodes') },
      othersShare: othersOf(points),
    };
  });
  const inBatches = { section: 'throughput', name: `${name}, batches of ${BATCH}` };
  return [...rows, { ...inBatches, ...spreadFields('qps', rounds, ({ batchQps }) => batchQps) }];
}

/** Processors that other programs of this machine used meanwhile: where they used some, figures are of less worth. */
function othersOf(points: readonly { readonly used: Processors }[]): number {
  return middleOf(points, ({ used }) => Math.max(0, used.others) / used.elapsed);
}

/** What came at random. */
export function openRows(name: string, rounds: readonly Round[]): SectionResult[] {
  return SHARES.map((share): SectionResult => {
    const runs = rounds.map(({ open }) => open.find((run) => run.share === share)!);
    const sorted = runs.map(({ micros }) => micros.slice().sort());
    const at = (of: number) => sorted.map((micros) => quantile(micros, of));
    const middle = (pick: (run: OpenRun) => number) => middleOf(runs, pick);
    return {
      ...{ section: 'open loop', name: loadName(name, share), offered: middle(({ rate }) => rate) },
      ...intervalFields('p50us', at(0.5)),
      ...intervalFields('p99us', at(0.99)),
      ...intervalFields('p999us', at(0.999)),
      ...{ partialShare: middle((run) => run.partial), hedgedShare: middle((run) => run.hedged) },
      ...{ hedgeAfterMs: middle((run) => run.hedgeAfterMs), refused: middle((run) => run.refused) },
      othersShare: othersOf(runs),
    };
  });
}

function middleOf<T>(rounds: readonly T[], of: (round: T) => number): number {
  return spread(rounds.map(of)).median;
}

function loadName(name: string, share: number): string {
  return `${name}, ${Math.round(100 * share)}% of capacity`;
}

/** What searches are made of. */
export function pieceRow(name: string, rounds: readonly Round[]): SectionResult {
  const at = (of: number, pick: (round: Round) => Float64Array) =>
    middleOf(rounds, (round) => quantile(pick(round).slice().sort(), of));
  return {
    ...{ section: 'pieces', name },
    roundTripP50us: at(0.5, ({ pieces }) => pieces.roundTripUs),
    shardP50us: at(0.5, ({ pieces }) => pieces.shardUs),
    shardP99us: at(0.99, ({ pieces }) => pieces.shardUs),
    mergeUs: middleOf(rounds, ({ pieces }) => pieces.mergeUs),
    lateUs: at(0.5, ({ clock }) => clock.lateUs),
    clockCpuUs: middleOf(rounds, ({ clock }) => clock.processorUs),
  };
}

export function writeRows(name: string, kinds: readonly WriteKind[]): SectionResult[] {
  return kinds.map((kind): SectionResult => {
    const summaries = kind.rounds.map(({ micros }) => latencySummary(micros));
    const what = kind.name === 'NATS' ? 'NATS alone, as many bytes' : kind.name;
    const rows = kind.rows === 1 ? '1 row' : `${kind.rows} rows`;
    return {
      ...{ section: 'changes', name: `${name}: ${what}, ${rows}, ${kind.atOnce} at once` },
      ...spreadFields('p50us', summaries, ({ p50us }) => p50us),
      ...spreadFields('p99us', summaries, ({ p99us }) => p99us),
      ...spreadFields('rowsASecond', kind.rounds, ({ qps }) => qps * kind.rows),
    };
  });
}

export function visibilityRow(
  name: string,
  { visibleUs, searchUs, unseen }: Visibility,
): SectionResult {
  const of = (rounds: readonly Float64Array[]) => rounds.map((micros) => latencySummary(micros));
  return {
    ...{ section: 'searches right after a change', name },
    ...spreadFields('p50us', of(visibleUs), ({ p50us }) => p50us),
    ...spreadFields('p99us', of(visibleUs), ({ p99us }) => p99us),
    ...spreadFields('plainP50us', of(searchUs), ({ p50us }) => p50us),
    unseen,
  };
}

export function replicaRow(name: string, times: ReplicaTimes): SectionResult {
  const { bytes, readySeconds, getSeconds, putSeconds, checkpointSeconds } = times;
  const rate = (one: number) => bytes / 1e6 / one;
  return {
    ...{ section: 'a new replica', name, snapshotMB: bytes / 1e6 },
    ...spreadFields('readySeconds', readySeconds, (one) => one),
    ...spreadFields('getMBs', getSeconds, rate),
    ...spreadFields('putMBs', putSeconds, rate),
    ...spreadFields('checkpointSeconds', checkpointSeconds, (one) => one),
  };
}
