import type { FastifyRequest } from 'fastify';
import { badArgument } from '../cache/cache-limits.js';
import { LichenError } from '../errors.js';
import type { Key, SearchBatchResult } from '../index/types.js';
import type { AttributesInput } from '../index/attributes.js';
import type { Where } from '../index/where.js';
import type { InService } from '../serving/recommender.js';
import { BINARY, keyedVectorsOf, keysOf, resultBody, vectorsOf } from './binary.js';
import { sendError } from './errors.js';
import type { LiveView } from './live.js';
import type { Metrics } from './metrics.js';
import type { Routes } from './plugin.js';

type Id = string | number;

interface RecommendBody {
  readonly user?: Id;
  readonly history?: readonly Id[];
  readonly context?: Readonly<Record<string, unknown>>;
  readonly k?: number;
  readonly where?: Where;
  readonly exclude?: readonly Id[];
  readonly attributes?: readonly string[];
  readonly explain?: boolean;
}

/** POST /v1/recommend */
export function addRecommendRoute(routes: Routes): void {
  const { app, recommender, schemas, requestOptions, within } = routes;
  app.post<{ Body: RecommendBody }>(
    '/v1/recommend',
    {
      schema: schemas.recommend,
      config: { lichenNeeds: 'read', lichenKind: 'recommend' },
    },
    async (request, reply) => {
      const { user, history, context, explain = false, ...given } = request.body;
      const options = { ...requestOptions(request, reply), ...given };
      const { items, scores, attributes, explanation } = await within(request, () =>
        recommender.recommend({ user, history, context }, options),
      );
      const { version, isDegraded, cache, ms, steps, scoredBy } = explanation;
      return {
        items: items.map((id, at) => ({
          id,
          score: scores[at],
          ...(attributes && { attributes: attributes[at] }),
          ...(explain && { scoredBy: scoredBy[at] }),
        })),
        ...{ version, degraded: isDegraded, cache, ms },
        ...(explain && { steps }),
      };
    },
  );
}

interface SearchOptions {
  readonly k?: number;
  readonly ef?: number;
  readonly recall?: number;
  readonly exact?: boolean;
}

interface SearchBody extends SearchOptions {
  readonly vectors: readonly (readonly number[])[];
  readonly where?: Where;
  readonly exclude?: readonly Id[];
}

/** POST /v1/search, and, if they are allowed, /v1/upsert and /v1/delete */
export function addIndexRoutes(routes: Routes, allowsWrites: boolean): void {
  const { app, recommender, schemas, requestOptions, within, limits } = routes;
  app.post<{ Body: SearchBody | Buffer; Querystring: SearchOptions }>(
    '/v1/search',
    {
      schema: schemas.search,
      config: { lichenNeeds: 'read', lichenKind: 'search' },
      preValidation: (request, _, done) => {
        request.query = numbersOf(request.query);
        done();
      },
    },
    async (request, reply) => {
      const { body, query } = request;
      const options = requestOptions(request, reply);
      return within(request, () =>
        recommender.run(
          'search',
          async (current, { signal }) => {
            const { version, ids } = current;
            const found = await search(current, body, query, limits.maxVectors, signal);
            if (request.headers.accept === BINARY)
              return reply.type(BINARY).send(resultBody(found));
            return { version, results: listsOf(found, (key) => ids.idOf(key)) };
          },
          options,
        ),
      );
    },
  );
  if (allowsWrites) addWriteRoutes(routes);
}

async function search(
  { index, ids }: InService,
  body: SearchBody | Buffer,
  query: SearchOptions,
  maxVectors: number,
  signal: AbortSignal | undefined,
): Promise<SearchBatchResult<Key>> {
  const isBinary = Buffer.isBuffer(body);
  const { where, exclude } = isBinary ? {} : body;
  const { k = 10, ef, recall, exact } = isBinary ? query : body;
  // Of JSON the schema has counted them.
  const vectors = isBinary ? vectorsOf(body, index.dim, maxVectors) : (body.vectors as number[][]);
  const rows = isBinary ? (vectors as Float32Array).length / index.dim : vectors.length;
  const left = exclude && ids.keysOf(exclude);
  return index.searchBatch(vectors, {
    // Places of all results are made, whether there is something for them or not.
    ...{ k: Math.max(1, Math.min(k, index.size)), ef, recall, exact, where, signal },
    ...(left && { exclude: Array.from({ length: rows }, () => left as never) }),
  });
}

