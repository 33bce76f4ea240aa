import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Pool } from 'undici';
import { Random } from '../../src/index.js';
import { spread } from '../harness/alternate.js';
import { poisson } from '../harness/arrivals.js';
import { openLoop, type OpenLoop } from '../harness/open-loop.js';
import { makeService, USERS } from '../harness/service.js';
import {
  integerOption,
  numbersOption,
  type Result,
  type Suite,
  type SuiteContext,
} from '../harness/suite.js';

const WARM_MS = 1000;
const AT_ONCE = 64;
const CONNECTIONS = 256;
const SHARES = [0.3, 0.6, 0.8, 0.9, 1, 1.2];

/** Goodput and tails of a service under load: within this process, and over HTTP. */
export const serveSuite: Suite = {
  name: 'serve',
  description: 'goodput and tails of a Recommender, up to overload',
  options: {
    rows: 'items of the index (default 50,000)',
    slo: 'milliseconds within which an answer counts (default 50)',
    hidden: 'units of the tower’s layer in the middle (default 256)',
    seconds: 'of a run (default 5)',
    shares: `of capacity that are offered (default ${SHARES.join(',')})`,
    rounds: 'runs of each load (default 3)',
    overload: 'seconds of twice the capacity (default 60)',
    side: 'only `process` or `http`',
  },
  quick: {
    rows: '4000',
    hidden: '32',
    seconds: '1',
    rounds: '1',
    shares: '0.6,1',
    overload: '2',
    side: 'http',
  },
  run,
};

/** Makes a request for a user within so many milliseconds; says whether the answer was a degraded one. */
type Ask = (user: number, deadlineMs: number) => Promise<{ readonly isDegraded: boolean }>;

interface Side {
  readonly name: string;
  readonly ask: Ask;
  /** Bytes of memory of the process that serves. */
  readonly memory: () => Promise<number>;
  readonly close: () => Promise<void>;
}

/** How a side is measured. */
interface Settings extends ReturnType<typeof serviceOptions> {
  readonly seconds: number;
  readonly rounds: number;
  readonly shares: readonly number[];
  readonly overload: number;
}

async function run(context: SuiteContext): Promise<Result[]> {
  const settings: Settings = {
    ...serviceOptions(context),
    seconds: integerOption(context, 'seconds', 5),
    rounds: integerOption(context, 'rounds', 3),
    shares: numbersOption(context, 'shares', SHARES),
    overload: integerOption(context, 'overload', 60),
  };
  const results: Result[] = [];
  const wanted = context.options.get('side');
  for (const open of [openProcess, openHttp]) {
    if (wanted !== undefined && !open.name.toLowerCase().includes(wanted)) continue;
    const side = await open(settings);
    try {
      results.push(...(await measure(context, side, settings)));
    } finally {
      await side.close();
    }
  }
  return results;
}

function serviceOptions(context: SuiteContext) {
  return {
    rows: integerOption(context, 'rows', 50_000),
    hidden: integerOption(context, 'hidden', 256),
    sloMs: integerOption(context, 'slo', 50),
  };
}

async function openProcess(settings: Settings): Promise<Side> {
  const recommender = await makeService(settings, { warmUp: 512 });
  return {
    name: 'in the process',
    ask: async (user, deadline) => {
      const { explanation } = await recommender.recommend({ user }, { deadline });
      return explanation;
    },
    memory: () => Promise.resolve(process.memoryUsage.rss()),
    close: () => recommender.close(),
  };
}

