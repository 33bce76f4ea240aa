import { LichenFileError, shown } from '../errors.js';
import { Vocabulary } from '../interactions/vocabulary.js';
import type { FileOptions } from '../vectors/bytes.js';
import { badLine, forEachJsonLine, type BadLine } from '../vectors/json-lines.js';
import { forEachLine } from '../vectors/lines.js';
import type { FeatureColumn, FeatureColumns, FeatureValues } from './features.js';

/** Options of {@link readFeatures}. */
export interface ReadFeaturesOptions extends FileOptions {
  /** Names of strings that are texts, to be taken apart into words; other strings are categories. */
  texts?: readonly string[] | undefined;
}

/** What a file says of the ids of a vocabulary. */
export interface ReadFeatures {
  /** A value an id, by name. */
  readonly columns: FeatureColumns;
  /** How many ids of the vocabulary the file has features of. */
  readonly known: number;
  /** How many ids of the file are not in the vocabulary. */
  readonly unknown: number;
}

/**
 * Reads features, of which a `.jsonl` file has a JSON object a line, `{"id": …, "name": value, …}`: a number is
 * numeric, a string a category (or a text, see `texts`), a list several categories. Any other file has lines
 * `id value value …`, one categorical feature `values`. The name may end in .gz. Ids outside of the vocabulary are
 * counted and left out; those that the file does not name have no features.
 * @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_ABORTED; ERR_LICHEN_FORMAT naming the line.
 *
 * @example
 * const { columns } = await readFeatures('users.jsonl', interactions.users);
 * const model = await TwoTowerModel.train(interactions, {}, { userFeatures: columns });
 */
export async function readFeatures(
  path: string,
  ids: Vocabulary,
  options: ReadFeaturesOptions = {},
): Promise<ReadFeatures> {
  const columns = new Map<string, { type: FeatureColumn['type']; values: unknown[] }>();
  const seen = new Uint8Array(ids.size);
  let unknown = 0;
  const take: TakeEntry = (id, features, bad) => {
    const at = ids.indexOf(id);
    if (at < 0) {
      unknown++;
      return;
    }
    if (seen[at] === 1) throw bad(`${shown(id)} has features already`);
    seen[at] = 1;
    for (const [name, value] of Object.entries(features)) {
      if (value === null) continue;
      const type = typeOf(value, options.texts?.includes(name) === true);
      if (type === undefined) {
        throw bad(`${name} must be a number, a string or a list of such, got ${shown(value)}`);
      }
      const column = columns.get(name) ?? { type, values: [] };
      if (column.type !== type) throw bad(`${name} is ${type}, but ${column.type} before`);
      column.values[at] = value;
      columns.set(name, column);
    }
  };
  await forEachEntry(path, take, options);
  const known = seen.reduce((sum, one) => sum + one, 0);
  return { columns: Object.fromEntries(filled(columns, ids.size)), known, unknown };
}

/** Features of ids, one after the other. */
export interface FeatureRows {
  /** In the order of the file. */
  readonly ids: Vocabulary;
  /** One an id. */
  readonly rows: readonly FeatureValues[];
}

/**
 * Reads features as {@link readFeatures} does, of all ids of the file; what they must be a model says.
 * @throws as {@link readFeatures}; ERR_LICHEN_EMPTY when there are none.
 */
export async function readFeatureRows(
  path: string,
  options: FileOptions = {},
): Promise<FeatureRows> {
  const rows = new Map<string, FeatureValues>();
  const take: TakeEntry = (id, features, bad) => {
    if (rows.has(id)) throw bad(`${shown(id)} has features already`);
    for (const [name, value] of Object.entries(features)) {
      if (value === null || typeOf(value, false) !== undefined) continue;
      throw bad(`${name} must be a number, a string or a list of such, got ${shown(value)}`);
    }
    rows.set(id, features as FeatureValues);
  };
  await forEachEntry(path, take, options);
  if (rows.size === 0) throw new LichenFileError('ERR_LICHEN_EMPTY', `${path} holds no features`);
  return { ids: Vocabulary.ordered([...rows.keys()]), rows: [...rows.values()] };
}

type TakeEntry = (id: string, features: Readonly<Record<string, unknown>>, bad: BadLine) => void;

/** Calls back with the id and the features of each line. */
async function forEachEntry(path: string, take: TakeEntry, options: FileOptions): Promise<void> {
  if (/\.jsonl(?:\.gz)?$/i.test(path)) {
    const takeObject = (
      { id, ...features }: Readonly<Record<string, unknown>>,
      bad: BadLine,
    ): void => {
      const isId = (typeof id === 'string' && id !== '') || typeof id === 'number';
      if (!isId) throw bad(`id must be a string or a number, got ${shown(id)}`);
      take(String(id), features, bad);
    };
    await forEachJsonLine(path, takeObject, options);
    return;
  }
  await forEachLine(
    path,
    (bytes, start, end, line) => {
      const [id, ...values] = bytes.toString('utf8', start, end).trim().split(/\s+/);
      if (id !== '') take(id!, { values }, (what) => badLine(path, line, what));
    },
    options,
  );
}

/** Columns of `count` values, NaN or null where there is none. */
function* filled(
  columns: ReadonlyMap<string, { type: FeatureColumn['type']; values: unknown[] }>,
  count: number,
): Generator<[string, FeatureColumn]> {
  for (const [name, { type, values }] of columns) {
    const none = type === 'numeric' ? NaN : null;
    const all = Array.from({ length: count }, (_, at) => values[at] ?? none);
    yield [name, { type, values: all } as FeatureColumn];
  }
}

function typeOf(value: unknown, isText: boolean): FeatureColumn['type'] | undefined {
  if (typeof value === 'number') return 'numeric';
  if (typeof value === 'string') return isText ? 'text' : 'categorical';
  const isList =
    Array.isArray(value) && value.every((one) => ['string', 'number'].includes(typeof one));
  return isList ? 'categorical' : undefined;
}
