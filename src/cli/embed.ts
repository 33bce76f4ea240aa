import { Command } from 'commander';
import { writeLines } from '../vectors/lines.js';
import { writeMatrix } from '../vectors/files.js';
import { TwoTowerModel } from '../towers/two-tower-model.js';
import { openTerminal } from './terminal.js';
import { oneOf } from './usage.js';

interface EmbedFlags {
  model: string;
  side: 'user' | 'item';
  output: string;
  keys?: string;
  dtype: 'f32' | 'f16';
  json?: boolean;
}

/** `lichen embed` */
export function embedCommand(): Command {
  return new Command('embed')
    .description("Write a model's user or item vectors to a file.")
    .requiredOption('--model <folder>', 'a model that lichen train saved')
    .requiredOption('--side <side>', 'user or item', oneOf(['user', 'item']))
    .requiredOption('--output <file>', '.npy, .fvecs or .fbin, also with .gz')
    .option('--keys <file>', 'also write the ids, one a line, for lichen build --keys')
    .option('--dtype <type>', 'f32, or f16 (.npy only)', oneOf(['f32', 'f16']), 'f32')
    .option('--json', 'print the result as JSON')
    .action(embed);
}

async function embed(flags: EmbedFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  const { signal } = terminal;
  const model = await TwoTowerModel.open(flags.model);
  const [vectors, ids] =
    flags.side === 'user' ? [model.userVectors, model.users] : [model.itemVectors, model.items];
  await writeMatrix(flags.output, vectors, { dtype: flags.dtype, signal });
  if (flags.keys !== undefined) {
    await writeLines(flags.keys, Array.from(ids.keys(), String), { signal });
  }
  const { rows, dim } = vectors;
  terminal.say(`${rows} ${flags.side} vectors of dim ${dim} written to ${flags.output}`);
  terminal.result({ rows, dim, side: flags.side, output: flags.output });
}
