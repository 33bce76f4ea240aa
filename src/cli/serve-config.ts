import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { badArgument } from '../cache/cache-limits.js';
import { fileError, LichenFileError, shown } from '../errors.js';
import type { ServerOptions } from '../http/server.js';
import { requireOptions } from '../index/arguments.js';
import type { Durability } from '../index/writes.js';
import type { DeploymentSearch } from '../serving/deployment.js';
import type { RecommenderOptions } from '../serving/recommender-options.js';

/** What is served: of the file's folder, if a path is relative. */
export interface WhatIsServed {
  /** A snapshot file, or a folder that `lichen publish` writes to, whose newest version is served. */
  readonly index?: string | undefined;
  /** Of a snapshot file: lets requests change it, and keeps their changes in a journal. */
  readonly durability?: Durability | undefined;
  /** A folder of `lichen train`; `{version}` stands for the model version that is written on the index. */
  readonly model?: string | undefined;
  /** Interactions of the model's users: not recommended to them again. */
  readonly known?: string | undefined;
  /** Module whose default export gives a deployment, of `{ index, published }`: for towers and stages of one's own. */
  readonly deployment?: string | undefined;
  /** How the index is searched, such as `{ "ef": 100 }`. */
  readonly search?: DeploymentSearch | undefined;
}

/** A configuration of `lichen serve`. */
export interface ServeConfig {
  readonly served: WhatIsServed;
  readonly recommender: Omit<RecommenderOptions, 'vectorCache' | 'onRequest' | 'openTelemetry'>;
  readonly vectorCache: VectorCacheConfig;
  readonly server: Omit<ServerOptions, 'recommender' | 'openTelemetry' | 'allowsWrites'>;
}

interface VectorCacheConfig {
  readonly maxBytes?: number | undefined;
  readonly ttlMs?: number | undefined;
  /** Address of a Redis that processes share. */
  readonly redis?: string | undefined;
}

const SERVED = ['index', 'durability', 'model', 'known', 'deployment', 'search'] as const;
const RECOMMENDER = [
  ...(['slo', 'k', 'batching', 'limit', 'resultCache', 'canaryShare', 'warmUp'] as const),
];
const SERVER = [
  ...(['host', 'port', 'tls', 'isOpen', 'hosts', 'bodyLimit', 'requestTimeoutMs', 'log'] as const),
  ...(['maxConnections', 'trustProxy', 'keys', 'ratePerSecond', 'writeDeadlineMs'] as const),
  ...(['maxK', 'maxIds', 'maxVectors', 'hasPage', 'hasProcessMetrics'] as const),
];
const PATHS = ['index', 'model', 'known', 'deployment'] as const;

/** What is kept unless a configuration says otherwise. */
const DEFAULTS: ServeConfig['recommender'] = {
  canaryShare: 0.01,
  resultCache: { maxUsers: 10_000, ttlMs: 1000 },
};

/** What `lichen serve` does without a configuration: the built-in catalogue. */
export function builtInConfig(): ServeConfig {
  return { served: {}, recommender: DEFAULTS, vectorCache: {}, server: {} };
}

/**
 * Reads a configuration.
 * @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_FORMAT for what is no JSON object, ERR_LICHEN_ARGUMENT for a member
 * that is not known or does not go with others.
 */
export async function readServeConfig(path: string): Promise<ServeConfig> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw fileError('read', path, error);
  });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new LichenFileError('ERR_LICHEN_FORMAT', `${path}: ${(error as Error).message}`);
  }
  if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed)) {
    throw new LichenFileError('ERR_LICHEN_FORMAT', `${path} must hold a JSON object`);
  }
  return configOf(parsed as Record<string, unknown>, dirname(resolve(path)));
}

/** @throws ERR_LICHEN_ARGUMENT */
export function configOf(given: Record<string, unknown>, folder: string): ServeConfig {
  const known = [...SERVED, ...RECOMMENDER, ...SERVER, 'vectorCache'] as const;
  requireOptions(given, known);
  const part = <T>(names: readonly string[]): T =>
    Object.fromEntries(Object.entries(given).filter(([name]) => names.includes(name))) as T;
  const served: Record<string, unknown> = part(SERVED);
  for (const name of PATHS) {
    const path = served[name];
    if (path === undefined) continue;
    if (typeof path !== 'string' || path === '') {
      throw badArgument(`${name} must be a path, got ${shown(path)}`);
    }
    served[name] = resolve(folder, path);
  }
  const server = part<{ tls?: { cert: string; key: string } }>(SERVER);
  if (server.tls !== undefined) {
    const { cert, key } = requireOptions(server.tls, ['cert', 'key']);
    server.tls = { cert: resolve(folder, String(cert)), key: resolve(folder, String(key)) };
  }
  const { index, durability, model, known: interactions, deployment } = served;
  if (index === undefined) throw badArgument('index must be given: a snapshot file, or a folder');
  if (interactions !== undefined && model === undefined) {
    throw badArgument('known needs model, whose users and items it speaks of');
  }
  if (deployment !== undefined && (model !== undefined || interactions !== undefined)) {
    throw badArgument('deployment says all that model and known would');
  }
  if (durability !== undefined && model !== undefined) {
    throw badArgument('an index that requests may change cannot go with a model');
  }
  const vectorCache = (given['vectorCache'] ?? {}) as VectorCacheConfig;
  requireOptions(vectorCache, ['maxBytes', 'ttlMs', 'redis']);
  return {
    ...{ served, vectorCache, server },
    recommender: { ...DEFAULTS, ...part<object>(RECOMMENDER) },
  };
}
