import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { grouped } from '../../src/cli/terminal.js';
import { describeMachine } from '../../src/evaluation/machine.js';
import { isFlat, trendOf } from './flatness.js';
import { soak, type Progress, type SoakResult } from './soak.js';
import { LEAST_RECALL } from './stock.js';

/** Before this share of the time, memory still fills: caches, pools of allocators, compiled code. */
const WARM_UP = 0.25;
/** Shorter runs say nothing about memory: for minutes the arenas of malloc and V8's heap become as large as they get. */
const LEAST_SECONDS = 600;

interface Flags {
  minutes: number;
  rows: number;
  seed: number;
  only?: string;
  json?: boolean;
}

function number(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? NaN : Number(text);
    if (value >= low && value <= high) return value;
    throw new InvalidArgumentError(`Expected a number from ${low} to ${high}.`);
  };
}

async function main(): Promise<number> {
  const command = new Command('npm run soak --')
    .description(
      'Lets searches, changes, published versions, caches, a batcher and a service over HTTP loose on one ' +
        'process, checks every answer, and looks whether memory, handles or files grow.',
    )
    .option('--minutes <n>', 'how long', number(0.01, 100_000), 30)
    .option('--rows <n>', 'vectors that the index may have', number(1000, 1_000_000), 20_000)
    .option('--seed <n>', 'decides what is asked and changed', number(0, 2 ** 31), 1)
    .option('--only <names>', 'only traffic with one of these in its name, to find a cause')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', `\n${CRITERION}`)
    .allowExcessArguments(false)
    .exitOverride();
  command.parse();
  const flags = command.opts<Flags>();
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => controller.abort());
  }
  const say = (line: string): void => {
    if (flags.json !== true) process.stdout.write(`${line}\n`);
  };
  const { processor, threads, isa, node } = describeMachine();
  say(`soak for ${flags.minutes} minutes: ${processor}, ${threads} threads, ${isa}, node ${node}`);
  const { signal } = controller;
  const { rows, seed, minutes, only } = flags;
  const onProgress = (progress: Progress): void => say(progressLine(progress));
  const result = await soak({
    ...{ rows, seed, seconds: 60 * minutes, signal, onProgress },
    ...(only !== undefined && { only }),
  });
  const { lines, failures, numbers } = judge(result);
  for (const line of lines) say(line);
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ ...numbers, failures })}\n`);
  say(failures.length === 0 ? 'nothing grew and nothing failed' : failures.join('\n'));
  return failures.length === 0 ? 0 : 1;
}

const CRITERION = `It ends with status 1 if a call failed or an answer made no sense, if recall is below ${LEAST_RECALL},
if files are left over, if there are more open files or handles at the end than at
the start, or if memory is not flat: if, after the first quarter of the time, the 95%
interval of its slope lies above zero and means more than 2% and 8 MiB over the rest;
of what the process takes (RSS) beside V8's heap, and of what it holds: in V8's heap,
of malloc, in blocks of lichen's own. If only the first grows, malloc keeps it.
Less than ${LEAST_SECONDS / 60} minutes say nothing about memory. With MALLOC_ARENA_MAX=1 in the environment
there is less that merely fills up; --only finds the kind of traffic that grows.`;

function progressLine({ moment, operations, errors, size, recall }: Progress): string {
  const { seconds, rss, heap } = moment;
  return (
    `${(seconds / 60).toFixed(1)} min: ${grouped(operations)} steps, ${errors} errors, ${grouped(size)} vectors, ` +
    `recall ${recall.toFixed(4)}, RSS ${mebibytes(rss)} MiB, heap ${mebibytes(heap)} MiB`
  );
}

function judge(result: SoakResult) {
  const { operations, errors, moments, recall, grown, leftOver, files } = result;
  const failures = errors.map((error) => `failed: ${error}`);
  if (recall < LEAST_RECALL) failures.push(`recall ${recall.toFixed(4)} is below ${LEAST_RECALL}`);
  failures.push(...grown.map((what) => `grown: ${what}`));
  failures.push(...leftOver.map((name) => `left over: ${name}`));
  const last = moments.at(-1)?.seconds ?? 0;
  const warm = moments.filter(({ seconds }) => seconds >= WARM_UP * last);
  const lines = [...operations].map(([name, count]) => `  ${name.padEnd(28)}${grouped(count)}`);
  lines.push(
    `recall ${recall.toFixed(4)}; open files: ${files[0]} at the start, ${files[1]} at the end`,
  );
  const memory: Record<string, object> = {};
  for (const kind of ['rss', 'beside', 'held', 'heap', 'external'] as const) {
    if (warm.length < 24) break;
    if (kind === 'held' && warm.some(({ held }) => held === 0)) continue;
    const trend = trendOf(warm.map((moment) => ({ seconds: moment.seconds, value: moment[kind] })));
    const [from, to] = [warm[0]![kind], warm.at(-1)![kind]];
    memory[kind] = { from, to, ...trend };
    lines.push(
      `${kind.padEnd(9)}${mebibytes(from)} MiB after the warm-up, ${mebibytes(to)} at the end; ` +
        `${mebibytes(trend.slope)} MiB an hour (${mebibytes(trend.low)} to ${mebibytes(trend.high)})`,
    );
    const counts = kind === 'beside' || kind === 'held';
    if (!counts || last < LEAST_SECONDS || isFlat(trend, from)) continue;
    failures.push(`memory is not flat (${kind}): at least ${mebibytes(trend.low)} MiB an hour`);
  }
  const numbers = {
    seconds: last,
    operations: Object.fromEntries(operations),
    recall,
    files,
    memory,
  };
  return { lines, failures, numbers };
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}

main().then(
  (status) => (process.exitCode = status),
  (error: unknown) => {
    // commander has told what was wrong.
    if (!(error instanceof CommanderError)) console.error(error);
    process.exitCode = error instanceof CommanderError ? (error.exitCode === 0 ? 0 : 2) : 1;
  },
);
