#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { LichenError } from '../errors.js';
import { ownVersion } from '../vectors/packages.js';
import { buildCommand } from './build.js';
import { clusterCommand } from './cluster.js';
import { codesignCommand } from './codesign.js';
import { demoCommand } from './demo.js';
import { embedCommand } from './embed.js';
import { evalCommand } from './eval.js';
import { featuresCommand } from './features.js';
import { inspectCommand } from './inspect.js';
import { nodeCommand } from './node.js';
import { planCommand } from './plan.js';
import { profileCommand } from './profile.js';
import { publishCommand } from './publish.js';
import { recommendCommand } from './recommend.js';
import { searchCommand } from './search.js';
import { serveCommand } from './serve.js';
import { sweepCommand } from './sweep.js';
import { trainCommand } from './train.js';

/** Wrong usage, as opposed to a failure of the work itself. */
const USAGE_STATUS = 2;

function program(): Command {
  const root = new Command('lichen')
    .description('Embedding retrieval: train two towers, embed, build an index, search, evaluate.')
    .version(ownVersion())
    .showHelpAfterError(false)
    .helpCommand(false);
  const commands = [
    trainCommand(),
    embedCommand(),
    buildCommand(),
    searchCommand(),
    evalCommand(),
    sweepCommand(),
    profileCommand(),
    planCommand(),
    codesignCommand(),
    recommendCommand(),
    publishCommand(),
    serveCommand(),
    nodeCommand(),
    clusterCommand(),
    featuresCommand(),
    inspectCommand(),
    demoCommand(),
  ];
  for (const command of commands) root.addCommand(command);
  for (const command of [root, ...commands, ...commands.flatMap((one) => one.commands)]) {
    command
      .exitOverride()
      .allowExcessArguments(false)
      .configureOutput({ writeErr: () => {} });
  }
  return root;
}

/** One line on stderr: what went wrong and its code. */
function complain(what: string, code: string): void {
  process.stderr.write(`lichen: ${what.replace(/\s*\n\s*/g, ' ')} (${code})\n`);
}

async function main(): Promise<number> {
  // A reader that closes the pipe early, such as head, is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const root = program();
  try {
    if (process.argv.length < 3) throw new CommanderError(1, 'lichen.noCommand', usage(root));
    await root.parseAsync();
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      complain(error.message.replace(/^error: /, ''), 'ERR_LICHEN_ARGUMENT');
      return USAGE_STATUS;
    }
    if (error instanceof LichenError) {
      complain(error.message, error.code);
      return 1;
    }
    complain(error instanceof Error ? error.message : String(error), 'ERR_LICHEN_INTERNAL');
    if (process.env['LICHEN_DEBUG'] !== undefined) console.error(error);
    return 1;
  }
}

function usage(root: Command): string {
  const names = root.commands.map((command) => command.name()).join(', ');
  return `expected a command (${names}); lichen --help tells more`;
}

void main().then((status) => {
  process.exitCode = status;
});
