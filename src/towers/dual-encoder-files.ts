import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { LayersModel } from '@tensorflow/tfjs';
import { fileError, LichenArgumentError, LichenFileError, throwIfAborted } from '../errors.js';
import { requireFinite } from '../index/arguments.js';
import type { Vocabulary } from '../interactions/vocabulary.js';
import { LAYERS_FILES, openLayersModel, saveLayersModel } from '../tensorflow/layers-files.js';
import type { TensorFlow, TowerBackend } from '../tensorflow/tensorflow.js';
import { writeFolderAtomically } from '../vectors/atomic-folder.js';
import { readMatrix, writeMatrix } from '../vectors/files.js';
import { matrix } from '../vectors/matrix.js';
import {
  DUAL_ENCODER_FORMAT,
  dualEncoderHeader,
  parseDualEncoderHeader,
  type DualEncoderHeader,
  type DualEncoderInfo,
  type TowerSchema,
} from './dual-encoder-header.js';
import { NetworkEncoder, TableEncoder, type Encoder, type EncoderSpec } from './encoder.js';
import type { SaveModelOptions, TwoTowerMetric } from './model-files.js';
import { parseVocabulary } from './model-header.js';
import { digest, readPart, requireDigest, writeJson, type FileDigest } from './model-parts.js';

export type { DualEncoderInfo } from './dual-encoder-header.js';

/** All that a dual encoder consists of. */
export interface DualEncoderContent {
  readonly users: Vocabulary;
  readonly items: Vocabulary;
  readonly dim: number;
  readonly prefixes: readonly number[];
  readonly metric: TwoTowerMetric;
  readonly info: DualEncoderInfo;
  readonly userTower: Encoder;
  readonly itemTower: Encoder;
}

/** Options of `DualEncoder.open`. */
export interface OpenDualEncoderOptions {
  /** Gives the inputs of the users' tower; needed where that is a network. */
  userInputs?: EncoderSpec['inputs'] | undefined;
  /** Gives the inputs of the items' tower; needed where that is a network. */
  itemInputs?: EncoderSpec['inputs'] | undefined;
  /** Default `auto`. */
  backend?: TowerBackend | undefined;
  /** Gives up with ERR_LICHEN_ABORTED when it fires. */
  signal?: AbortSignal | undefined;
}

const HEADER = 'encoder.json';
const SIDES = ['user', 'item'] as const;

type Side = (typeof SIDES)[number];

const idsFile = (side: Side): string => `${side}s.json`;
const tableFile = (side: Side): string => `${side}s.npy`;
const towerFolder = (side: Side): string => `${side}-tower`;

/** Writes a folder; see `DualEncoder.save`. */
export async function writeDualEncoder(
  dir: string,
  content: DualEncoderContent,
  { metrics = {}, signal }: SaveModelOptions,
): Promise<void> {
  for (const [name, value] of Object.entries(metrics)) requireFinite(`metrics.${name}`, value);
  const towers = { user: content.userTower, item: content.itemTower };
  const schemas = {
    user: schemaOf('userTower', towers.user),
    item: schemaOf('itemTower', towers.item),
  };
  throwIfAborted(signal, `writing ${dir}`);
  await writeFolderAtomically(
    dir,
    (names) => refusalOf(dir, names),
    async (folder) => {
      await writeJson(join(folder, idsFile('user')), content.users);
      await writeJson(join(folder, idsFile('item')), content.items);
      for (const side of SIDES) await writeTower(folder, side, towers[side], content.dim);
      const files: Record<string, FileDigest> = {};
      for (const name of filesOf(schemas)) files[name] = await digest(join(folder, name), signal);
      await writeJson(join(folder, HEADER), dualEncoderHeader(content, schemas, metrics, files));
      throwIfAborted(signal, `writing ${dir}`);
    },
  );
}

