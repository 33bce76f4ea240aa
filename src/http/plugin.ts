import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { badArgument } from '../cache/cache-limits.js';
import { refusal, shown, type LichenError } from '../errors.js';
import { requireInteger, requireOptions, requirePositive } from '../index/arguments.js';
import { Recommender } from '../serving/recommender.js';
import type { RequestOptions } from '../serving/recommender-options.js';
import type { OpenTelemetry } from '../serving/tracing.js';
import {
  ApiKeys,
  keyOfHeaders,
  type ApiKey,
  type ApiKeyOptions,
  type Permission,
} from './api-keys.js';
import { BINARY } from './binary.js';
import { RequestError, sendError } from './errors.js';
import { LiveView } from './live.js';
import { serviceMetrics } from './metrics.js';
import { openApiOptions } from './open-api.js';
import { loadHttpPackages } from './packages.js';
import { addPage } from './page.js';
import { addIndexRoutes, addOperationRoutes, addRecommendRoute } from './routes.js';
import { schemas } from './schemas.js';

/** What is used of the package `@opentelemetry/api` besides spans. */
export interface HttpTelemetry extends OpenTelemetry {
  /** Makes a span the one that others belong to. */
  readonly context: OpenTelemetry['context'] & {
    /** Does some work in a context. */
    with<T>(context: unknown, work: () => T): T;
  };
  /** Reads the client's span from the headers of a request. */
  readonly propagation: {
    /** The context that headers tell of, on top of another. */
    extract(context: unknown, carrier: unknown): unknown;
  };
}

/** Options of {@link lichenPlugin}. */
export interface LichenPluginOptions {
  /** What answers; it is the caller's to close. */
  readonly recommender: Recommender;
  /** Keys that requests must bring one of. Default: none is asked for. */
  readonly keys?: readonly ApiKeyOptions[] | undefined;
  /** Requests a second of a key that has no rate of its own, or of an address. Default: no limit. */
  readonly ratePerSecond?: number | undefined;
  /** Whether /v1/upsert and /v1/delete change the index in service. Default false. */
  readonly allowsWrites?: boolean | undefined;
  /** Milliseconds that a change may take. Default 30,000. */
  readonly writeDeadlineMs?: number | undefined;
  /** Most results (1,000), ids in a list (10,000) and vectors (1,024) of a request. */
  readonly maxK?: number | undefined;
  /** Most ids in a list of a request. Default 10,000. */
  readonly maxIds?: number | undefined;
  /** Most vectors of a request. Default 1,024. */
  readonly maxVectors?: number | undefined;
  /** Host names that requests may be to. Default: any. */
  readonly hosts?: readonly string[] | undefined;
  /** Whether the page is served at /. Default true. */
  readonly hasPage?: boolean | undefined;
  /** Whether /metrics tells of the process as well: memory, event loop. Default true. */
  readonly hasProcessMetrics?: boolean | undefined;
  /** The package `@opentelemetry/api`, so that spans belong to those of the client. */
  readonly openTelemetry?: HttpTelemetry | undefined;
}

/** What a route needs. */
export interface Routes {
  readonly app: FastifyInstance;
  readonly recommender: Recommender;
  readonly schemas: ReturnType<typeof schemas>;
  readonly limits: { readonly maxK: number; readonly maxIds: number; readonly maxVectors: number };
  readonly writeDeadlineMs: number;
  /** Options of a request to the service: its deadline, key, and whether the client is still there. */
  readonly requestOptions: (request: FastifyRequest, reply: FastifyReply) => RequestOptions;
  /** Does work as a part of what the client is at. */
  readonly within: <T>(request: FastifyRequest, work: () => T) => T;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a key must allow; undefined: none is needed. */
    lichenNeeds?: Permission;
    /** What requests are called, if they may be refused before they are read. */
    lichenKind?: string;
  }
  interface FastifyRequest {
    lichenKey: ApiKey | null;
  }
}

const OPTIONS = [
  ...(['recommender', 'keys', 'ratePerSecond', 'allowsWrites', 'writeDeadlineMs'] as const),
  ...(['maxK', 'maxIds', 'maxVectors', 'hosts', 'hasPage', 'hasProcessMetrics'] as const),
  'openTelemetry',
] as const;
const OF_FASTIFY = ['prefix', 'logLevel', 'logSerializers'];
const MOST = 1_000_000;

/** Checks the options and sets those that are not given. @throws ERR_LICHEN_ARGUMENT */
function resolve(options: LichenPluginOptions) {
  const own = Object.entries(options).filter(([name]) => !OF_FASTIFY.includes(name));
  const given = requireOptions(Object.fromEntries(own) as unknown as LichenPluginOptions, OPTIONS);
  const { recommender, keys = [], ratePerSecond, hosts, openTelemetry } = given;
  const { maxK = 1000, maxIds = 10_000, maxVectors = 1024, writeDeadlineMs = 30_000 } = given;
  if (!(recommender instanceof Recommender)) {
    throw badArgument(`recommender must be a Recommender, got ${shown(recommender)}`);
  }
  if (ratePerSecond !== undefined) requirePositive('ratePerSecond', ratePerSecond);
  return {
    ...{ recommender, ratePerSecond, hosts, openTelemetry },
    keys: new ApiKeys(keys),
    allowsWrites: given.allowsWrites === true,
    hasPage: given.hasPage !== false,
    hasProcessMetrics: given.hasProcessMetrics !== false,
    writeDeadlineMs: requireInteger('writeDeadlineMs', writeDeadlineMs, 1, 2 ** 31 - 1),
    limits: {
      maxK: requireInteger('maxK', maxK, 1, MOST),
      maxIds: requireInteger('maxIds', maxIds, 1, MOST),
      maxVectors: requireInteger('maxVectors', maxVectors, 1, MOST),
    },
  };
}

