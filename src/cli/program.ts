import { Command, type Option } from 'commander';
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
import { examples } from './usage.js';

const LAST_GROUP = 'More';
const GROUPS = {
  'Models and recommendations': [trainCommand, embedCommand, recommendCommand, featuresCommand],
  Indexes: [buildCommand, searchCommand, inspectCommand, publishCommand],
  'Measuring and planning': [
    ...[evalCommand, sweepCommand, profileCommand, planCommand, codesignCommand],
  ],
  Serving: [serveCommand, nodeCommand, clusterCommand],
  [LAST_GROUP]: [demoCommand],
};

/** The command line, as its parser knows it. */
export function program(): Command {
  const root = new Command('lichen')
    .usage('COMMAND [options]')
    .description('Embedding retrieval: train two towers, embed, build an index, search, evaluate.')
    .version(ownVersion())
    .showHelpAfterError(false)
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .addHelpCommand(
      new Command('help')
        .argument('[command]')
        .description('Tell about a command.')
        .helpGroup(`${LAST_GROUP}:`),
    );
  for (const [group, commands] of Object.entries(GROUPS)) {
    root.commandsGroup(`${group}:`);
    for (const make of commands) root.addCommand(make());
  }
  root.addHelpText(
    'after',
    examples(
      'lichen demo                      trains, indexes and recommends, on made-up data',
      'lichen build --help              the options of a command, with examples',
      'lichen inspect --system          what lichen uses of this machine',
    ),
  );
  configure(root);
  return root;
}

/** Errors are thrown, and say where more is told; nothing is printed by the parser but help. */
function configure(command: Command): void {
  const name = nameOf(command);
  command
    .exitOverride((error) => {
      if (error.code === 'commander.missingMandatoryOptionValue') refuseUnknownOption(command);
      if (error.exitCode !== 0) {
        error.message = `${error.message.replace(/\.$/, '')}; ${name} --help tells more`;
      }
      throw error;
    })
    .allowExcessArguments(false)
    .configureOutput({ writeErr: () => {} });
  command.options.forEach(tellDefault);
  command.commands.forEach(configure);
}

/** As it would be given, where the parser's help has JSON. */
function tellDefault(option: Option): void {
  const value: unknown = option.defaultValue;
  if (option.defaultValueDescription !== undefined) return;
  if (typeof value !== 'string' && !Array.isArray(value)) return;
  const text = String(value);
  option.default(value, text === '' ? 'none' : text);
}

/** An option that is misspelt is not there either, which the parser finds first, and says less. */
function refuseUnknownOption(command: Command): void {
  const [unknown] = command.parseOptions(process.argv.slice(2)).unknown;
  if (unknown === undefined) return;
  (command as unknown as { unknownOption(flag: string): void }).unknownOption(
    unknown.split('=')[0]!,
  );
}

function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}
