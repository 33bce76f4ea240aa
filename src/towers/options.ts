import { LichenArgumentError, shown } from '../errors.js';
import { BACKENDS, type TowerBackend } from '../tensorflow/backends.js';

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
  /** Mean loss a pair since the epoch began; in nats, where it is a likelihood. */
  readonly loss: number;
  /** What the validation said last, by name (`recall@20`); absent before the first and without validation. */
  readonly validation?: Readonly<Record<string, number>>;
}

/**
 * What a user is to the user tower: the mean of the vectors of the items met (`history`), a self-attention network over
 * them (`attention`), or a vector of its own (`id`).
 */
export type UserTowerKind = 'history' | 'attention' | 'id';

/** What training makes small; see the option `loss`. */
export type LossName = 'softmax' | 'bpr' | 'ccl';

/** The options that decide what comes out. */
export interface TwoTowerSettings {
  /** Values a vector, 1..4096. Default 64. */
  dim: number;
  /**
   * `history`: new users need no training, and on sparse data it is better than `id`. `attention`: the order of the
   * items counts (SASRec, Kang and McAuley, ICDM 2018). `id`: one vector a user. Default history.
   */
  userTower: UserTowerKind;
  /**
   * `softmax`: sampled softmax (Yi et al., RecSys 2019); `bpr`: one negative a pair (Rendle et al., UAI 2009); `ccl`:
   * cosine contrastive loss (Mao et al., CIKM 2021), which needs `normalize`. Default softmax.
   */
  loss: LossName;
  /** Whether a user's items are in order, oldest first: then the next item is learned from those before. Default false; attention is always in order. */
  ordered: boolean;
  /** Times that training goes through all interactions, 1..100000. Default 40 (attention: 12, id: 16, with a graph 10). */
  epochs: number;
  /** Users a step (id: groups of 4 pairs), at least 2. Small sets get smaller batches, so that an epoch has 16 steps. Default 512 (attention: 256, with a graph 2048). */
  batchSize: number;
  /** Adam's step size at the start, above 0. Default 0.01 (attention: 0.02, id: 0.2, with a graph 0.05). */
  learningRate: number;
  /** Share of `learningRate` left at the last step, 0..1; it falls in a straight line. Default 0.1 (id: 0.02). */
  finalLearningRate: number;
  /** What scores are divided by in `softmax` and `bpr`, above 0. Default 0.1, for cosines (id: 1, for dot products). */
  temperature: number;
  /** Whether a score is the cosine rather than the plain dot product of user and item. Default true (id: false). */
  normalize: boolean;
  /**
   * Negatives a step, shared by its users, up to 1048576 and at most four an item; 0 for the items of the step's own pairs
   * (in-batch negatives). Default 4096 (id: 0).
   */
  negatives: number;
  /** Items are negatives by their count in training to this power: 1 is as often as in a batch. Default 0.5. */
  negativePower: number;
  /** Share of the negatives drawn from all items alike instead (mixed negative sampling, Yang et al., WWW 2020), 0..1. Default 0. */
  uniformShare: number;
  /** Whether to correct for items being negatives more or less often (Yi et al., RecSys 2019). Default true. */
  logQ: boolean;
  /** Whether items that a user is known to have met are never the user's negatives. Default true. */
  maskKnown: boolean;
  /** Of `ccl`: cosines of negatives below it cost nothing, -1..1. Default 0.4. */
  margin: number;
  /** Of `ccl`: what the negatives of a pair weigh together beside the pair, above 0. Default 150. */
  negativeWeight: number;
  /**
   * Share of its values, times the learning rate, that a row loses at each step that touches it, at least 0. What
   * keeps dot products from learning by heart; cosines need none. Default 0 (id: 1.2, with a graph 0.3).
   */
  weightDecay: number;
  /**
   * A user of n items weighs n to this power in the loss, 0..1: 1 is each interaction alike, 0 each user alike. Default 1.
   */
  userPower: number;
  /**
   * Of `id` without features: steps along the graph of interactions over which vectors are smoothed (LightGCN, He et al.,
   * SIGIR 2020), 0..4. A step of training costs the whole graph, so batches should be large. Default 0.
   */
  graphLayers: number;
  /** Of `history`: an item of n interactions weighs n to the power of minus this, 0..1, as often met says little. Default 0. */
  historyPower: number;
  /** Of `history` without order: the share of a user's items that the user is seen by in a step, above 0..1. Default 0.5. */
  inputShare: number;
  /** The newest items of a user that count where they are in order, 1..4096. Default 50. */
  maxHistory: number;
  /** Of an ordered `history`: what an item weighs beside the one after it, above 0..1. Default 0.8. */
  recency: number;
  /** Of items with features: the share of steps in which an item is seen by its features alone, as new items are, 0..1. Default 0.2. */
  idDropout: number;
  /** Of `attention`: layers, 1..16. Default 1 (2 was no better on s3rec-beauty, and twice as slow). */
  layers: number;
  /** Of `attention`: share of activations left out in training, 0..0.9. Default 0.2. */
  dropout: number;
  /**
   * Lengths whose prefixes of a vector are good vectors too (Matryoshka, Kusupati et al., NeurIPS 2022), ascending and
   * below `dim`, which belongs to them without saying. Default none.
   */
  prefixes: readonly number[];
  /**
   * Share of the interactions that is held back to choose the best epoch by, 0 (none)..0.5; where items are in order, the
   * last of each user instead. Default 0.
   */
  validation: number;
  /** Epochs between two validations, at least 1. Default 2. */
  validateEvery: number;
  /** Validations without a better one after which training stops, at least 1. Default 5. */
  patience: number;
  /** Whole number 0..2^53-1 from which all chance follows: the same seed gives the same bytes. Default 1. */
  seed: number;
  /** What computes; see {@link TowerBackend}. Default auto. */
  backend: TowerBackend;
}