async function openHttp({ rows, hidden, sloMs }: Settings): Promise<Side> {
  const path = join(__dirname, '..', 'harness', 'service-child.ts');
  const args = ['--import', 'tsx', path, ...[rows, hidden, sloMs].map(String)];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const { url } = JSON.parse(line) as { url: string };
  const pool = new Pool(url, { connections: CONNECTIONS });
  const headers = { 'content-type': 'application/json' };
  return {
    name: 'over HTTP',
    ask: async (user, deadline) => {
      const { statusCode, body } = await pool.request({
        ...{ method: 'POST', path: '/v1/recommend' },
        headers: { ...headers, 'x-deadline-ms': String(Math.ceil(deadline)) },
        body: `{"user":${user}}`,
      });
      if (statusCode !== 200) {
        await body.dump();
        throw new Error(`status ${statusCode}`);
      }
      const { degraded } = (await body.json()) as { degraded: boolean };
      return { isDegraded: degraded };
    },
    memory: async () => {
      const { body } = await pool.request({ method: 'GET', path: '/v1/stats' });
      return ((await body.json()) as { memoryBytes: number }).memoryBytes;
    },
    close: async () => {
      await pool.close();
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}

async function measure(
  context: SuiteContext,
  side: Side,
  { sloMs, seconds, rounds, shares, overload }: Settings,
): Promise<Result[]> {
  const most = await capacity(side, sloMs);
  context.say(`${side.name}: ${Math.round(most)} answers a second to ${AT_ONCE} that ask at once`);
  const results: Result[] = [];
  let peak = 0;
  for (const share of shares) {
    const runs: Load[] = [];
    for (let round = 0; round < rounds; round++) {
      runs.push(await load(side, share * most, seconds, sloMs, round));
    }
    const row = resultOf(`${side.name}, ${share} of capacity`, runs);
    peak = Math.max(peak, Number(row.goodput));
    results.push(row);
  }
  // What a process takes under this load it takes in the first seconds.
  await load(side, 2 * most, Math.ceil(overload / 3), sloMs, 98);
  const before = await side.memory();
  const long = await load(side, 2 * most, overload, sloMs, 99);
  const after = await side.memory();
  const row = resultOf(`${side.name}, 2 of capacity for ${overload} s`, [long]);
  context.say(
    `${side.name}: goodput at twice the capacity is ${(Number(row.goodput) / peak).toFixed(3)} of its peak, ${peak}; ` +
      `memory went from ${megabytes(before)} to ${megabytes(after)} MiB`,
  );
  results.push({ ...row, ofPeak: Number(row.goodput) / peak, grownMiB: megabytes(after - before) });
  return results;
}

/** Answers a second when as many ask at once as are answered in time. */
async function capacity({ ask }: Side, sloMs: number): Promise<number> {
  const random = new Random(5);
  let answered = 0;
  let from = 0;
  const end = performance.now() + 4000;
  const lane = async (): Promise<void> => {
    while (performance.now() < end) {
      try {
        await ask(random.below(USERS), 20 * sloMs);
        answered++;
      } catch {
        // Refused: it comes again later.
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      // The first second warms up.
      if (from === 0 && performance.now() > end - 3000) {
        from = performance.now();
        answered = 0;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return (1000 * answered) / (performance.now() - from);
}

type Load = OpenLoop & { readonly degradedShare: number };

async function load(
  { ask }: Side,
  rate: number,
  seconds: number,
  sloMs: number,
  seed: number,
): Promise<Load> {
  const random = new Random(1000 + seed);
  const arrivals = poisson(rate, seconds + WARM_MS / 1000, random);
  let degraded = 0;
  let answered = 0;
  const outcome = await openLoop(
    arrivals,
    async (_, lateMs) => {
      const { isDegraded } = await ask(random.below(USERS), Math.max(0, sloMs - lateMs));
      answered++;
      if (isDegraded) degraded++;
    },
    { boundMs: sloMs, fromMs: WARM_MS, toMs: arrivals.at(-1)! },
  );
  return { ...outcome, degradedShare: degraded / Math.max(1, answered) };
}

function resultOf(name: string, runs: readonly Load[]): Result {
  const median = (of: (run: Load) => number): number => spread(runs.map(of)).median;
  return {
    name,
    offered: Math.round(median(({ offered }) => offered)),
    goodput: Math.round(median(({ goodput }) => goodput)),
    degradedShare: median(({ degradedShare }) => degradedShare),
    lateShare: median(({ lateShare }) => lateShare),
    p50ms: median(({ p50 }) => p50),
    p99ms: median(({ p99 }) => p99),
    p999ms: median(({ p999 }) => p999),
  };
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}