/**
 * The interface of a `Recommender` over HTTP, for an app of fastify 5: /v1/recommend, /v1/search, /v1/upsert,
 * /v1/delete, /v1/stats, /healthz, /readyz, /metrics, /openapi.json and the page. The app's own ajv should neither coerce types
 * nor remove what is unknown, see `createServer`.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_MISSING_PACKAGE
 *
 * @example
 * await app.register(lichenPlugin, { recommender });
 */
export const lichenPlugin: FastifyPluginAsync<LichenPluginOptions> = async (app, options) => {
  const resolved = resolve(options);
  const { recommender, limits, openTelemetry, keys } = resolved;
  const packages = await loadHttpPackages();
  const metrics = serviceMetrics(packages, recommender, resolved.hasProcessMetrics);
  const live = new LiveView(recommender);
  if (!app.hasDecorator('swagger')) {
    await app.register(packages.swagger, openApiOptions(keys.size > 0));
  }
  app.decorateRequest('lichenKey', null);
  app.setErrorHandler(sendError);
  app.setNotFoundHandler((request, reply) =>
    sendError(
      new RequestError(404, `there is no ${request.method} ${request.url}`),
      request,
      reply,
    ),
  );
  if (app.hasContentTypeParser('text/plain')) app.removeContentTypeParser('text/plain');
  app.addContentTypeParser(BINARY, { parseAs: 'buffer' }, (_, body, done) => done(null, body));
  await addGate(app, resolved, packages);
  app.addHook('onResponse', (request, reply, done) => {
    metrics.responded(request.routeOptions.url ?? 'none', reply.statusCode);
    done();
  });
  app.addHook('onClose', () => {
    metrics.close();
    live.close();
  });
  const routes: Routes = {
    ...{ app, recommender, limits, writeDeadlineMs: resolved.writeDeadlineMs },
    schemas: schemas(limits),
    requestOptions,
    within: openTelemetry ? within(openTelemetry) : (_, work) => work(),
  };
  addRecommendRoute(routes);
  addIndexRoutes(routes, resolved.allowsWrites);
  addOperationRoutes(routes, metrics, live);
  if (resolved.hasPage) await addPage(app, keys.size > 0);
};

/** What stands before every route: the host, the key, its rate, and whether there is room. */
async function addGate(
  app: FastifyInstance,
  { keys, ratePerSecond, hosts, recommender }: ReturnType<typeof resolve>,
  { rateLimit }: Awaited<ReturnType<typeof loadHttpPackages>>,
): Promise<void> {
  const hasRates = ratePerSecond !== undefined || keys.hasRates;
  await app.register(rateLimit, { global: false });
  const rate = app.createRateLimit({
    max: (request) => request.lichenKey?.ratePerSecond ?? ratePerSecond ?? MOST,
    timeWindow: 1000,
    keyGenerator: ({ lichenKey, ip }) =>
      lichenKey === null ? `address ${ip}` : `key ${lichenKey.id}`,
  });
  app.addHook('onRequest', async (request, reply) => {
    if (hosts !== undefined && !hosts.includes(request.hostname)) {
      throw new RequestError(403, 'requests to this host are not taken');
    }
    const { lichenNeeds: needs, lichenKind: kind } = request.routeOptions.config;
    if (needs === undefined) return;
    if (keys.size > 0) {
      const given = keyOfHeaders(request.headers);
      request.lichenKey = (given !== undefined && keys.find(given)) || null;
    }
    if (hasRates) {
      const { isAllowed, ...limit } = await rate(request);
      if (!isAllowed && (limit as { isExceeded?: boolean }).isExceeded === true) {
        throw new RequestError(429, 'more requests than may be in a second');
      }
    }
    if (keys.size > 0) {
      if (request.lichenKey === null) {
        reply.header('www-authenticate', 'Bearer');
        throw new RequestError(401, 'a key is needed: authorization: Bearer KEY');
      }
      if (!request.lichenKey.allows.has(needs)) {
        throw new RequestError(403, `this key does not allow to ${needs}`);
      }
    }
    // Before the rest of it is read and parsed.
    if (kind !== undefined && recommender.sheds(kind, callerOf(request))) {
      throw refused(recommender);
    }
  });
}

function refused(recommender: Recommender): LichenError {
  return recommender.isReady
    ? refusal('ERR_LICHEN_OVERLOADED', 'there are more requests than can be answered in time')
    : refusal('ERR_LICHEN_NOT_READY', 'there is no model in service');
}

function callerOf({ lichenKey }: FastifyRequest): RequestOptions {
  return lichenKey === null ? {} : { tenant: lichenKey.id, priority: lichenKey.priority };
}

function requestOptions(request: FastifyRequest, reply: FastifyReply): RequestOptions {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableEnded) gone.abort(new Error('the client has gone'));
  });
  const deadline = request.headers['x-deadline-ms'];
  return {
    ...callerOf(request),
    signal: gone.signal,
    ...(deadline !== undefined && { deadline: Number(deadline) }),
  };
}

function within({ context, propagation }: HttpTelemetry): Routes['within'] {
  return (request, work) =>
    context.with(propagation.extract(context.active(), request.headers), work);
}
