import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SIMULATED_MODULE } from '../cuda/simulated.js';
import { NATS_MISSING, startNats, type NatsServer } from '../servers/nats.js';
import { isInstalled, type ServerProcess } from '../servers/processes.js';
import { REDIS_MISSING, startRedis } from '../servers/redis.js';
import { argumentsOf, commandsOf, kindOf, wordsOf } from './commands.js';
import { GUIDES, nameOf, readPage, ROOT, type Block } from './pages.js';
import { compilePrograms, fileNameOf, missingPackage, SCRATCH, type Program } from './programs.js';
import type { Outcome, Step } from './run-steps.mjs' with { 'resolution-mode': 'import' };
import { withChecks } from './told.js';

const PAGES = GUIDES.map(readPage);
const BLOCKS = PAGES.flatMap(({ blocks }) => blocks);

/** What is put in the place of parts of blocks: addresses of servers, and times that a busy machine may not keep to. */
const addresses = { nats: '', redis: '' };
function rewritten(block: Block): Block {
  const text = block.text
    .replace(/nats:\/\/10\.0\.0\.\d(?::4222)?(?:,nats:\/\/10\.0\.0\.\d)*/g, addresses.nats)
    .replace('redis://localhost', addresses.redis)
    .replace(/\b((?:deadline|slo)"?): (\d+)\b/g, '$1: $2000');
  return { ...block, text };
}

/** Why a block cannot be run here. */
function lackOf(block: Block): string | undefined {
  if (NATS_MISSING && block.text.includes('nats://')) return 'nats-server is not installed';
  if (REDIS_MISSING && block.text.includes('redis://')) return 'redis-server is not installed';
  if (SIMULATED_MODULE === undefined && block.text.includes('GpuFlatIndex')) return 'no device';
  if (!isInstalled('curl') && block.text.includes('curl ')) return 'curl is not installed';
  const missing = block.language === 'ts' ? missingPackage(block) : undefined;
  return missing && `${missing} is not installed`;
}

const LISTENING = 'lichen serves .* at http://([^\\s/]+)';
const READY = 'answers for shard';

/** A command that only measures, which takes its time, is run where it comes first: by text, where that is. */
const MEASURED = new Map<string, string>();
for (const block of BLOCKS.filter(({ language }) => language === 'sh')) {
  for (const { line, text } of commandsOf(block)) {
    const isFirst = text.startsWith('lichen eval ') && !MEASURED.has(text);
    if (isFirst) MEASURED.set(text, `${block.page}:${line}`);
  }
}

/** What is to be run of a block. */
function stepsOf(block: Block, programs: ReadonlyMap<string, Program>): Step[] {
  const id = idOf(block);
  if (block.language === 'ts') return [{ id, kind: 'program', path: programs.get(id)!.file }];
  if (block.language !== 'sh') return [];
  return commandsOf(block).flatMap(({ text, line }): Step[] => {
    const step = { id: `${block.page}:${line}` };
    const { kind } = kindOf(text);
    if ((MEASURED.get(text) ?? step.id) !== step.id) return [];
    if (kind === 'lichen') return [{ ...step, kind, args: argumentsOf(text) }];
    if (kind === 'shell') return [{ ...step, kind, text }];
    if (kind !== 'service') return [];
    const args = argumentsOf(text);
    return args[0] === 'node'
      ? [{ ...step, kind, args, until: READY }]
      : [{ ...step, kind, args: [...args, '--port', '0'], until: LISTENING }];
  });
}

function idOf({ page, line }: Block): string {
  return `${page}:${line}`;
}

async function runSteps(steps: readonly Step[]): Promise<Map<string, Outcome>> {
  const outcomes = new Map<string, Outcome>();
  const child = fork(join(SCRATCH, 'run-steps.mjs'), {
    env: {
      ...process.env,
      MAIN: join(ROOT, 'dist', 'cli', 'main.js'),
      ...(SIMULATED_MODULE !== undefined && { LICHEN_CUDA_MODULE: SIMULATED_MODULE }),
    },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  child.on('message', (outcome: Outcome) => outcomes.set(outcome.id, outcome));
  child.send(steps);
  const [status, signal] = (await once(child, 'exit')) as [number | null, string | null];
  if (status === 0) return outcomes;
  const next = steps.find(({ id }) => !outcomes.has(id))?.id ?? 'the end';
  throw new Error(`the process of the blocks ended at ${next} with ${status ?? signal}`);
}

describe('blocks of README and the guides', () => {
  const servers: (NatsServer | ServerProcess)[] = [];
  const programs = new Map<string, Program>();
  let outcomes = new Map<string, Outcome>();

  beforeAll(async () => {
    if (!NATS_MISSING) {
      const nats = await startNats();
      servers.push(nats);
      addresses.nats = nats.url;
    }
    if (!REDIS_MISSING) {
      const { server, url } = await startRedis();
      servers.push(server);
      addresses.redis = url;
    }
    const run = BLOCKS.filter((block) => lackOf(block) === undefined).map(rewritten);
    const compiled = compilePrograms(run.filter(({ language }) => /^[jt]s$/.test(language)));
    for (const [block, program] of compiled) programs.set(idOf(block), program);
    for (const block of run.filter(({ language }) => language === 'json')) {
      writeFileSync(join(SCRATCH, nameOf(block.page), fileNameOf(block)!), block.text);
    }
    const steps = PAGES.flatMap(({ path }): Step[] => {
      const folder = join(SCRATCH, nameOf(path));
      return [
        { id: path, kind: 'folder', path: folder },
        {
          id: `what is given to ${path}`,
          kind: 'program',
          path: `${folder}/../given/${nameOf(path)}.mjs`,
        },
        ...run.filter(({ page }) => page === path).flatMap((block) => stepsOf(block, programs)),
        { id: `the end of ${path}`, kind: 'end' },
      ];
    });
    outcomes = await runSteps(steps);
  }, 300_000);

  afterAll(async () => {
    for (const server of servers) await ('stop' in server ? server.stop() : server.kill());
  });

  const succeeds = (id: string): Outcome => {
    const outcome = outcomes.get(id);
    expect(outcome, `${id} was not run`).toBeDefined();
    expect(outcome!.error, id).toBeUndefined();
    return outcome!;
  };

  it.each(GUIDES)('find in %s what is given', (path) => {
    succeeds(path);
    succeeds(`what is given to ${path}`);
    succeeds(`the end of ${path}`);
  });

  for (const block of BLOCKS) {
    const id = idOf(block);
    const lack = lackOf(block);
    const note = lack === undefined ? '' : ` (skipped: ${lack})`;
    const test = it.skipIf(lack !== undefined);
    switch (block.language) {
      case 'ts':
        test(`${id} compiles and runs${note}`, () => {
          expect(programs.get(id)!.errors.join('\n')).toBe('');
          const told = withChecks(block.text).split('told(').length - 1;
          expect(succeeds(id).checks, 'results told').toBe(told);
        });
        break;
      case 'js':
        test(`${id} is ${fileNameOf(block)}, which others import`, () => {
          expect(programs.get(id)!.errors.join('\n')).toBe('');
          const file = fileNameOf(block)!;
          const others = BLOCKS.filter((other) => other.page === block.page && other !== block);
          expect(others.some(({ text }) => text.includes(file))).toBe(true);
        });
        break;
      case 'json':
        test(`${id} is ${fileNameOf(block)}, which a command reads`, () => {
          JSON.parse(block.text);
          const commands = BLOCKS.filter(
            ({ page, language }) => page === block.page && language === 'sh',
          );
          expect(commands.some(({ text }) => wordsOf(text).includes(fileNameOf(block)!))).toBe(
            true,
          );
        });
        break;
      case 'dockerfile':
        test(`${id} starts what a block starts`, () => {
          const [, command] = /^CMD (\[.*\])$/m.exec(block.text)!;
          const words = (JSON.parse(command!) as string[])
            .join(' ')
            .replace('node_modules/.bin/', '');
          const others = BLOCKS.filter(
            ({ page, language }) => page === block.page && language === 'sh',
          );
          expect(others.flatMap(commandsOf).map(({ text }) => text)).toContain(words);
        });
        break;
      case 'sh':
        for (const { line, text } of commandsOf(block)) {
          const { kind, reason } = kindOf(text);
          const name = `${block.page}:${line} ${text}`;
          if (kind === 'elsewhere') it.skip(`${name} (skipped: ${reason})`);
          else if (kind === 'unknown') it(name, () => expect.fail('nobody knows how to run it'));
          else if (kind !== 'looked up')
            test(`${name}${note}`, () => succeeds(MEASURED.get(text) ?? `${block.page}:${line}`));
        }
        break;
      default:
        it(`${id} is of a kind that can be run`, () => expect.fail(`'${block.language}'`));
    }
  }
});
