import { Command } from 'commander';
import { profileInfrastructure, type InfrastructureProfile } from '../planning/profile.js';
import type { Cacheability } from '../planning/cacheability.js';
import { predictBytes } from '../planning/footprint.js';
import { readTrace } from '../planning/trace.js';
import { TwoTowerModel } from '../towers/two-tower-model.js';
import { readMatrix } from '../vectors/files.js';
import { grouped, openTerminal, table, type Terminal } from './terminal.js';
import { examples, integer, integers, numbers, positiveNumber } from './usage.js';

interface ProfileFlags {
  index: string;
  model?: string;
  queries?: string;
  trace?: string;
  rate: number;
  k?: number;
  ef?: number;
  shards?: number[];
  memory?: number[];
  entries?: number[];
  ttl?: number[];
  publishEvery?: number;
  sample?: number;
  seed: number;
  json?: boolean;
}

const GIB = 2 ** 30;

/** `lichen profile` */
export function profileCommand(): Command {
  return new Command('profile')
    .description(
      'Tell what a model and an index cost: memory, messages, shards, caches, processor.',
    )
    .requiredOption('--index <file>', 'a snapshot that lichen build saved')
    .option('--model <folder>', 'the model of its vectors, by lichen train')
    .option(
      '--queries <file>',
      "vectors to search for (default: the model's users, or the index's own)",
    )
    .option('--trace <file>', 'requests by user: a line `user` or `user seconds` each, or .i32')
    .option('--rate <n>', 'requests a second, for a trace without times', positiveNumber, 100)
    .option('--k <n>', 'results a request (default: 10)', integer(1))
    .option('--ef <n>', 'search beam', integer(1))
    .option('--shards <n,n,…>', 'numbers of shards', integers)
    .option('--memory <GiB,…>', 'memory that a shard may take', numbers)
    .option('--entries <n,n,…>', 'sizes of caches', integers)
    .option('--ttl <s,s,…>', 'times to live of cached entries, in seconds', numbers)
    .option('--publish-every <s>', 'a new version empties caches so often', positiveNumber)
    .option('--sample <share>', "of the trace's keys that is looked at", positiveNumber)
    .option('--seed <n>', 'decides which vectors are searched for', integer(0), 42)
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      examples('lichen profile --index items.lichen --model model --trace requests.txt'),
    )
    .action(profile);
}

async function profile(flags: ProfileFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  const { signal } = terminal;
  const { k, ef, shards, seed, entries, rate } = flags;
  const given = <T>(path: string | undefined, open: (path: string) => Promise<T>) =>
    path === undefined ? undefined : open(path);
  const model = await given(flags.model, (path) => TwoTowerModel.open(path, { signal }));
  const queries = await given(flags.queries, (path) => readMatrix(path, { signal }));
  const trace = await given(flags.trace, (path) => readTrace(path, { rate, signal }));
  const result = await profileInfrastructure({
    ...{ index: flags.index, k, ef, shards, seed, signal },
    ...(model && { model }),
    ...(queries && { queries }),
    ...(trace && { trace }),
    ...(flags.memory && { memoryLimits: flags.memory.map((gib) => gib * GIB) }),
    caches: {
      entries,
      ...(flags.ttl && { ttlsMs: flags.ttl.map((seconds) => seconds * 1000) }),
      ...(flags.publishEvery && { publishEveryMs: flags.publishEvery * 1000 }),
      ...(flags.sample && { sampleShare: Math.min(1, flags.sample) }),
    },
  });
  sayFootprint(terminal, result);
  saySerialization(terminal, result);
  sayCoordination(terminal, result);
  if (result.cacheability !== undefined) {
    sayCaches(terminal, 'user vectors', result.cacheability.userVectors);
    const [first] = result.cacheability.results.points;
    terminal.say(
      `Results are asked for by the same keys; an entry of theirs takes ${grouped(first!.bytes! / first!.entries)} bytes.\n`,
    );
  }
  terminal.result(result);
}

