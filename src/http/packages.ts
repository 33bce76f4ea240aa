import type { fastify } from 'fastify';
import type rateLimit from '@fastify/rate-limit';
import type swagger from '@fastify/swagger';
import type * as prometheus from 'prom-client';
import { LichenError } from '../errors.js';
import { importPackage, requirePackage, type ImportPackage } from '../vectors/packages.js';

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
  const missing: string[] = [];
  const loaded = await Promise.all(
    Object.entries(NAMES).map(async ([key, [name, version]]) => {
      try {
        return [key, await requirePackage<unknown>(load, name, version)] as const;
      } catch (error) {
        if ((error as LichenError).code !== 'ERR_LICHEN_MISSING_PACKAGE') throw error;
        missing.push(`${name}@${version}`);
        return [key, undefined] as const;
      }
    }),
  );
  if (missing.length > 0) {
    const message = `the service over HTTP needs packages that are not installed: npm install ${missing.join(' ')}`;
    throw new LichenError('ERR_LICHEN_MISSING_PACKAGE', message);
  }
  return Object.fromEntries(loaded) as unknown as HttpPackages;
}
