import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ArrivalClock } from '../../bench/harness/arrival-clock.js';
import { closedLoop } from '../../bench/harness/closed-loop.js';
import type { LoadPoint } from '../../bench/harness/cluster-rounds.js';
import { fitMachine } from '../../bench/harness/machine-fit.js';
import { processorUs } from '../../bench/harness/processor-time.js';
import { runMachine, type SharedMachine } from '../../bench/harness/shared-machine.js';
import { quantile } from '../../src/planning/fan-out.js';
import { NATS_MISSING, NATS_NOTE } from '../servers/nats.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const ROOT = join(__dirname, '..', '..');

const bench = (args: readonly string[], env: NodeJS.ProcessEnv = process.env) =>
  spawnSync(process.execPath, ['--import', 'tsx', 'bench/main.ts', 'cluster', ...args], {
    ...{ cwd: ROOT, encoding: 'utf8', env },
  });

describe('loops of requests', () => {
  it('keeps as many under way, and measures each', async () => {
    let open = 0;
    let most = 0;
    const { qps, micros } = await closedLoop(3, 0.05, async () => {
      most = Math.max(most, ++open);
      await sleep(5);
      open--;
    });
    expect(most).toBe(3);
    expect(qps).toBeGreaterThan(0);
    for (const one of micros) expect(one).toBeGreaterThan(4000);
    const { micros: atOnce } = await closedLoop(1, 0, () => 1);
    expect(atOnce).toHaveLength(1);
  });

  it('makes requests when they are due, and measures from then on', async () => {
    await using clock = new ArrivalClock();
    const asked: number[] = [];
    const micros = await clock.latencies(Float64Array.of(1, 2, 30), async (at) => {
      asked.push(at);
      if (at === 1) throw new Error('refused');
      // Keeps the thread: the last one is made late, which counts.
      const end = performance.now() + 60;
      while (at === 0 && performance.now() < end);
      await sleep(0);
    });
    expect(asked).toEqual([0, 1, 2]);
    expect(micros[0]).toBeGreaterThan(59_000);
    expect(micros[1]).toBeNaN();
    expect(micros[2]).toBeGreaterThan(25_000);
    expect(await clock.latencies(new Float64Array(), () => sleep(0))).toHaveLength(0);
  });

  it.skipIf(process.platform !== 'linux')('tells the processor time of a process', () => {
    const before = processorUs(process.pid);
    const end = performance.now() + 30;
    while (performance.now() < end);
    expect(processorUs(process.pid) - before).toBeGreaterThan(1000);
    expect(processorUs(2 ** 30)).toBe(0);
  });
});

describe('the model of a machine that shards, NATS and client share', () => {
  const machine: SharedMachine = {
    ...{ shards: 2, replicas: 1, processors: 2, afterShare: 0, hopUs: 0, clockUs: 0 },
    client: { wakeUs: 50, messageUs: 20 },
    nats: { wakeUs: 30, messageUs: 10 },
    node: { wakeUs: 100, messageUs: 100 },
    stalls: { chance: 0, us: [] },
  };

  it('is the sum of the steps where nothing waits', () => {
    const { micros, used } = runMachine(machine, { atOnce: 1 }, 100);
    // Made, spread, searched side by side, brought, taken; the answers come in one run or in two.
    expect(quantile(micros.slice().sort(), 0.5)).toBeGreaterThanOrEqual(70 + 40 + 200 + 40 + 70);
    expect(quantile(micros.slice().sort(), 0.5)).toBeLessThan(2 * 420);
    expect(used.nodes).toBeCloseTo(400, 5);
    const away = runMachine({ ...machine, hopUs: 500 }, { atOnce: 1 }, 100);
    expect(away.micros[50]! - micros[50]!).toBeCloseTo(2000, -2);
  });

  it('takes less a request the more there is to do, and no more than the processors have', () => {
    const usedAt = [1, 4, 32].map((atOnce) => {
      const { used, qps } = runMachine(machine, { atOnce }, 3000);
      const sum = used.client + used.nats + used.nodes;
      expect(qps * sum).toBeLessThan(2.01e6);
      return sum;
    });
    expect(usedAt[1]!).toBeLessThan(usedAt[0]!);
    expect(usedAt[2]!).toBeLessThan(0.7 * usedAt[0]!);
  });

  it('answers what comes at random, later the more comes, and later still with stalls', () => {
    const p99 = (rate: number, its = machine) => {
      const { qps, micros } = runMachine(its, { rate }, 5000);
      expect(qps / rate).toBeGreaterThan(0.9);
      expect(qps / rate).toBeLessThan(1.1);
      return quantile(micros.sort(), 0.99);
    };
    expect(p99(2000)).toBeGreaterThan(p99(500));
    const stalls = { chance: 3e-5, us: [5000] };
    expect(p99(500, { ...machine, stalls })).toBeGreaterThan(5000);
    expect(p99(500, { ...machine, clockUs: 400 })).toBeGreaterThan(p99(500));
  });

  it('asks another replica where there is one, after most answers have come', () => {
    const stalls = { chance: 1e-5, us: [50_000] };
    const both = { ...machine, stalls, processors: 8 };
    expect(runMachine(both, { rate: 500 }, 3000).hedged).toBe(0);
    const { hedged } = runMachine({ ...both, replicas: 2 }, { rate: 500 }, 3000);
    expect(hedged).toBeGreaterThan(0);
    expect(hedged).toBeLessThan(0.15);
  });

  it('is found again from two loads, and tells the ones between', () => {
    const pointOf = (its: SharedMachine, atOnce: number): LoadPoint => {
      const { qps, micros, used } = runMachine(its, { atOnce }, 6000, 9);
      const of = (one: number) => one * micros.length;
      const all = { client: of(used.client), nats: of(used.nats), nodes: of(used.nodes) };
      return { qps, micros, used: { ...all, others: 0, elapsed: 0 } };
    };
    const its = { ...machine, afterShare: 0.2, stalls: { chance: 5e-6, us: [4000] } };
    const found = fitMachine({
      ...{ shards: 2, replicas: 1, processors: 2, clockUs: 0 },
      ...{ alone: pointOf(its, 1), most: pointOf(its, 32), atOnce: 32 },
    });
    for (const atOnce of [2, 8]) {
      const ratio = runMachine(found, { atOnce }, 6000).qps / runMachine(its, { atOnce }, 6000).qps;
      expect(ratio).toBeGreaterThan(0.85);
      expect(ratio).toBeLessThan(1.15);
    }
    const p99 = (one: SharedMachine) =>
      quantile(runMachine(one, { rate: 1500 }, 20_000).micros.sort(), 0.99);
    expect(p99(found) / p99(its)).toBeGreaterThan(0.8);
    expect(p99(found) / p99(its)).toBeLessThan(1.25);
  });
});

