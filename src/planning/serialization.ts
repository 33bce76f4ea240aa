import { resultBody, vectorsOf } from '../http/binary.js';
import { measureCost, type Cost, type MeasureCostOptions } from './measure.js';

/** What sending something costs. */
export interface SerializationCost {
  readonly what: 'request by user' | 'request by vector' | 'user vector' | 'response';
  readonly format: 'json' | 'binary';
  readonly bytes: number;
  readonly encode: Cost;
  readonly decode: Cost;
}

/** Of what serialization is measured. */
export interface SerializationSample {
  readonly user: string | number;
  readonly vector: Float32Array;
  /** Keys found, best first, with their scores. */
  readonly keys: readonly (string | number)[];
  readonly scores: ArrayLike<number>;
}

/** Bytes and microseconds of a request, a user's vector and a response, as the HTTP service sends them. */
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
