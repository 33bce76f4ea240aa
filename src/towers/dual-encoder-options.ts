import type { Optimizer } from '@tensorflow/tfjs-core';
import { LichenArgumentError, shown } from '../errors.js';
import { requireInteger, requireOptions, requirePositive } from '../index/arguments.js';
import { parseBackend, type TowerBackend } from '../tensorflow/backends.js';
import { requireSeed } from '../vectors/random.js';
import type { EncoderSpec } from './encoder.js';
import type { TwoTowerProgress } from './options.js';

/** Options of `DualEncoder.train`. At least one tower must be given; the other is then a table of vectors. */
export interface DualEncoderOptions {
  /** The users' tower. Without it each user has a trained vector of its own. */
  userTower?: EncoderSpec | undefined;
  /** The items' tower. Without it each item has a trained vector of its own. */
  itemTower?: EncoderSpec | undefined;
  /**
   * Numbers of leading values, ascending, that are to be good vectors of their own, such as [16, 32, 64]; the last must
   * be the towers' dim. The loss is the mean over them (Kusupati et al., NeurIPS 2022). Default: all values alone.
   */
  prefixes?: readonly number[] | undefined;
  /** Times that training goes through all interactions, 1..100000. Default 10. */
  epochs?: number | undefined;
  /** Interactions a step, 2..65536, about; their items are each other's negatives. Default 1024. */
  batchSize?: number | undefined;
  /** What scores are divided by before the softmax, above 0. Default 0.1. */
  temperature?: number | undefined;
  /** Whether a score is the cosine rather than the plain dot product. Default true. */
  normalize?: boolean | undefined;
  /** Whether to correct for popular items being negatives more often (Yi et al., RecSys 2019). Default true. */
  logQ?: boolean | undefined;
  /** Whether items that a user is known to have met are never the user's negatives. Default true. */
  maskKnown?: boolean | undefined;
  /** What changes the towers' weights; the caller's to dispose of. Default: Adam. */
  optimizer?: Optimizer | undefined;
  /** Step size of the default optimizer, above 0. Default 0.001. */
  learningRate?: number | undefined;
  /** Adam's step size for a table, above 0. Default 0.02. */
  tableLearningRate?: number | undefined;
  /** Decides the order of interactions and the start of a table; weights of the towers start as they are. Default 1. */
  seed?: number | undefined;
  /** Default `auto`: the first of gpu, lichen-cuda, lichen, wasm, cpu that starts. */
  backend?: TowerBackend | undefined;
  /** Gives up with ERR_LICHEN_ABORTED when it fires; the towers keep what they have learned until then. */
  signal?: AbortSignal | undefined;
  /** Called a few times a second and at the end of each epoch. */
  onProgress?: ((progress: TwoTowerProgress) => void) | undefined;
}

/** Options that need not be there, or have no value that stands for them. */
type Open = 'userTower' | 'itemTower' | 'prefixes' | 'optimizer' | 'signal' | 'onProgress';

/** The same, checked, those that have a default being set. */
export type ResolvedDualEncoderOptions = Pick<DualEncoderOptions, Open> & {
  readonly [Name in Exclude<keyof DualEncoderOptions, Open>]-?: NonNullable<
    DualEncoderOptions[Name]
  >;
};

const NAMES = [
  ...(['userTower', 'itemTower', 'prefixes', 'epochs', 'batchSize', 'temperature'] as const),
  ...([
    'normalize',
    'logQ',
    'maskKnown',
    'optimizer',
    'learningRate',
    'tableLearningRate',
  ] as const),
  ...(['seed', 'backend', 'signal', 'onProgress'] as const),
];

/** @throws ERR_LICHEN_ARGUMENT naming the option, what was expected and what came. */
export function resolveDualEncoderOptions(options: DualEncoderOptions): ResolvedDualEncoderOptions {
  const given = requireOptions(options, NAMES);
  const { userTower, itemTower, prefixes, optimizer, signal, onProgress } = given;
  if (userTower === undefined && itemTower === undefined) {
    throw bad('userTower or itemTower must be given; for two tables there is TwoTowerModel');
  }
  if (optimizer !== undefined) {
    if (typeof (optimizer as Partial<Optimizer> | null)?.applyGradients !== 'function') {
      throw bad(`optimizer must be an optimizer of TensorFlow.js, got ${shown(optimizer)}`);
    }
    if (given.learningRate !== undefined) {
      throw bad('learningRate belongs to the default optimizer, but optimizer is given');
    }
  }
  const seed = given.seed ?? 1;
  requireSeed(seed);
  return {
    userTower,
    itemTower,
    prefixes: prefixes === undefined ? undefined : requirePrefixes(prefixes),
    epochs: requireInteger('epochs', given.epochs ?? 10, 1, 100_000),
    batchSize: requireInteger('batchSize', given.batchSize ?? 1024, 2, 65_536),
    temperature: requirePositive('temperature', given.temperature ?? 0.1),
    normalize: requireFlag('normalize', given.normalize ?? true),
    logQ: requireFlag('logQ', given.logQ ?? true),
    maskKnown: requireFlag('maskKnown', given.maskKnown ?? true),
    optimizer,
    learningRate: requirePositive('learningRate', given.learningRate ?? 0.001),
    tableLearningRate: requirePositive('tableLearningRate', given.tableLearningRate ?? 0.02),
    seed,
    backend: parseBackend(given.backend ?? 'auto'),
    signal,
    onProgress,
  };
}

/** The prefixes for vectors of `dim` values. @throws ERR_LICHEN_DIMENSION unless the last is `dim`. */
export function prefixesOf(
  prefixes: readonly number[] | undefined,
  dim: number,
): readonly number[] {
  const resolved = prefixes ?? [dim];
  const last = resolved.at(-1)!;
  if (last === dim) return resolved;
  throw new LichenArgumentError(
    'ERR_LICHEN_DIMENSION',
    `prefixes must end with the towers' dim, ${dim}, got ${last}`,
  );
}

function requirePrefixes(prefixes: unknown): readonly number[] {
  const isAscending =
    Array.isArray(prefixes) &&
    prefixes.length > 0 &&
    prefixes.every(
      (prefix, at) =>
        Number.isSafeInteger(prefix) &&
        (prefix as number) > (at === 0 ? 0 : (prefixes[at - 1] as number)),
    );
  if (isAscending) return prefixes.slice() as number[];
  throw bad(
    `prefixes must be ascending whole numbers of at least 1, got ${Array.isArray(prefixes) ? JSON.stringify(prefixes) : shown(prefixes)}`,
  );
}

function requireFlag(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw bad(`${name} must be true or false, got ${shown(value)}`);
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
