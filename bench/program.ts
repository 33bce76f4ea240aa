import { existsSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Command, CommanderError, InvalidArgumentError, type Option } from 'commander';
import { LichenArgumentError } from '../src/index.js';
import { benchPage } from './harness/page.js';
import { tablesText } from './harness/report.js';
import { runAll, stateOf, Stopped, type Outcome } from './harness/run-all.js';
import { runSuite, tablesOf } from './harness/run-suite.js';
import { listOption, type Suite } from './harness/suite.js';
import { SUITES } from './suites.js';

type Print = (line: string) => void;

/** Wrong usage, as opposed to a failure of the work itself. */
const USAGE_STATUS = 2;
const STOPPED_STATUS = { SIGINT: 130, SIGTERM: 143 };

interface Kept {
  json?: string;
  html?: string;
  quick?: boolean;
}

function program(print: Print): Command {
  const root = new Command('npm run bench --')
    .usage('SUITE [options]')
    .description('Measures lichen, and where they are installed other libraries beside it.')
    .commandsGroup('Suites:')
    .helpCommand(false)
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .addHelpText(
      'after',
      [
        '\nExamples:',
        '  npm run bench -- ann --help                        the options of a suite',
        '  npm run bench -- ann --rows 100000 --dim 128       a suite with options',
        '  npm run bench -- all --quick --html bench.html     all, in minutes',
      ].join('\n'),
    );
  for (const suite of SUITES) root.addCommand(suiteCommand(suite, print));
  root.addCommand(allCommand(print));
  for (const command of [root, ...root.commands]) {
    command
      .exitOverride()
      .allowExcessArguments(false)
      .configureOutput({ writeOut: (text) => print(text.trimEnd()), writeErr: () => {} });
  }
  return root;
}

function keeping(command: Command): Command {
  return command
    .option('--quick', 'small sizes: seconds a suite, numbers that say little')
    .option('--json <file>', 'keep the results', writable)
    .option('--html <file>', 'write a page with all tables and pictures', writable);
}

/** Measuring takes long: that a file cannot be written is said before. */
function writable(file: string): string {
  if (existsSync(dirname(file))) return file;
  throw new InvalidArgumentError(`There is no folder ${dirname(file)}.`);
}

function suiteCommand(suite: Suite, print: Print): Command {
  const command = new Command(suite.name).description(suite.description);
  for (const [name, meaning] of Object.entries(suite.options)) {
    command.option(`--${name} <value>`, meaning);
  }
  const quick = Object.entries(suite.quick).map(([name, value]) => `--${name} ${value}`);
  return keeping(command)
    .addHelpText('after', `\n--quick is ${quick.join(' ') || 'no other than without it'}`)
    .action(async (flags: Kept) => {
      const options = new Map(flags.quick === true ? Object.entries(suite.quick) : []);
      for (const option of command.options.filter(({ long }) => isOf(suite, long))) {
        const value = command.getOptionValue(option.attributeName()) as string | undefined;
        if (value !== undefined) options.set(option.name(), value);
      }
      const report = await runSuite(suite, options, print);
      const tables = tablesOf(suite, report.results);
      if (tables.length > 0) print(`\n${tablesText(tables)}`);
      keep(flags, report, [{ suite, report }]);
    });
}

function isOf(suite: Suite, long: Option['long']): boolean {
  return long !== undefined && long !== null && long.slice(2) in suite.options;
}

function allCommand(print: Print): Command {
  const command = new Command('all')
    .description('every suite that can run here, one after the other')
    .option('--suites <names>', 'only these, with commas between');
  return keeping(command).action(async (flags: Kept & { suites?: string }) => {
    const names = SUITES.map(({ name }) => name);
    const given = new Map(flags.suites === undefined ? [] : [['suites', flags.suites]]);
    const wanted = listOption({ options: given }, 'suites', names);
    const suites = SUITES.filter(({ name }) => wanted.includes(name));
    const outcomes = await runAll(suites, flags.quick === true, print);
    const documents = outcomes.map(
      ({ suite, report, failure }) => report ?? { suite: suite.name, failure },
    );
    keep(flags, { suites: documents }, outcomes);
    const lines = outcomes.map((one) => `${one.suite.name.padEnd(12)}${stateOf(one)}`);
    print(`\n${lines.join('\n')}`);
    const failed = outcomes
      .filter(({ failure }) => failure !== undefined)
      .map((one) => one.suite.name);
    if (failed.length > 0) throw new Error(`failed: ${failed.join(', ')}`);
  });
}

function keep(flags: Kept, document: object, outcomes: readonly Outcome[]): void {
  if (flags.json !== undefined) {
    writeFileSync(flags.json, `${JSON.stringify(document, null, 2)}\n`);
  }
  if (flags.html !== undefined)
    writeFileSync(flags.html, benchPage(outcomes, flags.quick === true));
}

/** `npm run bench` with arguments: its exit status. `complain` is told what went wrong. */
export async function runBench(
  args: readonly string[],
  print: Print,
  complain: Print,
): Promise<number> {
  const root = program(print);
  try {
    if (args.length === 0) root.outputHelp();
    else await root.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    complain(error instanceof Error ? `bench: ${told(error)}` : String(error));
    if (error instanceof Stopped) return STOPPED_STATUS[error.signal];
    const isUsage = error instanceof CommanderError || error instanceof LichenArgumentError;
    return isUsage ? USAGE_STATUS : 1;
  }
}

function told({ message }: Error): string {
  return message
    .replace(/^error: /, '')
    .replace('unknown command', 'unknown suite')
    .replace(/\s*\n\s*/g, ' ');
}
