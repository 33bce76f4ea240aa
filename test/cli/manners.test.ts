import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Command } from 'commander';
import { program } from '../../src/cli/program.js';
import { writeMatrix } from '../../src/vectors/files.js';
import { matrix } from '../../src/vectors/matrix.js';
import { clustered } from '../index/data.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { lichen, MAIN } from './run.js';

const COLUMNS = 84;

/** What `--help` of a command prints. */
function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 80 });
  command.outputHelp();
  return text;
}

describe('the help of the command line', () => {
  const root = program();
  const commands = root.commands.filter((command) => command.name() !== 'help');

  it('lists every command once, in groups', () => {
    const text = helpOf(root);
    const names = [...text.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name);
    expect(names).toEqual([...commands.map((command) => command.name()), 'help']);
    for (const group of ['Models and recommendations', 'Indexes', 'Serving', 'Examples']) {
      expect(text).toContain(`\n${group}:\n`);
    }
  });

  const all = commands.flatMap((command) => [command, ...command.commands]);
  it.each(all.map((command) => [command.name(), command] as const))(
    'of %s is narrow, and has --json and examples',
    (_, command) => {
      const text = helpOf(command);
      for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(COLUMNS);
      expect(command.description()).toMatch(/\.$/);
      // Defaults as they would be given, not as JSON.
      expect(text).not.toMatch(/default:\s+["[]/);
      if (command.commands.length === 0) expect(text).toContain('--json ');
      if (commands.includes(command)) expect(text).toMatch(/\nExamples:\n {2}lichen /);
    },
  );

  it('has examples whose options there are', () => {
    for (const command of commands) {
      const examples = helpOf(command).split('\nExamples:\n')[1]!.replaceAll('\\\n', ' ');
      for (const line of examples.trim().split('\n')) {
        const [, name, sub] = line.trim().split(/\s+/);
        const asked = command.commands.find((one) => one.name() === sub) ?? command;
        expect(name, line).toBe(command.name());
        for (const [, option] of line.matchAll(/ --([a-z-]+)/g)) {
          const known = asked.options.map(({ long }) => long);
          expect(known, line).toContain(`--${option}`);
        }
      }
    }
  });
});

describe('a command that is interrupted, or not listened to', () => {
  const at = temporaryFolder();
  beforeAll(async () => {
    await writeMatrix(at('ok.npy'), matrix(clustered(1, 40, 8), 8));
    writeFileSync(at('pairs.txt'), '0 1 2 3\n1 2 3\n');
    const library = join(MAIN, '..', '..', 'index.js');
    // Two rows, and then nothing until the signal.
    writeFileSync(
      at('views.js'),
      `const { batchView, entity, feature } = require(${JSON.stringify(library)});
      async function* read({ signal }) {
        yield { rows: [{ item: 1, event_time: new Date(), year: 2 }], position: '1', done: 1, total: 9 };
        process.stdout.write('reading\\n');
        const busy = setInterval(() => {}, 1000);
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        clearInterval(busy);
        signal.throwIfAborted();
      }
      async function* lost() {
        await new Promise(() => {});
      }
      const lostView = {
        name: 'lost', entity: entity('item', { keys: 'integer' }), ttlMs: 1e15,
        features: { year: feature.i32() }, source: { name: 'lost', read: lost },
      };
      exports.lost = batchView(lostView);
      exports.years = batchView({
        name: 'years', entity: entity('item', { keys: 'integer' }), ttlMs: 1e15,
        features: { year: feature.i32() }, source: { name: 'made', read },
      });`,
    );
  });

  /** Runs until it has said something, is sent a signal, and ends. */
  async function interrupt(signal: NodeJS.Signals, ...args: string[]) {
    const child = spawn(process.execPath, [MAIN, ...args]);
    let stderr = '';
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    const closed = once(child, 'close') as Promise<[number | null]>;
    await Promise.race([once(child.stdout, 'data'), closed]);
    child.kill(signal);
    const [status] = await closed;
    return { status, lines: stderr.split('\n').filter((line) => line.startsWith('lichen:')) };
  }

  it('gives training up at SIGTERM, and leaves nothing', async () => {
    const { status, lines } = await interrupt(
      'SIGTERM',
      ...['train', '--interactions', at('pairs.txt'), '--output', at('model')],
      ...['--epochs', '100000', '--backend', 'lichen'],
    );
    expect(lines).toEqual(['lichen: interrupted by SIGTERM (ERR_LICHEN_ABORTED)']);
    expect(status).toBe(143);
    expect(readdirSync(at('')).filter((name) => name.includes('model'))).toEqual([]);
  });

  it('says at SIGINT that loading features can go on', async () => {
    const { status, lines } = await interrupt(
      'SIGINT',
      ...['features', 'materialize', '--view', 'years', '--definitions', at('views.js')],
      ...['--store', `lmdb:${at('features')}`],
    );
    expect(lines).toEqual([
      'lichen: interrupted by SIGINT; the store has what is loaded, and the same command goes on from there (ERR_LICHEN_ABORTED)',
    ]);
    expect(status).toBe(130);
  });

  it('is no success when it ends before its work does', () => {
    const { status, stderr } = lichen(
      ...['features', 'materialize', '--view', 'lost', '--definitions', at('views.js')],
      ...['--store', `lmdb:${at('lost')}`],
    );
    expect(stderr).toMatch(/^lichen: ended before its work was done.*\(ERR_LICHEN_INTERNAL\)\n$/);
    expect(status).toBe(1);
  });

  it('does its work also when nobody reads what it says', async () => {
    const args = ['build', '--input', at('ok.npy'), '--metric', 'l2', '--output', at('ok.lichen')];
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    const [status] = (await once(child, 'close')) as [number | null];
    expect([status, stderr]).toEqual([0, '']);
    expect(existsSync(at('ok.lichen'))).toBe(true);
  });

  it('tells of a command by its name or by --help', () => {
    const { status, stdout } = lichen('help', 'build');
    expect([status, stdout]).toEqual([0, lichen('build', '--help').stdout]);
  });
});