/** The settings, all there. */
export type ResolvedTwoTowerOptions = Readonly<TwoTowerSettings>;

/** Options of `TwoTowerModel.train`; the defaults are {@link TWO_TOWER_DEFAULTS}, or those of the user tower. */
export interface TwoTowerOptions extends Partial<{
  [Name in keyof TwoTowerSettings]: TwoTowerSettings[Name] | undefined;
}> {
  /** Gives up with ERR_LICHEN_ABORTED when it fires. */
  signal?: AbortSignal | undefined;
  /** Called a few times a second and at the end of each epoch. */
  onProgress?: ((progress: TwoTowerProgress) => void) | undefined;
}

/** What an option is when it is not given and the user tower is `history`. */
export const TWO_TOWER_DEFAULTS: ResolvedTwoTowerOptions = Object.freeze({
  dim: 64,
  userTower: 'history',
  loss: 'softmax',
  ordered: false,
  epochs: 40,
  batchSize: 512,
  learningRate: 0.01,
  finalLearningRate: 0.1,
  temperature: 0.1,
  normalize: true,
  negatives: 4096,
  negativePower: 0.5,
  uniformShare: 0,
  logQ: true,
  maskKnown: true,
  margin: 0.4,
  negativeWeight: 150,
  weightDecay: 0,
  userPower: 1,
  graphLayers: 0,
  historyPower: 0,
  inputShare: 0.5,
  maxHistory: 50,
  recency: 0.8,
  idDropout: 0.2,
  layers: 1,
  dropout: 0.2,
  prefixes: Object.freeze([]),
  validation: 0,
  validateEvery: 2,
  patience: 5,
  seed: 1,
  backend: 'auto',
});

/** What is another default with other user towers. */
export const TOWER_DEFAULTS: Readonly<Record<UserTowerKind, Partial<TwoTowerSettings>>> =
  Object.freeze({
    history: {},
    id: {
      epochs: 16,
      learningRate: 0.2,
      finalLearningRate: 0.02,
      temperature: 1,
      normalize: false,
      negatives: 0,
      weightDecay: 1.2,
    },
    attention: { ordered: true, epochs: 12, batchSize: 256, learningRate: 0.02 },
  });

