import type { fastify } from 'fastify';
import type rateLimit from '@fastify/rate-limit';
import type swagger from '@fastify/swagger';
import type * as prometheus from 'prom-client';
import { importPackage, requirePackages, type ImportPackage } from '../vectors/packages.js';

/** The optional packages that the service over HTTP stands on. */
export interface HttpPackages {
  readonly fastify: typeof fastify;
  readonly rateLimit: typeof rateLimit;
  readonly swagger: typeof swagger;
  readonly prometheus: typeof prometheus;
}

const NAMES = {
  fastify: ['fastify', 5],
  rateLimit: ['@fastify/rate-limit', 11],
  swagger: ['@fastify/swagger', 9],
  prometheus: ['prom-client', 15],
} as const;

/**
 * Loads them.
 * @throws ERR_LICHEN_MISSING_PACKAGE naming all that are not installed, ERR_LICHEN_UNSUPPORTED for one that cannot be
 * loaded.
 */
export async function loadHttpPackages(load: ImportPackage = importPackage): Promise<HttpPackages> {
  return (await requirePackages(load, 'the service over HTTP', NAMES)) as unknown as HttpPackages;
}
