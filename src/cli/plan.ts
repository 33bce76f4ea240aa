import { readFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { fileError, LichenFileError } from '../errors.js';
import { parseStored, type StoredAs } from '../evaluation/candidate.js';
import { measureCapacity, requireCapacity, type Capacity } from '../planning/capacity.js';
import type { Demand, Fleet } from '../planning/fleet.js';
import { planCapacity, type CapacityPlan } from '../planning/plan.js';
import { DEFAULT_PRICES, readPrices } from '../planning/prices.js';
import { writeChunks } from '../vectors/bytes.js';
import { readMatrix } from '../vectors/files.js';
import { METRICS, type Metric } from '../vectors/metric.js';
import { grouped, openTerminal, table, type Terminal } from './terminal.js';
import {
  argument,
  examples,
  integer,
  integers,
  oneOf,
  outputPath,
  positiveNumber,
  share,
} from './usage.js';

interface PlanFlags {
  items: number;
  dim: number;
  qps: number;
  slo: number;
  percentile: number;
  availability: number;
  utilization: number;
  memoryShare: number;
  meanShare: number;
  growth: number;
  storage: StoredAs;
  index: 'flat' | 'hnsw';
  metric: Metric;
  k: number;
  ef: number;
  overhead: number;
  input?: string;
  rows?: number[];
  prices?: string;
  capacity?: string;
  saveCapacity?: string;
  seed: number;
  json?: boolean;
}

/** `lichen plan` */
export function planCommand(): Command {
  return new Command('plan')
    .description('Plan machines: how many, of which kind, at what cost, with which latency.')
    .optionsGroup('Demand:')
    .requiredOption('--items <n>', 'vectors, such as 1e8', count)
    .requiredOption('--dim <n>', 'values a vector', integer(1, 65536))
    .requiredOption('--qps <n>', 'requests a second at the peak', positiveNumber)
    .requiredOption('--slo <ms>', 'latency that the percentile must keep to', positiveNumber)
    .optionsGroup('Demand:')
    .option('--percentile <p>', '50, 99 or 99.9', percentile, 99)
    .option('--availability <share>', 'of the time that all shards keep to it', share, 0.999)
    .option('--utilization <share>', 'of the processors, at the peak', share, 0.6)
    .option('--memory-share <share>', 'of the memory of a machine that may be filled', share, 0.75)
    .option('--mean-share <share>', 'the mean rate, of that at the peak', positiveNumber, 1)
    .option('--growth <share>', 'by which the items may grow', share, 0.2)
    .optionsGroup('Index:')
    .addOption(
      new Option('--storage <type>', 'storage[/pca][+rerank][@efConstruction][:m]')
        .argParser((text) => argument(() => parseStored(text)))
        .default(parseStored('i8'), 'i8'),
    )
    .option('--index <kind>', 'hnsw or flat', oneOf(['flat', 'hnsw']), 'hnsw')
    .option('--metric <metric>', METRICS.join(', '), oneOf(METRICS), 'dot')
    .option('--k <n>', 'results a request', integer(1), 10)
    .option('--ef <n>', 'search beam', integer(1), 64)
    .option('--overhead <µs>', 'of the processor, a request beside its search', positiveNumber, 250)
    .optionsGroup('Measuring and prices:')
    .option('--input <file>', 'vectors to measure with (default: made from the seed)')
    .option('--rows <n,n,…>', 'numbers of vectors that are measured', integers)
    .option('--prices <file>', 'JSON with machines and prices (default: a table that is built in)')
    .option('--capacity <file>', 'measurements that --save-capacity wrote, instead of new ones')
    .option('--save-capacity <file>', 'keeps the measurements', outputPath)
    .option('--seed <n>', 'decides vectors and simulations', integer(0), 42)
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      examples(
        'lichen plan --items 1e8 --dim 128 --qps 5000 --slo 50',
        'lichen plan --items 2e7 --dim 64 --qps 800 --slo 30 --input items.npy',
      ),
    )
    .action(plan);
}

async function plan(flags: PlanFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  const { items, dim, k, seed } = flags;
  const prices = flags.prices === undefined ? DEFAULT_PRICES : await readPrices(flags.prices);
  const capacity = await capacityOf(flags, terminal);
  if (flags.saveCapacity !== undefined) {
    const text = `${JSON.stringify(capacity)}\n`;
    await writeChunks(flags.saveCapacity, () => [Buffer.from(text)]);
  }
  const demand: Demand = {
    ...{ qps: flags.qps, sloMs: flags.slo, percentile: flags.percentile },
    ...{ availability: flags.availability, utilization: flags.utilization },
    ...{ memoryShare: flags.memoryShare, meanShare: flags.meanShare },
  };
  const result = planCapacity({
    ...{ items, dim, k, demand, capacity, prices, seed, growth: flags.growth },
    ...{ overheadUs: flags.overhead, signal: terminal.signal },
  });
  sayPlan(terminal, flags, capacity, result);
  terminal.result({ ...result, capacity: { ...capacity, samplesUs: undefined } });
}

