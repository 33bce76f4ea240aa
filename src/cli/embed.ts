import { Command } from 'commander';
import { LichenArgumentError } from '../errors.js';
import { itemsOf } from '../interactions/interactions.js';
import { readInteractions } from '../interactions/reader.js';
import type { Vocabulary } from '../interactions/vocabulary.js';
import { readFeatureRows } from '../towers/feature-files.js';
import { matrix, type Matrix } from '../vectors/matrix.js';
import { writeLines } from '../vectors/lines.js';
import { writeMatrix } from '../vectors/files.js';
import { TwoTowerModel } from '../towers/two-tower-model.js';
import { openTerminal } from './terminal.js';
import { examples, oneOf, outputPath } from './usage.js';

interface EmbedFlags {
  model: string;
  side: 'user' | 'item';
  histories?: string;
  features?: string;
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
    .option(
      '--histories <file>',
      'vectors of new users instead: lines "user item item …", oldest first',
    )
    .option(
      '--features <file>',
      'vectors of new items instead, by their features as in lichen train',
    )
    .requiredOption('--output <file>', '.npy, .fvecs or .fbin, also with .gz', outputPath)
    .option('--keys <file>', 'also write the ids, one a line, for lichen build --keys', outputPath)
    .option('--dtype <type>', 'f32, or f16 (.npy only)', oneOf(['f32', 'f16']), 'f32')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      examples(
        'lichen embed --model model --side item --output items.npy --keys ids.txt',
        'lichen embed --model model --side user --histories new.txt --output new.npy',
      ),
    )
    .action(embed);
}

async function embed(flags: EmbedFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  const { signal } = terminal;
  const model = await TwoTowerModel.open(flags.model);
  const [vectors, ids] = await vectorsOf(model, flags, signal);
  await writeMatrix(flags.output, vectors, { dtype: flags.dtype, signal });
  if (flags.keys !== undefined) {
    await writeLines(flags.keys, Array.from(ids.keys(), String), { signal });
  }
  const { rows, dim } = vectors;
  terminal.say(`${rows} ${flags.side} vectors of dim ${dim} written to ${flags.output}`);
  terminal.result({ rows, dim, side: flags.side, output: flags.output });
}

/** Which vectors are asked for, and their ids. */
async function vectorsOf(
  model: TwoTowerModel,
  { side, histories, features }: EmbedFlags,
  signal: AbortSignal,
): Promise<[Matrix, Vocabulary]> {
  const wrong = side === 'user' ? features : histories;
  if (wrong !== undefined) {
    const name = side === 'user' ? '--features' : '--histories';
    throw new LichenArgumentError('ERR_LICHEN_ARGUMENT', `${name} is not for --side ${side}`);
  }
  if (histories !== undefined) {
    const read = await readInteractions(histories, { signal });
    const users = Array.from({ length: read.users.size }, (_, user) => ({
      history: Array.from(itemsOf(read, user), (item) => read.items.idAt(item)),
    }));
    return [matrix(await model.encodeNewUsers(users), model.dim), read.users];
  }
  if (features !== undefined) {
    const read = await readFeatureRows(features, { signal });
    return [matrix(model.encodeNewItems(read.rows), model.dim), read.ids];
  }
  return side === 'user' ? [model.userVectors, model.users] : [model.itemVectors, model.items];
}
