import { LichenError, LichenFileError } from '../errors.js';
import { Vocabulary } from '../interactions/vocabulary.js';
import { TENSORFLOW_NAMES, type TensorFlowName } from '../tensorflow/backends.js';
import type { TowerWeights } from './new-vectors.js';
import type { TwoTowerContent, TwoTowerInfo, TwoTowerMetric } from './model-files.js';
import {
  resolveTwoTowerOptions,
  TWO_TOWER_DEFAULTS,
  type ResolvedTwoTowerOptions,
  type TwoTowerOptions,
} from './options.js';
import { areDigests, type FileDigests } from './model-parts.js';
import { parseTowers, towersJson } from './towers-json.js';

/** What model.json says it is. */
export const MODEL_FORMAT = 'lichen-two-tower';

/** The version of the format that this lichen writes, and the newest that it reads. */
export const MODEL_VERSION = 2;

/** What model.json holds. */
export interface ModelHeader {
  /** Values a vector. */
  readonly dim: number;
  readonly metric: TwoTowerMetric;
  readonly info: TwoTowerInfo;
  /** Absent in version 1. */
  readonly towers?: Pick<TowerWeights, 'schema' | 'unknownUser'>;
  /** By file name. */
  readonly files: FileDigests;
}

/** The content of model.json, plain data. */
export function headerOf(
  model: TwoTowerContent,
  metrics: Readonly<Record<string, number>>,
  files: FileDigests,
): Record<string, unknown> {
  const { info, metric } = model;
  return {
    format: MODEL_FORMAT,
    version: MODEL_VERSION,
    dim: model.itemVectors.dim,
    metric,
    ...info,
    metrics: { ...info.metrics, ...metrics },
    towers: towersJson(model.weights),
    files,
  };
}

/**
 * Understands model.json. Fields that it does not know are left aside.
 * @throws ERR_LICHEN_FORMAT naming the field, what was expected and what came; ERR_LICHEN_UNSUPPORTED for a version
 * newer than this lichen's.
 */
export function parseHeader(text: string, path: string): ModelHeader {
  const fields = new Fields(parseJson(text, path), path);
  if (fields.get('format') !== MODEL_FORMAT)
    throw fields.bad('format', JSON.stringify(MODEL_FORMAT));
  const version = fields.count('version', 1);
  if (version > MODEL_VERSION) {
    throw new LichenFileError(
      'ERR_LICHEN_UNSUPPORTED',
      `${path} is of format version ${version}, this lichen reads up to ${MODEL_VERSION}`,
    );
  }
  const metric = fields.get('metric');
  if (metric !== 'dot' && metric !== 'cosine') throw fields.bad('metric', 'dot or cosine');
  const backend = fields.get('backend');
  if (!isBackend(backend)) {
    throw fields.bad('backend', `one of ${Object.values(TENSORFLOW_NAMES).join(', ')}`);
  }
  const dim = fields.count('dim', 1);
  const options = fields.options(version === 1 ? { userTower: 'id' } : {});
  if (options.dim !== dim) throw fields.bad('options', `an object with dim ${dim}`);
  const info = Object.freeze({
    options,
    backend,
    epochs: fields.count('epochs', 1),
    seconds: fields.number('seconds'),
    loss: fields.number('loss'),
    users: fields.count('users', 1),
    items: fields.count('items', 1),
    pairs: fields.count('pairs', 1),
    metrics: fields.metrics(),
  });
  const header = { dim, metric, info, files: fields.files() } as const;
  if (version === 1) return header;
  const towers = parseTowers(fields.get('towers'), info, dim);
  if (towers === undefined) throw fields.bad('towers', 'what the towers are made of');
  return { ...header, towers };
}

/** Understands a vocabulary file; ERR_LICHEN_FORMAT naming the file otherwise. */
export function parseVocabulary(text: string, path: string): Vocabulary {
  try {
    return Vocabulary.fromJSON(parseJson(text, path));
  } catch (error) {
    if (!(error instanceof LichenError) || error.message.startsWith(path)) throw error;
    throw new LichenFileError('ERR_LICHEN_FORMAT', `${path}: ${error.message}`, { cause: error });
  }
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new LichenFileError(
      'ERR_LICHEN_FORMAT',
      `${path}: expected JSON: ${(cause as Error).message}`,
      { cause },
    );
  }
}

type JsonObject = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** The fields of model.json, checked as they are taken. */
class Fields {
  private readonly object: JsonObject;

  constructor(
    json: unknown,
    private readonly path: string,
  ) {
    if (!isObject(json)) {
      throw new LichenFileError('ERR_LICHEN_FORMAT', `${path}: expected a JSON object`);
    }
    this.object = json;
  }

  get(name: string): unknown {
    return Object.hasOwn(this.object, name) ? this.object[name] : undefined;
  }

  bad(name: string, expected: string): LichenFileError {
    const got = JSON.stringify(this.get(name))?.slice(0, 200) ?? 'nothing';
    return new LichenFileError(
      'ERR_LICHEN_FORMAT',
      `${this.path}: ${name} must be ${expected}, got ${got}`,
    );
  }

  count(name: string, least: number): number {
    const value = this.get(name);
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value;
    throw this.bad(name, `a whole number of at least ${least}`);
  }

  number(name: string): number {
    const value = this.get(name);
    if (typeof value === 'number') return value;
    throw this.bad(name, 'a number');
  }

  /** Options that a later lichen has added are left aside, those it has dropped are at their defaults. */
  options(given: TwoTowerOptions): ResolvedTwoTowerOptions {
    const value = this.get('options');
    if (!isObject(value)) throw this.bad('options', 'an object');
    const known = Object.keys(TWO_TOWER_DEFAULTS).filter((name) => Object.hasOwn(value, name));
    try {
      return resolveTwoTowerOptions({
        ...Object.fromEntries(known.map((name) => [name, value[name]])),
        ...given,
      });
    } catch (error) {
      if (!(error instanceof LichenError)) throw error;
      throw new LichenFileError('ERR_LICHEN_FORMAT', `${this.path}: options: ${error.message}`, {
        cause: error,
      });
    }
  }

  metrics(): Readonly<Record<string, number>> {
    const value = this.get('metrics');
    if (isObject(value) && Object.values(value).every((metric) => typeof metric === 'number')) {
      return Object.freeze(value as Record<string, number>);
    }
    throw this.bad('metrics', 'an object of numbers');
  }

  files(): FileDigests {
    const value = this.get('files');
    if (areDigests(value)) return value;
    throw this.bad('files', 'an object of {bytes, sha256}');
  }
}

function isBackend(value: unknown): value is TensorFlowName {
  return Object.values(TENSORFLOW_NAMES).includes(value as TensorFlowName);
}
