import { Command } from 'commander';
import { LichenArgumentError, shown } from '../errors.js';
import { openIndex } from '../index/open.js';
import type { Key } from '../index/types.js';
import { itemsOf } from '../interactions/interactions.js';
import { readInteractions } from '../interactions/reader.js';
import { NO_ITEM, recommendBatch } from '../ranking/recommend.js';
import { TwoTowerModel } from '../towers/two-tower-model.js';
import { matrix } from '../vectors/matrix.js';
import { openTerminal, type Terminal } from './terminal.js';
import { examples, integer, share } from './usage.js';

interface RecommendFlags {
  model: string;
  index: string;
  user?: string;
  history?: string[];
  interactions?: string;
  k: number;
  ef?: number;
  recall?: number;
  exact?: boolean;
  json?: boolean;
}

/** `lichen recommend` */
export function recommendCommand(): Command {
  const command = new Command('recommend')
    .description('Recommend items to a user of a model, or to a new user by what was met.')
    .requiredOption('--model <folder>', 'a model that lichen train saved')
    .requiredOption('--index <file>', "a snapshot of the model's item vectors, by lichen build")
    .option('--user <id>', 'a user of the model')
    .option('--history <id,…>', 'items that a new user has met, oldest first', ids)
    .option('--interactions <file>', 'what users have already; not recommended again')
    .option('--k <n>', 'recommendations', integer(1), 10)
    .option('--ef <n>', 'search beam of a graph index (default: 64)', integer(1))
    .option('--recall <share>', 'instead of --ef: the recall wanted, as calibrated', share)
    .option('--exact', 'score every item in the finest storage')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      examples(
        'lichen recommend --model model --index items.lichen --user u17 \\',
        '                 --interactions plays.csv',
        'lichen recommend --model model --index items.lichen --history i3,i9',
      ),
    )
    .action(async (flags: RecommendFlags) => {
      if ((flags.user === undefined) === (flags.history === undefined)) {
        command.error("error: expected one of '--user <id>' and '--history <id,…>'");
      }
      await recommend(flags);
    });
  return command;
}

function ids(text: string): string[] {
  return text.split(',').map((id) => id.trim());
}

async function recommend(flags: RecommendFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  const { user, history } = flags;
  const model = await TwoTowerModel.open(flags.model, { signal: terminal.signal });
  using index = await openIndex<Key>(flags.index);
  const vector = history ? await model.encodeNewUsers([{ history }]) : model.encodeUsers([user!]);
  const known = Uint32Array.from(await knownItems(model, flags, terminal));
  const { k, ef, recall, exact } = flags;
  const { items } = model;
  const ranked = await recommendBatch(
    {
      index,
      items,
      queries: matrix(vector, model.dim),
      users: Int32Array.of(0),
      known: { offsets: Uint32Array.of(0, known.length), itemIndices: known },
    },
    { k, ef, recall, exact },
  );
  const found = Array.from(ranked).filter((item) => item !== NO_ITEM);
  const recommendations = found.map((item) => {
    const id = items.idAt(item);
    return { item: id, score: dot(vector, model.encodeItems([id])) };
  });
  for (const { item, score } of recommendations) terminal.say(`${item}\t${score.toPrecision(6)}`);
  terminal.result({ ...(user !== undefined && { user }), k, recommendations });
}

/** Indices of the items that are not to be recommended: those of the history, or the user's in the interactions. */
async function knownItems(
  { users, items }: TwoTowerModel,
  { user, history, interactions }: RecommendFlags,
  { signal }: Terminal,
): Promise<number[]> {
  const met = metItems(items, history ?? []);
  if (interactions === undefined || user === undefined) return [...new Set(met)];
  const read = await readInteractions(interactions, { users, items, signal });
  return [...itemsOf(read, users.indexOf(user))];
}

/** Indices of the items of a history; those that the model does not know are told. @throws ERR_LICHEN_UNKNOWN_KEY */
function metItems(items: TwoTowerModel['items'], history: readonly string[]): number[] {
  const unknown = history.filter((id) => items.indexOf(id) < 0);
  if (unknown.length > 0) {
    const names = unknown.map(shown).join(', ');
    const message = `not among the model's ${items.size} items: ${names}`;
    if (unknown.length === history.length) {
      throw new LichenArgumentError('ERR_LICHEN_UNKNOWN_KEY', `${message}; no others are given`);
    }
    process.stderr.write(`lichen: ${message}; left out\n`);
  }
  return history.map((id) => items.indexOf(id)).filter((item) => item >= 0);
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, at) => sum + value * b[at]!, 0);
}