function listsOf(
  { keys, scores, counts, rows, k }: SearchBatchResult<Key>,
  idOf: (key: Key) => Id,
): { ids: Id[]; scores: number[] }[] {
  return Array.from({ length: rows }, (_, row) => {
    const [from, to] = [row * k, row * k + counts[row]!];
    return {
      ids: Array.from(keys.slice(from, to) as Iterable<Key>, idOf),
      scores: Array.from(scores.subarray(from, to)),
    };
  });
}

interface UpsertBody {
  readonly ids: readonly Id[];
  readonly vectors: readonly (readonly number[])[];
  readonly attributes?: AttributesInput;
}

function addWriteRoutes(routes: Routes): void {
  const { app, recommender, schemas, requestOptions, within, writeDeadlineMs, limits } = routes;
  const config = { lichenNeeds: 'write', lichenKind: 'write' } as const;
  const change = <T>(
    request: FastifyRequest,
    reply: Parameters<typeof requestOptions>[1],
    work: (current: InService) => Promise<T>,
  ): Promise<T> => {
    // What is begun is done: a client that goes away does not take half of it back.
    const options = { ...requestOptions(request, reply), signal: undefined };
    return within(request, () =>
      recommender.run(
        'write',
        async (current) => {
          const result = await work(current);
          recommender.forgetResults();
          return result;
        },
        { deadline: writeDeadlineMs, ...options, isTelling: false },
      ),
    );
  };
  app.post<{ Body: UpsertBody | Buffer }>(
    '/v1/upsert',
    { schema: schemas.upsert, config },
    async (request, reply) =>
      change(request, reply, async ({ index }) => {
        const { body } = request;
        const { keys, vectors, attributes } = Buffer.isBuffer(body)
          ? { ...keyedVectorsOf(body, index.dim, limits.maxVectors), attributes: undefined }
          : {
              keys: keysOfIds(body.ids),
              vectors: body.vectors as number[][],
              attributes: body.attributes,
            };
        await index.upsert(vectors, { keys: keys, attributes });
        return { upserted: keys.length, size: index.size };
      }),
  );
  app.post<{ Body: { readonly ids: readonly Id[] } | Buffer }>(
    '/v1/delete',
    { schema: schemas.remove, config },
    async (request, reply) =>
      change(request, reply, async ({ index }) => {
        const { body } = request;
        const keys = Buffer.isBuffer(body) ? keysOf(body, limits.maxIds) : keysOfIds(body.ids);
        await index.remove(keys);
        return { deleted: keys.length, size: index.size };
      }),
  );
}

/** Keys as they are given: of one kind. @throws ERR_LICHEN_ARGUMENT */
function keysOfIds(ids: readonly Id[]): Float64Array | string[] {
  if (ids.every((id) => typeof id === 'number')) return Float64Array.from(ids);
  if (ids.every((id) => typeof id === 'string')) return [...ids];
  throw badArgument('ids must all be integers or all be strings');
}

/** GET /healthz, /readyz, /metrics, /v1/stats, /openapi.json */
export function addOperationRoutes(
  { app, recommender, schemas }: Routes,
  metrics: Metrics,
  live: LiveView,
): void {
  app.get('/healthz', { schema: schemas.healthz }, () => ({ status: 'ok' }));
  app.get('/readyz', { schema: schemas.readyz }, (request, reply) => {
    if (recommender.isReady) return { status: 'ready', version: recommender.version };
    const error = new LichenError('ERR_LICHEN_NOT_READY', 'requests are not taken');
    sendError(error, request, reply);
    return reply;
  });
  const config = { lichenNeeds: 'observe' } as const;
  app.get('/metrics', { schema: schemas.metrics, config }, async (_, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
  app.get('/v1/stats', { schema: schemas.stats, config }, () => live.stats());
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
}

/** Values of a query, which are texts, as the numbers and truth values that they stand for. */
function numbersOf<T extends object>(query: T): T {
  return Object.fromEntries(
    Object.entries(query).map(([name, value]: [string, unknown]) => {
      if (value === 'true' || value === 'false') return [name, value === 'true'];
      const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : NaN;
      return [name, Number.isNaN(number) ? value : number];
    }),
  ) as T;
}
