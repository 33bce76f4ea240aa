import { LichenArgumentError, shown } from '../errors.js';
import { BACKENDS } from '../tensorflow/backends.js';
import type { TowerBackend } from '../tensorflow/tensorflow.js';

/** How far a training is. */
export interface TwoTowerProgress {
  /** The epoch at work, from 1. */
  readonly epoch: number;
  /** Epochs in all. */
  readonly epochs: number;
  /** Steps done in all epochs together. */
  readonly step: number;
  /** Steps of all epochs together. */
  readonly steps: number;
  /** Mean loss a pair since the epoch began, in nats. */
  readonly loss: number;
}

/** Options of `TwoTowerModel.train`; the defaults are {@link TWO_TOWER_DEFAULTS}. */
export interface TwoTowerOptions {
  /** Values a vector, 1..4096. Default 64. */
  dim?: number | undefined;
  /** Times that training goes through all interactions, 1..100000. Default 16. */
  epochs?: number | undefined;
  /**
   * Interactions a step, at least 2; about, as interactions of a user are taken together. Their items are each
   * other's negatives. Small sets get smaller batches, down to 64, so that an epoch has 16 steps. Default 2048.
   */
  batchSize?: number | undefined;
  /** Adam's step size at the start, above 0. Default 0.2. */
  learningRate?: number | undefined;
  /** Share of `learningRate` left at the last step, 0..1; it falls in a straight line. Default 0.02. */
  finalLearningRate?: number | undefined;
  /** What scores are divided by before the softmax, above 0. Default 1, for dot products; cosines want 0.1 to 0.2. */
  temperature?: number | undefined;
  /** Whether a score is the cosine rather than the plain dot product of user and item. Default false. */
  normalize?: boolean | undefined;
  /** Whether to correct for popular items being negatives more often (Yi et al., RecSys 2019). Default true. */
  logQ?: boolean | undefined;
  /** Whether items that a user is known to have met are never the user's negatives. Default true. */
  maskKnown?: boolean | undefined;
  /**
   * Share of its values, times the learning rate, that a row loses at each step that touches it, at least 0. What
   * keeps dot products from learning by heart; cosines need none. Default 1.2.
   */
  weightDecay?: number | undefined;
  /** Whole number 0..2^53-1 from which all chance follows: the same seed gives the same bytes. Default 1. */
  seed?: number | undefined;
  /** What computes: `gpu`, `lichen`, `wasm`, `cpu`, or `auto`: the first of these that can start. Default auto. */
  backend?: TowerBackend | undefined;
  /** Gives up with ERR_LICHEN_ABORTED when it fires. */
  signal?: AbortSignal | undefined;
  /** Called a few times a second and at the end of each epoch. */
  onProgress?: ((progress: TwoTowerProgress) => void) | undefined;
}

/** The options that decide what comes out, all set. */
export interface ResolvedTwoTowerOptions {
  readonly dim: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly finalLearningRate: number;
  readonly temperature: number;
  readonly normalize: boolean;
  readonly logQ: boolean;
  readonly maskKnown: boolean;
  readonly weightDecay: number;
  readonly seed: number;
  readonly backend: TowerBackend;
}

/** What an option is when it is not given. */
export const TWO_TOWER_DEFAULTS: ResolvedTwoTowerOptions = Object.freeze({
  dim: 64,
  epochs: 16,
  batchSize: 2048,
  learningRate: 0.2,
  finalLearningRate: 0.02,
  temperature: 1,
  normalize: false,
  logQ: true,
  maskKnown: true,
  weightDecay: 1.2,
  seed: 1,
  backend: 'auto',
});

/** What values an option may have. */
interface Rule {
  readonly expected: string;
  readonly allows: (value: unknown) => boolean;
}

const flag: Rule = { expected: 'true or false', allows: (value) => typeof value === 'boolean' };

function whole(least: number, most: number, text = `${least}..${most}`): Rule {
  return {
    expected: `a whole number in ${text}`,
    allows: (value) => Number.isSafeInteger(value) && inRange(value, least, most),
  };
}

/** Finite numbers; those above 0 are at least the least positive float32, as tensors hold no smaller one. */
const positive: Rule = {
  expected: 'a finite number above 0',
  allows: (value) => inRange(value, 2 ** -126, 1e30),
};

const RULES: Readonly<Record<keyof ResolvedTwoTowerOptions, Rule>> = {
  dim: whole(1, 4096),
  epochs: whole(1, 100_000),
  batchSize: whole(2, 65_536),
  learningRate: positive,
  finalLearningRate: {
    expected: 'a number in 0..1',
    allows: (value) => inRange(value, 0, 1),
  },
  temperature: positive,
  normalize: flag,
  logQ: flag,
  maskKnown: flag,
  weightDecay: {
    expected: 'a finite number of at least 0',
    allows: (value) => inRange(value, 0, 1e30),
  },
  seed: whole(0, Number.MAX_SAFE_INTEGER, '0..2^53-1'),
  backend: {
    expected: `one of auto, ${BACKENDS.join(', ')}`,
    allows: (value) => value === 'auto' || BACKENDS.includes(value as never),
  },
};

const CONTROLS: Readonly<Record<'signal' | 'onProgress', Rule>> = {
  signal: {
    expected: 'an AbortSignal',
    allows: (value) => value === undefined || value instanceof AbortSignal,
  },
  onProgress: {
    expected: 'a function',
    allows: (value) => value === undefined || typeof value === 'function',
  },
};

/**
 * Sets the options that are not given, or undefined, to their defaults.
 * @throws ERR_LICHEN_ARGUMENT naming the option, what was expected and what came; also for a name that is no option.
 */
export function resolveTwoTowerOptions(options: TwoTowerOptions = {}): ResolvedTwoTowerOptions {
  const given: unknown = options;
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    throw badOption('options', 'an object', given);
  }
  const rules: Readonly<Record<string, Rule>> = { ...RULES, ...CONTROLS };
  const resolved: Record<string, unknown> = { ...TWO_TOWER_DEFAULTS };
  for (const [name, value] of Object.entries(given)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined) {
      throw new LichenArgumentError(
        'ERR_LICHEN_ARGUMENT',
        `unknown option ${JSON.stringify(name)}, expected some of ${Object.keys(rules).join(', ')}`,
      );
    }
    if (value === undefined) continue;
    if (!rule.allows(value)) throw badOption(name, rule.expected, value);
    if (name in RULES) resolved[name] = value;
  }
  return Object.freeze(resolved) as unknown as ResolvedTwoTowerOptions;
}

function inRange(value: unknown, least: number, most: number): boolean {
  return typeof value === 'number' && value >= least && value <= most;
}

function badOption(name: string, expected: string, value: unknown): LichenArgumentError {
  return new LichenArgumentError(
    'ERR_LICHEN_ARGUMENT',
    `${name} must be ${expected}, got ${shown(value)}`,
  );
}