describe('the suite `cluster`', () => {
  const at = temporaryFolder();
  const tiny = ['--rows', '1000', '--dim', '8', '--seconds', '0.1', '--rounds', '1'];

  it('says what it does not know, and what is not there', () => {
    expect(bench(['--shards', '1,2', '--replicas', '1,2,3']).stderr).toMatch(
      /--replicas must be one number or 2/,
    );
    expect(bench(['--shards', '0']).stderr).toMatch(/--shards must be whole numbers/);
    expect(bench(['--seconds', '0']).stderr).toMatch(/--seconds must be a number above 0/);
    expect(bench(['--parts', 'all']).stderr).toMatch(/--parts must be of searches, changes/);
    const { stdout, status } = bench(tiny, { ...process.env, PATH: '' });
    expect(status).toBe(0);
    expect(stdout).toMatch(/nats-server is not installed: skipped/);
  });

  it.skipIf(NATS_MISSING)(
    `measures searches, changes and replicas${NATS_NOTE}`,
    () => {
      const run = bench([...tiny, '--shards', '2', '--replicas', '2', '--json', at('all.json')]);
      expect(run.status, run.stderr).toBe(0);
      const { results } = JSON.parse(readFileSync(at('all.json'), 'utf8')) as {
        results: ({ name: string; section: string } & Record<string, number>)[];
      };
      expect([...new Set(results.map(({ section }) => section))]).toEqual([
        ...['one search at a time', 'throughput', 'bytes of a search', 'open loop', 'changes'],
        ...['searches right after a change', 'a new replica', 'prediction'],
        ...['prediction of throughput', 'pieces'],
      ]);
      const row = (section: string, name: string) =>
        results.find((one) => one.section === section && one.name === name)!;
      const one = row('one search at a time', '2×2');
      expect(one.recall).toBeGreaterThan(0.9);
      expect(one.overheadUs).toBeCloseTo(one.p50us! - one.localP50us!, 5);
      expect(row('throughput', '2×2, 8 at once').qps).toBeGreaterThan(0);
      expect(row('bytes of a search', '2×2')).toMatchObject({ predictedRequests: 2 * (32 + 80) });
      expect(row('bytes of a search', '2×2').bytesOut).toBeGreaterThan(200);
      expect(row('open loop', '2×2, 50% of capacity').p99us).toBeGreaterThan(0);
      const { predictedP99us } = row('prediction', '2×2, 50% of capacity: one machine');
      expect(predictedP99us).toBeGreaterThan(0);
      expect(row('searches right after a change', '2×2').unseen).toBe(0);
      expect(row('a new replica', '2×2').readySeconds).toBeGreaterThan(0);
      expect(run.stdout).toMatch(/^2×2: upsert, 1 row, 1 at once +/m);
    },
    180_000,
  );
});
