import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HnswIndex, matrix, type Matrix } from '../../src/index.js';
import { RetrievalPool } from '../../src/pool/retrieval-pool.js';
import { towerFunction } from '../../src/pool/tower-functions.js';
import { sharedMatrix, type BagTower, type UserHistories } from '../../src/pool/user-tower.js';
import { alternate, ratioText, type Side, type Spread } from '../harness/alternate.js';
import { histories } from '../harness/histories.js';
import { NaivePool } from '../harness/naive-pool.js';
import { sectionTables, ratioFields } from '../harness/report.js';
import { storedOf } from '../harness/stored.js';
import { integerOption, type Result, type Suite, type SuiteContext } from '../harness/suite.js';
import { mixture } from '../harness/vectors.js';

const BATCH_SIZES = [1, 16, 64, 256, 1024];
const WORKERS = [1, 2];
const USERS = 4096;
/** Users between two looks at the clock, at least. */
const LEAST_USERS = 1024;

/** Retrieval of a pool: users a second, and what a worker takes. */
export const poolSuite: Suite = {
  name: 'pool',
  description: 'RetrievalPool by batch size and workers; memory of a worker',
  options: {
    rows: 'items of the index (default 200,000)',
    dim: 'values of a vector (default 64)',
    storage: 'as storage[/pca][+rerank][@efConstruction][:m] (default i8+f16)',
    history: 'items of a user (default 20)',
    k: 'results (default 20)',
    ef: 'search beam (default 100)',
    'in-flight': 'requests at once, where there are workers (default 4)',
    rounds: 'rounds that count (default 5)',
  },
  quick: { rows: '5000', dim: '32', rounds: '1' },
  run,
  tables: sectionTables,
};

interface Settings {
  readonly k: number;
  readonly ef: number;
  readonly inFlight: number;
  readonly rounds: number;
}

async function run(context: SuiteContext): Promise<Result[]> {
  const rows = integerOption(context, 'rows', 200_000);
  const dim = integerOption(context, 'dim', 64);
  const length = integerOption(context, 'history', 20);
  const settings: Settings = {
    k: integerOption(context, 'k', 20),
    ef: integerOption(context, 'ef', 100),
    inFlight: integerOption(context, 'in-flight', 4),
    rounds: integerOption(context, 'rounds', 5),
  };
  const items = sharedMatrix(matrix(mixture(42, rows, dim), dim));
  const stored = storedOf(context.options.get('storage') ?? 'i8+f16');
  const { storage, pca, rerank, efConstruction, m } = stored;
  const options = { dim, metric: 'dot', storage, pca, rerank, efConstruction, m } as const;
  const index = new HnswIndex(options);
  context.say(`${rows} × ${dim}, ${stored.text}: building the graph`);
  await index.add(items.data);
  const users = await histories(index, items, USERS, length);
  const { k, ef, inFlight } = settings;
  context.say(
    `${USERS} users with ${length} items, k ${k}, ef ${ef}, ${inFlight} requests at once`,
  );
  const folder = mkdtempSync(join(tmpdir(), 'lichen-bench-'));
  try {
    const path = join(folder, 'items.lichen');
    await index.save(path);
    return await compare(context, { index, items, users, path }, settings);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Task {
  readonly index: HnswIndex;
  readonly items: Matrix;
  readonly users: UserHistories;
  readonly path: string;
}

async function compare(
  context: SuiteContext,
  { index, items, users, path }: Task,
  settings: Settings,
): Promise<Result[]> {
  const { k, ef, inFlight, rounds } = settings;
  const results: Result[] = [];
  const tower: BagTower = { kind: 'bag', vectors: items, normalize: true };
  const memory = (name: string, before: number, workers: number): void => {
    const value = (process.memoryUsage.rss() - before) / workers / 1e6;
    const values = { median: value, min: value, max: value };
    results.push({ name, section: 'memory a worker adds', ...values, unit: 'MB' });
  };
  const pools: { readonly workers: number; readonly pool: RetrievalPool }[] = [];
  for (const workers of WORKERS) {
    const before = process.memoryUsage.rss();
    const pool = await RetrievalPool.create({ index, tower, workers });
    await pool.retrieve({ history: batchOf(users, 0, 1024) }, { k, ef });
    memory(`RetrievalPool of ${workers}`, before, workers);
    pools.push({ workers, pool });
  }
  const most = Math.max(...WORKERS);
  const before = process.memoryUsage.rss();
  const naive = await NaivePool.start({ path, table: items.data.slice(), dim: items.dim }, most);
  await naive.recommend({ histories: arraysOf(batchOf(users, 0, 1024)), k, ef });
  memory(`naive piscina of ${most}`, before, most);
  for (const size of BATCH_SIZES) {
    const alone = await towerFunction(tower, size);
    let next = 0;
    const batch = (): UserHistories => {
      const first = next;
      next = next + 2 * size > USERS ? 0 : next + size;
      return batchOf(users, first, first + size);
    };
    const requests = Math.ceil(LEAST_USERS / size);
    // Of all threads: what other processes take does not count, so it can be compared on a busy machine as well.
    const used = new Map<string, { microseconds: number; users: number }>();
    const side = (name: string, atOnce: number, ask: () => unknown): Side => ({
      name,
      work: async () => {
        const start = process.cpuUsage();
        await inTurns(requests, atOnce, ask);
        const { user, system } = process.cpuUsage(start);
        const before = used.get(name) ?? { microseconds: 0, users: 0 };
        used.set(name, {
          microseconds: before.microseconds + user + system,
          users: before.users + requests * size,
        });
        return requests * size;
      },
    });
    const sides = [
      ...pools.map(({ workers, pool }) =>
        side(`pool of ${workers}`, inFlight, () => pool.retrieve({ history: batch() }, { k, ef })),
      ),
      side('one thread', 1, () => {
        const vectors = alone({ rows: size, history: batch() }) as Float32Array;
        return index.searchBatchSync(vectors, { k, ef });
      }),
      side(`naive piscina of ${most}`, inFlight, () =>
        naive.recommend({ histories: arraysOf(batch()), k, ef }),
      ),
    ];
    const { rates, ratio } = await alternate(sides, { rounds });
    const section = `batches of ${size}`;
    for (const [name, rate] of rates) {
      const versus = ratioFields(ratio(name, 'one thread'));
      const { microseconds, users: count } = used.get(name)!;
      const note = `${(microseconds / count).toFixed(1)} µs of processor time a user`;
      results.push({ name, section, ...rate, unit: 'users/s', ...versus, note });
    }
    const text = (of: Spread): string => ratioText(of);
    const best = `pool of ${most}`;
    context.say(
      `${section}: ${best} is ${text(ratio(best, 'one thread'))} one thread, ` +
        `${text(ratio(best, `naive piscina of ${most}`))} naive piscina of ${most}`,
    );
  }
  for (const { pool } of pools) await pool.close();
  await naive.close();
  return results;
}

function batchOf({ offsets, rows }: UserHistories, first: number, last: number): UserHistories {
  return { offsets: offsets.subarray(first, last + 1), rows };
}

function arraysOf({ offsets, rows }: UserHistories): number[][] {
  return Array.from({ length: offsets.length - 1 }, (_, user) => [
    ...rows.subarray(offsets[user], offsets[user + 1]),
  ]);
}

/** Calls `ask` so many times, with some of its promises open at once. */
async function inTurns(calls: number, atOnce: number, ask: () => unknown): Promise<void> {
  let left = calls;
  const turn = async (): Promise<void> => {
    while (left-- > 0) await ask();
  };
  await Promise.all(Array.from({ length: atOnce }, turn));
}
