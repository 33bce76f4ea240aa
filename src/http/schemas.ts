// What requests and responses look like: checked by the server, and shown in the OpenAPI document.

const ID = 'An id: a string or an integer.';
/** Of a request. A list of types would make ajv complain in an app that has not allowed it. */
const id = { anyOf: [{ type: 'integer' }, { type: 'string' }], description: ID } as const;
/** Of a response, which is written several times as fast by it. */
const writtenId = { type: ['string', 'integer'], description: ID } as const;
const ids = (description: string, maxItems: number) =>
  ({ type: 'array', items: id, maxItems, description }) as const;
const where = {
  type: 'object',
  additionalProperties: true,
  description: 'A condition on attributes, such as {"genre": "jazz", "year": {"gte": 1990}}.',
} as const;
const vector = (description: string) =>
  ({ type: 'array', items: { type: 'number' }, maxItems: 65_536, description }) as const;
const error = {
  type: 'object',
  description: 'What went wrong.',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message'],
      properties: { code: { type: 'string' }, message: { type: 'string' } },
    },
  },
} as const;
const failures = {
  400: error,
  401: error,
  403: error,
  413: error,
  429: error,
  500: error,
  503: error,
  504: error,
} as const;
/** Bytes, which JSON Schema has no word for. */
const binary = {} as const;

const step = {
  type: 'object',
  required: ['name', 'outcome', 'wanted', 'candidates', 'ms'],
  properties: {
    name: { type: 'string' },
    outcome: { type: 'string', enum: ['full', 'reduced', 'skipped', 'failed', 'late'] },
    wanted: { type: 'integer' },
    candidates: { type: 'integer' },
    ms: { type: 'number' },
    reason: { type: 'string' },
  },
} as const;

const searchOptions = {
  k: { type: 'integer', minimum: 1, description: 'Results of each vector. Default 10.' },
  ef: { type: 'integer', minimum: 1, description: 'Search beam.' },
  recall: { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 },
  exact: { type: 'boolean' },
} as const;

const deadline = {
  type: 'object',
  properties: {
    'x-deadline-ms': {
      type: 'string',
      pattern: '^[0-9]{1,7}$',
      description: 'Milliseconds within which the answer is needed. Default: the SLO.',
    },
  },
} as const;

const either = (json: object, description: string) =>
  ({
    content: {
      'application/json': { schema: json },
      'application/octet-stream': { schema: { ...binary, description } },
    },
  }) as const;

/** How much a request may ask for. */
export interface SchemaLimits {
  readonly maxK: number;
  readonly maxIds: number;
  readonly maxVectors: number;
}

