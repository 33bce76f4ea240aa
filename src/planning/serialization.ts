import { resultBody, vectorsOf } from '../http/binary.js';
import { measureCost, type Cost, type MeasureCostOptions } from './measure.js';

/** What sending something costs. */
export interface SerializationCost {
  /** What is sent. */
  readonly what: 'request by user' | 'request by vector' | 'user vector' | 'response';
  /** How it is written. */
  readonly format: 'json' | 'binary';
  /** Its size. */
  readonly bytes: number;
  /** What writing costs. */
  readonly encode: Cost;
  /** What reading costs. */
  readonly decode: Cost;
}

/** Of what serialization is measured. */
export interface SerializationSample {
  /** The user's id. */
  readonly user: string | number;
  /** The user's vector. */
  readonly vector: Float32Array;
  /** Keys found, best first, with their scores. */
  readonly keys: readonly (string | number)[];
  /** One a key. */
  readonly scores: ArrayLike<number>;
}

/**
 * Bytes and microseconds of a request, a user's vector and a response, as the HTTP service sends them.
 *
 * @example
 * const costs = await serializationCosts({ user: 'u1', vector: query, keys: [10, 20], scores: [0.9, 0.8] });
 * for (const { what, format, bytes } of costs) console.log(what, format, bytes);
 */
export async function serializationCosts(
  sample: SerializationSample,
  options: MeasureCostOptions = {},
): Promise<SerializationCost[]> {
  const { user, vector, keys, scores } = sample;
  const dim = vector.length;
  const k = keys.length;
  const response = {
    items: keys.map((id, at) => ({ id, score: scores[at]! })),
    ...{ version: 'model-1', degraded: false, cache: 'none', ms: 1.25 },
  };
  const json = (what: SerializationCost['what'], value: () => unknown) =>
    cost(what, 'json', () => Buffer.from(JSON.stringify(value())), parse, options);
  const byUser = { user, k };
  const costs = [
    await json('request by user', () => byUser),
    await json('request by vector', () => ({ vectors: [Array.from(vector)], k })),
    await cost('request by vector', 'binary', () => bytesOf(vector), vectorFrom(dim), options),
    await json('user vector', () => Array.from(vector)),
    await cost('user vector', 'binary', () => bytesOf(vector), vectorFrom(dim), options),
    await json('response', () => response),
  ];
  if (keys.some((key) => typeof key === 'string')) return costs;
  const found = {
    keys: Float64Array.from(keys as number[]),
    scores: Float32Array.from(scores),
    ...{ counts: Uint32Array.of(k), rows: 1, k },
  };
  const decode = (body: Buffer) => {
    const memory = new Uint8Array(body).buffer;
    return [new Float64Array(memory, 8, k), new Float32Array(memory, 8 + 8 * k, k)];
  };
  costs.push(await cost('response', 'binary', () => resultBody(found), decode, options));
  return costs;
}

async function cost(
  what: SerializationCost['what'],
  format: SerializationCost['format'],
  encode: () => Buffer,
  decode: (body: Buffer) => unknown,
  options: MeasureCostOptions,
): Promise<SerializationCost> {
  const body = encode();
  return {
    ...{ what, format, bytes: body.length },
    encode: await measureCost(encode, options),
    decode: await measureCost(() => decode(body), options),
  };
}

function parse(body: Buffer): unknown {
  return JSON.parse(body.toString('utf8'));
}

function bytesOf(vector: Float32Array): Buffer {
  return Buffer.from(new Float32Array(vector).buffer);
}

function vectorFrom(dim: number): (body: Buffer) => unknown {
  return (body) => vectorsOf(body, dim, 1);
}
