import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ArrivalClock } from '../../bench/harness/arrival-clock.js';
import { closedLoop } from '../../bench/harness/closed-loop.js';
import { keepTo, ownProcessors, PINNING_MISSING } from '../../bench/harness/processors.js';
import { processorUs } from '../../bench/harness/processor-time.js';
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

it.skipIf(PINNING_MISSING)('keeps a process to some processors', () => {
  const all = ownProcessors();
  expect(all.length).toBeGreaterThan(1);
  try {
    keepTo(all.slice(-1), [process.pid]);
    expect(ownProcessors()).toEqual(all.slice(-1));
  } finally {
    keepTo(all, [process.pid]);
  }
  expect(ownProcessors()).toEqual(all);
  expect(() => keepTo([100_000], [process.pid])).toThrow(/taskset/);
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
    expect(bench(['--parts', 'all']).stderr).toMatch(
      /--parts must be of searches, planning, changes/,
    );
    const { stdout, status } = bench(tiny, { ...process.env, PATH: '' });
    expect(status).toBe(0);
    expect(stdout).toMatch(/nats-server is not installed: skipped/);
  });

  it.skipIf(NATS_MISSING)(
    `measures searches, changes and replicas${NATS_NOTE}`,
    () => {
      const parts = ['--parts', 'searches,changes,replicas'];
      const of = ['--shards', '2', '--replicas', '2', '--json', at('all.json')];
      const run = bench([...tiny, ...of, ...parts]);
      expect(run.status, run.stderr).toBe(0);
      const { results } = JSON.parse(readFileSync(at('all.json'), 'utf8')) as {
        results: ({ name: string; section: string } & Record<string, number>)[];
      };
      expect([...new Set(results.map(({ section }) => section))]).toEqual([
        ...[
          'one search at a time',
          'throughput',
          'bytes of a search',
          'open loop',
          'pieces',
          'changes',
        ],
        ...['searches right after a change', 'a new replica'],
      ]);
      const row = (section: string, name: string) =>
        results.find((one) => one.section === section && one.name === name)!;
      const one = row('one search at a time', '2×2');
      expect(one.recall).toBeGreaterThan(0.9);
      expect(one.overheadUs).toBeCloseTo(one.p50us! - one.localP50us!, 5);
      expect(row('throughput', '2×2, 8 at once').qps).toBeGreaterThan(0);
      expect(row('bytes of a search', '2×2')).toMatchObject({ predictedRequests: 2 * (32 + 140) });
      expect(row('bytes of a search', '2×2').bytesOut).toBeGreaterThan(200);
      expect(row('open loop', '2×2, 50% of capacity').p99us).toBeGreaterThan(0);
      expect(row('searches right after a change', '2×2').unseen).toBe(0);
      expect(row('a new replica', '2×2').readySeconds).toBeGreaterThan(0);
      expect(run.stdout).toMatch(/^2×2: upsert, 1 row, 1 at once +/m);
    },
    180_000,
  );

  it.skipIf(NATS_MISSING || PINNING_MISSING)(
    `says what planning makes of a shard with a processor for itself${NATS_NOTE}`,
    () => {
      const of = ['--shards', '1', '--parts', 'planning', '--json', at('planning.json')];
      const run = bench([...tiny, ...of]);
      expect(run.status, run.stderr).toBe(0);
      const { results } = JSON.parse(readFileSync(at('planning.json'), 'utf8')) as {
        results: ({ name: string } & Record<string, number>)[];
      };
      expect(results.map(({ name }) => name)).toEqual([...['1×1, 30%', '1×1, 50%', '1×1, 70%']]);
      for (const row of results) {
        expect(row.requests).toBeGreaterThan(0);
        for (const of of ['p50us', 'p99us', 'predictedP50us', 'predictedP99us', 'processorUs']) {
          expect(row[of]).toBeGreaterThan(0);
        }
        // Of one round.
        expect(row.errorP99).toBeCloseTo(100 * (row.predictedP99us! / row.p99us! - 1), 5);
      }
    },
    60_000,
  );
});