/** Schemas of the routes. */
export function schemas({ maxK, maxIds, maxVectors }: SchemaLimits) {
  const k = { ...searchOptions.k, maximum: maxK };
  return {
    recommend: {
      summary: 'Items for a user',
      tags: ['recommendations'],
      headers: deadline,
      body: {
        type: 'object',
        additionalProperties: false,
        properties: {
          user: id,
          history: ids('Items that the user has met, oldest first.', maxIds),
          context: { type: 'object', additionalProperties: true },
          k: { ...k, description: 'Items wanted. Default: that of the service.' },
          where,
          exclude: ids('Items that are not wanted.', maxIds),
          attributes: {
            type: 'array',
            items: { type: 'string' },
            maxItems: 64,
            description: 'Names of attributes that are wanted of each item.',
          },
          explain: { type: 'boolean', description: 'Whether the steps are told. Default false.' },
        },
      },
      response: {
        200: {
          type: 'object',
          description: 'Items, best first.',
          required: ['items', 'version', 'degraded', 'cache', 'ms'],
          properties: {
            items: {
              type: 'array',
              items: {
                type: 'object',
                required: ['id', 'score'],
                properties: {
                  id: writtenId,
                  score: { type: 'number' },
                  attributes: { type: 'object', additionalProperties: true },
                  scoredBy: { type: 'string' },
                },
              },
            },
            version: { type: 'string' },
            degraded: { type: 'boolean' },
            cache: { type: 'string', enum: ['result', 'vector', 'none'] },
            ms: { type: 'number' },
            steps: { type: 'array', items: step },
          },
        },
        ...failures,
      },
    },
    search: {
      summary: 'The nearest items of vectors',
      tags: ['index'],
      headers: deadline,
      querystring: {
        type: 'object',
        additionalProperties: false,
        description: 'Options of a binary request.',
        properties: { ...searchOptions, k },
      },
      body: either(
        {
          type: 'object',
          additionalProperties: false,
          required: ['vectors'],
          properties: {
            vectors: {
              type: 'array',
              items: vector('A vector of the index’s dimension.'),
              minItems: 1,
              maxItems: maxVectors,
            },
            ...searchOptions,
            ...{ k, where },
            exclude: ids('Items that are not wanted, of all vectors.', maxIds),
          },
        },
        'Vectors: float32, little-endian, one after the other.',
      ),
      response: {
        200: {
          description:
            'A list of each vector. With `accept: application/octet-stream`: uint32 rows, uint32 k, float64 keys, float32 scores.',
          content: {
            'application/json': {
              schema: {
                type: 'object',
                required: ['results', 'version'],
                properties: {
                  version: { type: 'string' },
                  results: {
                    type: 'array',
                    items: {
                      type: 'object',
                      properties: {
                        ids: { type: 'array', items: writtenId },
                        scores: { type: 'array', items: { type: 'number' } },
                      },
                    },
                  },
                },
              },
            },
            'application/octet-stream': { schema: binary },
          },
        },
        ...failures,
      },
    },
    upsert: {
      summary: 'Adds vectors, or replaces those of keys that are there',
      tags: ['index'],
      headers: deadline,
      body: either(
        {
          type: 'object',
          additionalProperties: false,
          required: ['ids', 'vectors'],
          properties: {
            ids: { ...ids('Keys, one a vector.', maxVectors), minItems: 1 },
            vectors: {
              type: 'array',
              items: vector('A vector.'),
              minItems: 1,
              maxItems: maxVectors,
            },
            attributes: {
              type: 'object',
              additionalProperties: { type: 'array' },
              description: 'Values of attributes by name, one a vector.',
            },
          },
        },
        'Keys as float64, then vectors as float32, little-endian.',
      ),
      response: {
        200: {
          type: 'object',
          description: 'Done, and kept as the index’s durability says.',
          properties: { upserted: { type: 'integer' }, size: { type: 'integer' } },
        },
        ...{ 409: error, ...failures },
      },
    },
    remove: {
      summary: 'Removes the vectors of keys',
      tags: ['index'],
      headers: deadline,
      body: either(
        {
          type: 'object',
          additionalProperties: false,
          required: ['ids'],
          properties: { ids: { ...ids('Keys.', maxIds), minItems: 1 } },
        },
        'Keys as float64, little-endian.',
      ),
      response: {
        200: {
          type: 'object',
          description: 'Done.',
          properties: { deleted: { type: 'integer' }, size: { type: 'integer' } },
        },
        ...{ 404: error, 409: error, ...failures },
      },
    },
    stats: {
      summary: 'What the service does and has done',
      tags: ['operation'],
      response: {
        200: { type: 'object', description: 'Statistics.', additionalProperties: true },
        ...{ 401: error, 403: error, 429: error },
      },
    },
    healthz: {
      summary: 'Whether the process lives',
      tags: ['operation'],
      response: { 200: { type: 'object', properties: { status: { type: 'string' } } } },
    },
    readyz: {
      summary: 'Whether requests are taken',
      tags: ['operation'],
      response: {
        200: {
          type: 'object',
          properties: { status: { type: 'string' }, version: { type: 'string' } },
        },
        503: error,
      },
    },
    metrics: {
      summary: 'Metrics, as Prometheus reads them',
      tags: ['operation'],
      response: {
        200: {
          description: 'Text.',
          content: { 'text/plain': { schema: { type: 'string' } } },
        },
        ...{ 401: error, 403: error },
      },
    },
  } as const;
}