async function capacityOf(flags: PlanFlags, terminal: Terminal): Promise<Capacity> {
  const { dim, metric, k, ef, seed, rows, input } = flags;
  if (flags.capacity !== undefined) return readCapacity(flags.capacity);
  const { signal } = terminal;
  const vectors = input === undefined ? undefined : await readMatrix(input, { signal });
  const half = vectors && Math.floor(vectors.rows * 0.95);
  return terminal.withProgress('measuring', (onProgress) =>
    measureCapacity({
      candidate: { index: flags.index, ...flags.storage },
      ...{ dim, metric, k, ef, seed, signal, onProgress },
      ...(vectors && {
        vectors: { ...vectors, data: vectors.data.subarray(0, half! * dim), rows: half! },
        // What is not indexed is searched for.
        queries: {
          ...{ data: vectors.data.subarray(half! * dim), rows: vectors.rows - half!, dim },
        },
        rows: rows ?? [Math.floor(half! / 9), Math.floor(half! / 3), half!],
      }),
      ...(rows && { rows }),
    }),
  );
}

async function readCapacity(path: string): Promise<Capacity> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw fileError('read', path, cause);
  });
  try {
    const found = JSON.parse(text) as Capacity;
    requireCapacity(found);
    return found;
  } catch (cause) {
    throw new LichenFileError(
      'ERR_LICHEN_FORMAT',
      `${path} holds no measurements of lichen plan --save-capacity`,
      { cause },
    );
  }
}

function sayPlan(
  terminal: Terminal,
  flags: PlanFlags,
  { points, grows, growthUs }: Capacity,
  result: CapacityPlan,
): void {
  const { fleet, simulated, degraded, alternatives, addedReplicas, prices } = result;
  terminal.say(
    table([
      ['measured here', 'search µs', `recall@${flags.k}`, 'bytes a vector', 'build s'],
      ...points.map(({ rows, meanUs, passesUs, recall, recallRange, ...rest }) => [
        `${grouped(rows)} vectors`,
        grouped(meanUs, 1) + range(passesUs && [passesUs.min, passesUs.max], 1),
        recall.toFixed(4) + range(recallRange, 4),
        ...[grouped(rest.bytesPerVector), rest.buildSeconds.toFixed(1)],
      ]),
    ]),
  );
  const growth = grows === 'linearly' ? `${growthUs.toExponential(2)} µs a vector` : '';
  terminal.say(
    `\nA search takes ${grows} longer with more vectors (${growth || `${growthUs.toFixed(1)} µs for e times as many`}); in a shard of this plan ${grouped(result.searchUs, 1)} µs, with a recall@${flags.k} of ${result.recall.toFixed(3)}${result.isExtrapolated ? ': both are extrapolated' : ''}.`,
  );
  terminal.say(
    `${grouped(flags.items)} vectors of dim ${flags.dim} are ${gib(result.bytes)}, ${grouped(result.bytesPerVector)} bytes each.\n`,
  );
  terminal.say(
    table([
      [
        'machines',
        'shards',
        'replicas',
        'memory',
        'used',
        'p50 ms',
        'tail ms',
        '$/month',
        '$/million',
      ],
      ...[fleet, ...alternatives.slice(0, 7)].map((one) => [
        `${one.machines}${one.gateways > 0 ? ` + ${one.gateways}` : ''} x ${one.machine.name}`,
        ...[String(one.shards), String(one.replicas)],
        ...[percent(one.usedBytes / one.memoryBytes), percent(one.utilization)],
        ...[one.p50Ms.toFixed(2), one.tailMs.toFixed(2)],
        ...[grouped(one.usdPerMonth), dollars(one.usdPerMillion)],
      ]),
    ]),
  );
  if (addedReplicas > 0)
    terminal.say(`\nThe simulation asked for ${addedReplicas} replicas more than the formula.`);
  const rows = [
    ['simulated', 'p50 ms', 'p99 ms', 'p99.9 ms', 'used', `within ${flags.slo} ms`],
    ['all at work', ...simulatedCells(simulated), result.isWithinSlo ? 'yes' : 'NO'],
  ];
  if (degraded !== undefined) {
    const verdict = result.isWithinSloDegraded ? 'yes' : 'NO';
    rows.push(['one replica of a shard down', ...simulatedCells(degraded), verdict]);
  }
  terminal.say(`\n${table(rows)}`);
  terminal.say(`\n${availabilityText(fleet, flags)}`);
  terminal.say(`Prices: ${prices.source}, as of ${prices.asOf}. Replace them with --prices.`);
}

function simulatedCells({
  p50us,
  p99us,
  p999us,
  utilization,
}: CapacityPlan['simulated']): string[] {
  const cell = ({ mean, low, high }: { mean: number; low: number; high: number }) =>
    `${(mean / 1000).toFixed(2)} (${(low / 1000).toFixed(2)}–${(high / 1000).toFixed(2)})`;
  return [cell(p50us), cell(p99us), cell(p999us), percent(utilization.mean)];
}

function availabilityText(
  { replicas, availability, networkUsdPerMonth }: Fleet,
  flags: PlanFlags,
): string {
  const network =
    networkUsdPerMonth > 0
      ? ` Of the cost ${grouped(networkUsdPerMonth)} $/month are for traffic between zones.`
      : '';
  return `${replicas} replicas: all shards have what they need ${(100 * availability).toFixed(4)}% of the time (asked ${100 * flags.availability}%).${network}`;
}

function range(ends: readonly [number, number] | undefined, digits: number): string {
  return ends === undefined ? '' : ` (${ends[0].toFixed(digits)}–${ends[1].toFixed(digits)})`;
}

function percent(part: number): string {
  return `${(100 * part).toFixed(0)}%`;
}

function dollars(value: number): string {
  return value >= 1 ? value.toFixed(2) : value.toPrecision(2);
}

function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

function count(text: string): number {
  return integer(1)(String(Number(text)));
}

function percentile(text: string): number {
  return Number(oneOf(['50', '99', '99.9'])(text));
}
