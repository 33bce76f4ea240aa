import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError, LichenArgumentError, LichenFileError, throwIfAborted } from '../errors.js';
import { Vocabulary } from '../interactions/vocabulary.js';
import type { TensorFlowName } from '../tensorflow/backends.js';
import { writeFolderAtomically } from '../vectors/atomic-folder.js';
import { readMatrix, writeMatrix } from '../vectors/files.js';
import { matrix, type Matrix } from '../vectors/matrix.js';
import type { TowerWeights } from './new-vectors.js';
import { fillUnknownUsers } from './finish.js';
import { tableRows, type TowerSchema } from './layout.js';
import { headerOf, MODEL_FORMAT, parseHeader, parseVocabulary } from './model-header.js';
import {
  digest,
  notWhole,
  readPart,
  requireDigest,
  writeJson,
  type FileDigest,
} from './model-parts.js';
import type { ResolvedTwoTowerOptions } from './options.js';

/** How a model was trained to score. */
export type TwoTowerMetric = 'dot' | 'cosine';

/** Where a model comes from. */
export interface TwoTowerInfo {
  /** What it was trained with. */
  readonly options: ResolvedTwoTowerOptions;
  /** What computed, by TensorFlow.js's name for it. */
  readonly backend: TensorFlowName;
  /** Times that training went through all interactions; with a validation, up to the best one. */
  readonly epochs: number;
  /** How long training took. */
  readonly seconds: number;
  /** Mean loss a pair in the last of these epochs; in nats, where it is a likelihood. */
  readonly loss: number;
  /** Number of users. */
  readonly users: number;
  /** Number of items. */
  readonly items: number;
  /** Number of interactions. */
  readonly pairs: number;
  /** What was measured of the model, by name (`recall@20`): by its validation, and what was given to `save`. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** All that a model consists of. */
export interface TwoTowerContent {
  readonly users: Vocabulary;
  readonly items: Vocabulary;
  readonly userVectors: Matrix;
  readonly itemVectors: Matrix;
  readonly metric: TwoTowerMetric;
  readonly info: TwoTowerInfo;
  readonly weights: TowerWeights;
}

/** Options of `TwoTowerModel.open`. */
export interface OpenModelOptions {
  /** Gives up with ERR_LICHEN_ABORTED when it fires. */
  signal?: AbortSignal | undefined;
}

/** Options of `TwoTowerModel.save`. */
export interface SaveModelOptions {
  /** Finite numbers to be kept as `info.metrics`, beside those that are there. */
  metrics?: Readonly<Record<string, number>> | undefined;
  /** Gives up with ERR_LICHEN_ABORTED when it fires. */
  signal?: AbortSignal | undefined;
}

const HEADER = 'model.json';

/** The files beside the header; the last two are not there in format version 1. */
const PARTS = [
  'users.npy',
  'items.npy',
  'users.json',
  'items.json',
  'table.npy',
  'item-sums.npy',
] as const;

type Part = (typeof PARTS)[number];

/** Writes a model folder, all of it or nothing; see `TwoTowerModel.save`. */
export async function writeModel(
  dir: string,
  model: TwoTowerContent,
  { metrics = {}, signal }: SaveModelOptions,
): Promise<void> {
  requireMetrics(metrics);
  const what = `writing ${dir}`;
  throwIfAborted(signal, what);
  const refusal = (names: readonly string[]): Promise<string | undefined> => whyNot(dir, names);
  await writeFolderAtomically(dir, refusal, async (folder) => {
    const files: Record<string, FileDigest> = {};
    for (const [name, content] of partsOf(model)) {
      const path = join(folder, name);
      if (content instanceof Vocabulary) await writeJson(path, content);
      else await writeMatrix(path, content, { signal });
      files[name] = await digest(path, signal);
    }
    await writeJson(join(folder, HEADER), headerOf(model, metrics, files));
    throwIfAborted(signal, what);
  });
}

/** Why a folder that holds files of these names must not be replaced; undefined if it may be. */
async function whyNot(dir: string, names: readonly string[]): Promise<string | undefined> {
  if (!(await holdsModel(dir))) return 'it is a folder that is no lichen model';
  const stranger = names.find((name) => name !== HEADER && !PARTS.includes(name as never));
  return stranger && `it holds ${stranger}, which is no part of a model`;
}

/** Reads and checks a model folder; see `TwoTowerModel.open`. */
export async function readModel(
  dir: string,
  { signal }: OpenModelOptions,
): Promise<TwoTowerContent> {
  throwIfAborted(signal, `reading ${dir}`);
  const status = await stat(dir).catch((error: unknown) => {
    throw fileError('open', dir, error);
  });
  if (!status.isDirectory()) throw notWhole(dir, 'it is not a folder');
  const path = join(dir, HEADER);
  const header = parseHeader(await readPart(dir, HEADER), path);
  const { dim, metric, info, towers } = header;
  for (const name of partNames(towers?.schema)) {
    await requireDigest(dir, HEADER, header.files, name, signal);
  }
  const ids = async (name: Part, size: number): Promise<Vocabulary> => {
    const part = join(dir, name);
    const vocabulary = parseVocabulary(await readPart(dir, name), part);
    requireSize(part, vocabulary, size);
    return vocabulary;
  };
  const vectors = async (name: Part, rows: number): Promise<Matrix> => {
    const part = join(dir, name);
    const read = await readMatrix(part, { signal });
    requireShape(part, read, rows, dim);
    return read;
  };
  const userVectors = await vectors('users.npy', info.users);
  const itemVectors = await vectors('items.npy', info.items);
  const users = await ids('users.json', info.users);
  const items = await ids('items.json', info.items);
  const content = { users, items, userVectors, itemVectors, metric, info };
  if (towers === undefined) return { ...content, weights: weightsOfVectors(content) };
  const table = await vectors('table.npy', tableRows(towers.schema, dim).total);
  const itemSums = await vectors('item-sums.npy', info.items);
  return { ...content, weights: { ...towers, options: info.options, table, itemSums } };
}

/** The files of a model with such towers; without a schema, of format version 1. */
function partNames(schema: TowerSchema | undefined): readonly Part[] {
  return schema === undefined ? PARTS.slice(0, 4) : PARTS;
}

function partsOf(model: TwoTowerContent): [Part, Matrix | Vocabulary][] {
  const contents: Readonly<Record<Part, Matrix | Vocabulary>> = {
    'users.npy': model.userVectors,
    'items.npy': model.itemVectors,
    'users.json': model.users,
    'items.json': model.items,
    'table.npy': model.weights.table,
    'item-sums.npy': model.weights.itemSums,
  };
  return partNames(model.weights.schema).map((name) => [name, contents[name]]);
}

/** Of format version 1, whose towers were ids: their rows are their vectors. */
function weightsOfVectors({
  userVectors,
  itemVectors,
  info,
}: Omit<TwoTowerContent, 'weights'>): TowerWeights {
  const { dim } = itemVectors;
  const table = new Float32Array(itemVectors.data.length + userVectors.data.length);
  table.set(itemVectors.data);
  table.set(userVectors.data, itemVectors.data.length);
  const { users, items } = info;
  return {
    table: matrix(table, dim),
    itemSums: itemVectors,
    schema: { userTower: 'id', users, items, itemFeatures: [], userFeatures: [] },
    options: info.options,
    unknownUser: fillUnknownUsers(matrix(userVectors.data.slice(), dim), info.options.normalize),
  };
}

function requireMetrics(metrics: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(metrics)) {
    if (Number.isFinite(value)) continue;
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `metrics: ${JSON.stringify(name)} must be a finite number, got ${String(value)}`,
    );
  }
}

async function holdsModel(dir: string): Promise<boolean> {
  try {
    const header: unknown = JSON.parse(await readFile(join(dir, HEADER), 'utf8'));
    return (header as { format?: unknown } | null)?.format === MODEL_FORMAT;
  } catch {
    return false;
  }
}

function requireShape(path: string, got: Matrix, rows: number, dim: number): void {
  if (got.rows === rows && got.dim === dim) return;
  throw new LichenFileError(
    'ERR_LICHEN_FORMAT',
    `${path}: expected ${rows} vectors of ${dim} values, as in ${HEADER}, got ${got.rows} of ${got.dim}`,
  );
}

function requireSize(path: string, got: Vocabulary, size: number): void {
  if (got.size === size) return;
  throw new LichenFileError(
    'ERR_LICHEN_FORMAT',
    `${path}: expected ${size} ids, as in ${HEADER}, got ${got.size}`,
  );
}
