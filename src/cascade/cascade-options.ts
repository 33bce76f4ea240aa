import { resolveDeadline } from '../batching/deadline.js';
import { LichenArgumentError, shown } from '../errors.js';
import { MAX_ROWS, requireInteger, requireOptions } from '../index/arguments.js';
import type { Key } from '../index/types.js';
import type { Retrieval, Stage, StageCost } from './stage.js';

/** Options of {@link Cascade}. */
export interface CascadeOptions<Q, K extends Key> {
  /** Where candidates come from. */
  readonly retrieval: Retrieval<Q, K>;
  /** From cheap to dear; each scores the best of what the one before has put in order. Up to 254. */
  readonly stages: readonly Stage<Q, K>[];
  /** Results, unless a request says otherwise. Default 20. */
  readonly k?: number | undefined;
  /** Milliseconds before a deadline that stages are not given, for what comes after them. Default 1. */
  readonly reserveMs?: number | undefined;
}

/** Options of {@link Cascade.rank}. */
export interface RankOptions {
  /** Results. Default: that of the cascade. */
  readonly k?: number | undefined;
  /** Milliseconds from now, or a time, by which the results are needed. Default: there is time for all stages. */
  readonly deadline?: number | Date | undefined;
  /** Gives the request up with ERR_LICHEN_ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

const OPTIONS = ['retrieval', 'stages', 'k', 'reserveMs'] as const;
const MOST_STAGES = 254;

/** Checks them and sets those that are not given. @throws ERR_LICHEN_ARGUMENT */
export function resolveCascadeOptions<Q, K extends Key>(options: CascadeOptions<Q, K>) {
  const { retrieval, stages, k = 20, reserveMs = 1 } = requireOptions(options, OPTIONS);
  if (!Array.isArray(stages) || stages.length > MOST_STAGES) {
    throw bad(`stages must be an array of up to ${MOST_STAGES}, got ${shown(stages)}`);
  }
  requireStage('retrieval', retrieval, 'retrieve');
  stages.forEach((stage: unknown, at) => requireStage(`stages[${at}]`, stage, 'score'));
  const all: readonly Stage<Q, K>[] = stages;
  const names = [retrieval.name, ...all.map(({ name }) => name)];
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw bad(`two stages have the name ${shown(twice)}`);
  return {
    retrieval,
    stages: [...all],
    k: requireInteger('k', k, 1, MAX_ROWS),
    reserveMs: requireMs('reserveMs', reserveMs),
  };
}

function requireStage(where: string, stage: unknown, method: 'retrieve' | 'score'): void {
  if (stage === null || typeof stage !== 'object') {
    throw bad(`${where} must be an object with ${method}, got ${shown(stage)}`);
  }
  const { name, candidates, leastCandidates, cost, fallback, ...given } = stage as Record<
    string,
    unknown
  >;
  if (typeof given[method] !== 'function') {
    throw bad(`${where}.${method} must be a function, got ${shown(given[method])}`);
  }
  if (typeof name !== 'string' || name === '') {
    throw bad(`${where}.name must be a string that is not empty, got ${shown(name)}`);
  }
  const most = requireInteger(`${where}.candidates`, candidates, 1, MAX_ROWS);
  if (leastCandidates !== undefined) {
    requireInteger(`${where}.leastCandidates`, leastCandidates, 1, most);
  }
  if (fallback !== undefined && typeof fallback !== 'function') {
    throw bad(`${where}.fallback must be a function, got ${shown(fallback)}`);
  }
  if (cost === undefined) return;
  const { fixedMs, candidateMs } = (cost ?? {}) as Partial<StageCost>;
  requireMs(`${where}.cost.fixedMs`, fixedMs);
  requireMs(`${where}.cost.candidateMs`, candidateMs);
}

/** Sets the options that are not given. @throws ERR_LICHEN_ARGUMENT */
export function resolveRankOptions(options: RankOptions | undefined, usualK: number) {
  const { k = usualK, deadline, signal } = requireOptions(options, ['k', 'deadline', 'signal']);
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw bad(`signal must be an AbortSignal, got ${shown(signal)}`);
  }
  return {
    k: requireInteger('k', k, 1, MAX_ROWS),
    until: resolveDeadline(deadline) ?? Infinity,
    signal,
  };
}

function requireMs(name: string, value: unknown): number {
  if (typeof value === 'number' && value >= 0 && value < Infinity) return value;
  throw bad(`${name} must be a number of milliseconds of at least 0, got ${shown(value)}`);
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