/** What is another default where vectors are smoothed over a graph. */
export const GRAPH_DEFAULTS: Partial<TwoTowerSettings> = Object.freeze({
  epochs: 10,
  batchSize: 2048,
  learningRate: 0.05,
  weightDecay: 0.3,
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

function between(least: number, most: number): Rule {
  return {
    expected: `a number in ${least}..${most}`,
    allows: (value) => inRange(value, least, most),
  };
}

function oneOf(...names: readonly string[]): Rule {
  return {
    expected: `one of ${names.join(', ')}`,
    allows: (value) => names.includes(value as string),
  };
}

/** Finite numbers; those above 0 are at least the least positive float32, as tensors hold no smaller one. */
const LEAST = 2 ** -126;

const positive: Rule = {
  expected: 'a finite number above 0',
  allows: (value) => inRange(value, LEAST, 1e30),
};

const notNegative: Rule = {
  expected: 'a finite number of at least 0',
  allows: (value) => inRange(value, 0, 1e30),
};

const share: Rule = {
  expected: 'a number above 0 and at most 1',
  allows: (value) => inRange(value, LEAST, 1),
};

const prefixes: Rule = {
  expected: 'ascending whole numbers in 1..4095',
  allows: (value) =>
    Array.isArray(value) &&
    (value as unknown[]).every(
      (length, at) =>
        Number.isSafeInteger(length) &&
        inRange(length, at === 0 ? 1 : Number((value as unknown[])[at - 1]) + 1, 4095),
    ),
};

const RULES: Readonly<Record<keyof TwoTowerSettings, Rule>> = {
  dim: whole(1, 4096),
  userTower: oneOf('history', 'attention', 'id'),
  loss: oneOf('softmax', 'bpr', 'ccl'),
  ordered: flag,
  epochs: whole(1, 100_000),
  batchSize: whole(2, 65_536),
  learningRate: positive,
  finalLearningRate: between(0, 1),
  temperature: positive,
  normalize: flag,
  negatives: whole(0, 1_048_576),
  negativePower: between(0, 4),
  uniformShare: between(0, 1),
  logQ: flag,
  maskKnown: flag,
  margin: between(-1, 1),
  negativeWeight: positive,
  weightDecay: notNegative,
  userPower: between(0, 1),
  graphLayers: whole(0, 4),
  historyPower: between(0, 1),
  inputShare: share,
  maxHistory: whole(1, 4096),
  recency: share,
  idDropout: between(0, 1),
  layers: whole(1, 16),
  dropout: between(0, 0.9),
  prefixes,
  validation: between(0, 0.5),
  validateEvery: whole(1, 100_000),
  patience: whole(1, 100_000),
  seed: whole(0, Number.MAX_SAFE_INTEGER, '0..2^53-1'),
  backend: oneOf('auto', ...BACKENDS),
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
 * @throws ERR_LICHEN_ARGUMENT naming the option, what was expected and what came; also for a name that is no option, and
 * for options that contradict each other.
 */
export function resolveTwoTowerOptions(options: TwoTowerOptions = {}): ResolvedTwoTowerOptions {
  const given: unknown = options;
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    throw badOption('options', 'an object', given);
  }
  const rules: Readonly<Record<string, Rule>> = { ...RULES, ...CONTROLS };
  const chosen: Record<string, unknown> = {};
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
    if (name in RULES) chosen[name] = value;
  }
  const userTower = (chosen.userTower ?? TWO_TOWER_DEFAULTS.userTower) as UserTowerKind;
  const resolved = {
    ...TWO_TOWER_DEFAULTS,
    ...TOWER_DEFAULTS[userTower],
    ...(Number(chosen['graphLayers'] ?? 0) > 0 ? GRAPH_DEFAULTS : {}),
    ...chosen,
  };
  requireConsistent(resolved);
  return Object.freeze({ ...resolved, prefixes: Object.freeze([...resolved.prefixes]) });
}

function requireConsistent({
  dim,
  userTower,
  loss,
  ordered,
  normalize,
  graphLayers,
  prefixes,
}: TwoTowerSettings): void {
  if (loss === 'ccl' && !normalize)
    throw badOption('normalize', 'true with the loss ccl', normalize);
  if (userTower === 'attention' && !ordered)
    throw badOption('ordered', 'true with the user tower attention', ordered);
  if (graphLayers > 0 && userTower !== 'id')
    throw badOption('graphLayers', `0 with the user tower ${userTower}`, graphLayers);
  const longest = prefixes.at(-1) ?? 0;
  if (longest >= dim) throw badOption('prefixes', `whole numbers below dim, ${dim}`, longest);
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
