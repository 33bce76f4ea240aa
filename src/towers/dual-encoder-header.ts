import { LichenFileError } from '../errors.js';
import { TENSORFLOW_NAMES, type TensorFlowName } from '../tensorflow/backends.js';
import type { DualEncoderContent } from './dual-encoder-files.js';
import type { TwoTowerMetric } from './model-files.js';
import { areDigests, type FileDigests } from './model-parts.js';

/** What encoder.json says it is. */
export const DUAL_ENCODER_FORMAT = 'lichen-dual-encoder';

/** The version of the format that this lichen writes, and the newest that it reads. */
const VERSION = 1;

/** Where a dual encoder comes from. */
export interface DualEncoderInfo {
  /** What computed, by TensorFlow.js's name for it. */
  readonly backend: TensorFlowName;
  /** Times that training went through all interactions. */
  readonly epochs: number;
  /** What scores were divided by. */
  readonly temperature: number;
  /** How long training took. */
  readonly seconds: number;
  /** Mean loss a pair in the last epoch, in nats. */
  readonly loss: number;
  /** Number of users. */
  readonly users: number;
  /** Number of items. */
  readonly items: number;
  /** Number of interactions. */
  readonly pairs: number;
  /** What was measured, by name; empty unless given to `save`. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** What a tower is and takes. */
export interface TowerSchema {
  readonly kind: 'table' | 'layers';
  /** Of a model: its inputs; null in a shape is any size. */
  readonly inputs?: readonly {
    readonly name: string;
    readonly shape: readonly (number | null)[];
    readonly dtype: string;
  }[];
}

/** What encoder.json holds. */
export interface DualEncoderHeader {
  readonly dim: number;
  readonly prefixes: readonly number[];
  readonly metric: TwoTowerMetric;
  readonly info: DualEncoderInfo;
  readonly towers: { readonly user: TowerSchema; readonly item: TowerSchema };
  /** By file name. */
  readonly files: FileDigests;
}

/** The content of encoder.json, plain data. */
export function dualEncoderHeader(
  { dim, prefixes, metric, info }: DualEncoderContent,
  towers: DualEncoderHeader['towers'],
  metrics: Readonly<Record<string, number>>,
  files: DualEncoderHeader['files'],
): Record<string, unknown> {
  const merged = { ...info, metrics: { ...info.metrics, ...metrics } };
  return {
    format: DUAL_ENCODER_FORMAT,
    version: VERSION,
    dim,
    prefixes,
    metric,
    info: merged,
    towers,
    files,
  };
}

/**
 * Understands encoder.json.
 * @throws ERR_LICHEN_FORMAT naming the field, ERR_LICHEN_UNSUPPORTED for a version newer than this lichen's.
 */
export function parseDualEncoderHeader(text: string, path: string): DualEncoderHeader {
  const fail = (message: string, cause?: unknown): LichenFileError =>
    new LichenFileError('ERR_LICHEN_FORMAT', `${path}: ${message}`, { cause });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw fail(`expected JSON: ${(cause as Error).message}`, cause);
  }
  const header = asObject(json);
  if (header['format'] !== DUAL_ENCODER_FORMAT) {
    throw fail(`format must be ${JSON.stringify(DUAL_ENCODER_FORMAT)}`);
  }
  const { version } = header;
  if (isCount(version) && version > VERSION) {
    throw new LichenFileError(
      'ERR_LICHEN_UNSUPPORTED',
      `${path} is of format version ${version}, this lichen reads up to ${VERSION}`,
    );
  }
  const wrong = Object.entries(CHECKS).find(([name, holds]) => !holds(header[name]));
  if (wrong !== undefined) {
    throw fail(`${wrong[0]} is not what it should be: ${shownJson(header[wrong[0]])}`);
  }
  const { dim, prefixes, metric, info, towers, files } = header as unknown as DualEncoderHeader;
  if (prefixes.at(-1) !== dim) throw fail(`prefixes must end with dim, ${dim}`);
  return { dim, prefixes, metric, info: Object.freeze(info), towers, files };
}

const CHECKS: Readonly<Record<string, (value: unknown) => boolean>> = {
  version: isCount,
  dim: isCount,
  prefixes: (value) => Array.isArray(value) && value.length > 0 && value.every(isCount),
  metric: (value) => value === 'dot' || value === 'cosine',
  info: isInfo,
  towers: (value) => isTower(asObject(value)['user']) && isTower(asObject(value)['item']),
  files: areDigests,
};

function isInfo(value: unknown): boolean {
  const info = asObject(value);
  return (
    Object.values(TENSORFLOW_NAMES).includes(info['backend'] as TensorFlowName) &&
    ['epochs', 'users', 'items', 'pairs'].every((name) => isCount(info[name])) &&
    ['temperature', 'seconds', 'loss'].every((name) => typeof info[name] === 'number') &&
    isObject(info['metrics']) &&
    Object.values(info['metrics']).every((metric) => typeof metric === 'number')
  );
}

function isTower(value: unknown): boolean {
  const { kind } = asObject(value);
  return kind === 'table' || kind === 'layers';
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** An object's fields; none for anything else. */
function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return isObject(value) ? value : {};
}

function shownJson(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 200) ?? 'nothing';
}