/** Reads and checks a folder; see `DualEncoder.open`. */
export async function readDualEncoder(
  tf: TensorFlow,
  dir: string,
  { userInputs, itemInputs, signal }: OpenDualEncoderOptions,
): Promise<DualEncoderContent> {
  throwIfAborted(signal, `reading ${dir}`);
  await stat(dir).catch((error: unknown) => {
    throw fileError('open', dir, error);
  });
  const path = join(dir, HEADER);
  const header = parseDualEncoderHeader(await readPart(dir, HEADER), path);
  for (const name of filesOf(header.towers)) {
    await requireDigest(dir, HEADER, header.files, name, signal);
  }
  const [users, items] = await Promise.all(
    SIDES.map(async (side) => {
      const file = join(dir, idsFile(side));
      return parseVocabulary(await readPart(dir, idsFile(side)), file);
    }),
  );
  const { dim, prefixes, metric, info } = header;
  requireSize(dir, 'users', users!.size, info.users);
  requireSize(dir, 'items', items!.size, info.items);
  const userTower = await readTower(tf, dir, 'user', header, userInputs);
  const itemTower = await readTower(tf, dir, 'item', header, itemInputs);
  return { users: users!, items: items!, dim, prefixes, metric, info, userTower, itemTower };
}

function schemaOf(name: string, encoder: Encoder): TowerSchema {
  if (!(encoder instanceof NetworkEncoder)) return { kind: 'table' };
  const { model } = encoder.spec;
  if (typeof model !== 'function') return { kind: 'layers', inputs: inputsOf(model) };
  throw new LichenArgumentError(
    'ERR_LICHEN_UNSUPPORTED',
    `${name} is a function, which cannot be saved; a LayersModel can`,
  );
}

function inputsOf(model: LayersModel): NonNullable<TowerSchema['inputs']> {
  return model.inputs.map(({ name, shape, dtype }) => ({ name, shape, dtype }));
}

function filesOf(schemas: Readonly<Record<Side, TowerSchema>>): string[] {
  return SIDES.flatMap((side) => [
    idsFile(side),
    ...(schemas[side].kind === 'table'
      ? [tableFile(side)]
      : LAYERS_FILES.map((file) => `${towerFolder(side)}/${file}`)),
  ]);
}

async function writeTower(
  folder: string,
  side: Side,
  encoder: Encoder,
  dim: number,
): Promise<void> {
  if (encoder instanceof TableEncoder) {
    await writeMatrix(join(folder, tableFile(side)), matrix(encoder.table, dim));
  } else if (encoder instanceof NetworkEncoder) {
    await saveLayersModel(encoder.spec.model as LayersModel, join(folder, towerFolder(side)));
  }
}

async function readTower(
  tf: TensorFlow,
  dir: string,
  side: Side,
  { dim, info, towers }: DualEncoderHeader,
  inputs: EncoderSpec['inputs'] | undefined,
): Promise<Encoder> {
  const { kind } = towers[side];
  const wanted = kind === 'layers';
  if (wanted !== (typeof inputs === 'function')) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      wanted
        ? `${side}Inputs must be a function that gives the inputs of the ${side} tower of ${dir}`
        : `${side}Inputs must not be given: the ${side} tower of ${dir} is a table`,
    );
  }
  if (kind === 'layers') {
    const model = await openLayersModel(join(dir, towerFolder(side)));
    return new NetworkEncoder(`${side}Tower`, { model, inputs: inputs! });
  }
  const table = await readMatrix(join(dir, tableFile(side)));
  const rows = side === 'user' ? info.users : info.items;
  if (table.rows !== rows || table.dim !== dim) {
    throw corrupt(dir, `${tableFile(side)} must hold ${rows} vectors of ${dim} values`);
  }
  return new TableEncoder(tf, table.data, dim, 0);
}

/** Why a folder that is there must not be replaced. */
async function refusalOf(dir: string, names: readonly string[]): Promise<string | undefined> {
  const text = await readFile(join(dir, HEADER), 'utf8').catch(() => '');
  if (!text.includes(`"${DUAL_ENCODER_FORMAT}"`)) return 'it is a folder that is no dual encoder';
  const known = [
    HEADER,
    ...SIDES.flatMap((side) => [idsFile(side), tableFile(side), towerFolder(side)]),
  ];
  const stranger = names.find((name) => !known.includes(name));
  return stranger && `it holds ${stranger}, which is no part of a dual encoder`;
}

function requireSize(dir: string, what: string, got: number, expected: number): void {
  if (got !== expected)
    throw corrupt(dir, `it has ${got} ids of ${what}, ${HEADER} says ${expected}`);
}

function corrupt(path: string, reason: string): LichenFileError {
  return new LichenFileError('ERR_LICHEN_FORMAT', `${path} is corrupt: ${reason}`);
}