function sayFootprint(terminal: Terminal, { footprint }: InfrastructureProfile): void {
  const { index, model } = footprint;
  const parts = [...index.parts].sort((a, b) => b.bytes - a.bytes);
  terminal.say('Memory');
  terminal.say(
    table([
      ['part', 'what it is', 'bytes', 'a row'],
      ...parts.map(({ name, what, bytes, grows }) => [
        ...[
          name,
          what,
          grouped(bytes),
          grows === 'rows' ? grouped(bytes / (index.rows + index.dead), 2) : '-',
        ],
      ]),
      ['index', 'all of it', grouped(index.bytes), grouped(index.bytesPerRow, 2)],
      ...(model === undefined
        ? []
        : [
            ...model.parts.map(({ name, what, bytes }) => [
              `model, ${name}`,
              what,
              grouped(bytes),
              '',
            ]),
            ['model', 'all of it, but ids', grouped(model.bytes), ''],
          ]),
    ]),
  );
  const sizes = [1e6, 1e7, 1e8].map(
    (rows) => `${grouped(rows)} rows ${(predictBytes(index, rows) / GIB).toFixed(2)} GiB`,
  );
  terminal.say(`Such an index of ${sizes.join(', ')}.\n`);
}

function saySerialization(terminal: Terminal, result: InfrastructureProfile): void {
  terminal.say('Serialization');
  terminal.say(
    table([
      ['what', 'format', 'bytes', 'encode µs', 'decode µs'],
      ...result.serialization.map(({ what, format, bytes, encode, decode }) => [
        ...[what, format, grouped(bytes), micros(encode.us), micros(decode.us)],
      ]),
    ]),
  );
  terminal.say('\nProcessor, a request');
  terminal.say(
    table([
      ['stage', 'µs', 'of all processors µs'],
      ...result.stages.map(({ stage, us, cpuUs }) => [stage, micros(us), grouped(cpuUs, 2)]),
    ]),
  );
  terminal.say('In brackets the least and the greatest of seven batches.\n');
}

function sayCoordination(terminal: Terminal, result: InfrastructureProfile): void {
  terminal.say('Shards');
  const needed = result.shardsByMemory.map(
    ({ memoryBytes, shards }) => `${shards} of ${(memoryBytes / GIB).toPrecision(3)} GiB`,
  );
  terminal.say(
    `By memory: ${needed.join(', ')}. Waiting for the slowest of several like this one:`,
  );
  terminal.say(
    table([
      ['shards', 'p50 µs', 'p90 µs', 'p99 µs', 'x p99', 'bytes out', 'bytes in', ''],
      ...result.coordination.map((one) => [
        ...[String(one.shards), grouped(one.p50us, 1), grouped(one.p90us, 1)],
        `${grouped(one.p99us, 1)} (${grouped(one.p99Range[0], 1)}–${grouped(one.p99Range[1], 1)})`,
        one.tailGrowth.toFixed(2),
        ...[grouped(one.network.requests), grouped(one.network.responses)],
        one.isGuess ? 'too few searches measured to be sure' : '',
      ]),
    ]),
  );
  terminal.say('');
}

function sayCaches(terminal: Terminal, what: string, caches: Cacheability): void {
  const { requests, keys, repeats, points, sampleShare } = caches;
  terminal.say(`Caches of ${what}`);
  terminal.say(
    `${grouped(requests)} requests for ${grouped(keys)} keys; ${(100 * repeats).toFixed(1)}% were asked for before.` +
      (sampleShare < 1 ? ` Judged by ${(100 * sampleShare).toFixed(1)}% of the keys.` : ''),
  );
  terminal.say(
    table([
      ['entries', 'MiB', 'time to live', 'hits by LRU', 'by lichen', ''],
      ...points.map(({ entries, bytes, ttlMs, lruHits, hits, isRough }) => [
        ...[grouped(entries), grouped((bytes ?? 0) / 2 ** 20, 1)],
        ttlMs === Infinity ? 'none' : `${grouped(ttlMs / 1000)} s`,
        ...[`${(100 * lruHits).toFixed(1)}%`, `${(100 * hits).toFixed(1)}%`],
        isRough ? 'a guess: too few of the keys sampled' : '',
      ]),
    ]),
  );
  terminal.say('');
}

function micros({ median, min, max }: { median: number; min: number; max: number }): string {
  return `${grouped(median, 2)} (${grouped(min, 2)}–${grouped(max, 2)})`;
}
