import { encodeFrame } from '../../src/cluster/frame.js';
import { encodeReply, encodeSearch } from '../../src/cluster/search-message.js';
import { encodeWrite } from '../../src/cluster/write-message.js';
import { Random } from '../../src/vectors/random.js';

const HUGE = [2 ** 53, 1e308, 2 ** 31, 2 ** 32, -1, 0, 0.5];
const STRANGE: readonly unknown[] = [
  null,
  true,
  'a',
  '',
  [],
  {},
  [[1]],
  { length: 1e9 },
  '__proto__',
];

let count = 0;

/** Ids that no search had before: a second one with an id is not answered. */
const newId = (): string => `stranger-${count++}`;

/** A search whose header is whatever it is. */
export function search(header: object, ...sections: ArrayBufferView[]): Uint8Array {
  const whole = { id: newId(), options: {}, after: [], withinMs: 20_000, ...header };
  return encodeFrame(whole, sections);
}

/** Messages that are no searches, all of them understood by nobody. */
export function damagedSearches(dim: number): Uint8Array[] {
  const query = new Float32Array(dim).fill(1);
  const whole = Buffer.from(search({}, query));
  const prefix = (headerBytes: number, magic = 0x0146434c): Uint8Array => {
    const bytes = Buffer.alloc(64, 0x20);
    bytes.writeUInt32LE(magic, 0);
    bytes.writeUInt32LE(headerBytes, 4);
    return bytes;
  };
  const sealed = encodeFrame({ id: newId(), options: {}, after: [], withinMs: 1 }, [query], true);
  const write = { kind: 'add', id: 'w', keys: Float64Array.of(1), vectors: query } as const;
  return [
    ...[new Uint8Array(), Buffer.from('{}'), Buffer.from('garbage'), Buffer.alloc(60_000, 0xff)],
    ...Array.from(whole, (_, length) => whole.subarray(0, length)).filter((_, at) => at % 7 === 0),
    Buffer.concat([whole, whole]),
    ...[0xffffffff, 0x7fffffff, 2 ** 24, 2 ** 24 + 1, 57].map((bytes) => prefix(bytes)),
    ...[prefix(8, 0), prefix(8, 0x0246434c), prefix(8, 0x8146434c), sealed],
    // Other kinds of messages.
    encodeWrite({ ...write, columns: undefined }),
    encodeFrame({ ask: 'fetch', isInteger: true }, [Float64Array.of(1)]),
    ...[encodeFrame({}, []), encodeFrame({ code: 'ERR_LICHEN_IO', shard: 0 }, [])],
    encodeReply({
      ...{ shard: 0, replica: 'r', sequence: 1, size: 1, groups: undefined },
      ...{ counts: Uint32Array.of(1), keys: Float64Array.of(1), scores: Float32Array.of(1) },
    }),
    // Another dimension, none, and no values.
    ...[dim - 1, dim + 1, 2 * dim - 1, 0].map((length) => search({}, new Float32Array(length))),
    ...[search({}), search({}, new Uint8Array(3))],
    // Headers.
    ...[...HUGE, ...STRANGE]
      .filter((one) => one !== 'a')
      .flatMap((value) => [
        ...(typeof value === 'string' && value !== '' ? [] : [search({ id: value }, query)]),
        search(
          {
            after: [
              value === 2 ** 31 || value === 2 ** 32 || value === -1 || value === 0 ? 'x' : value,
            ],
          },
          query,
        ),
        search({ exclude: value }, query, Uint32Array.of(9), Float64Array.of(1)),
        search({ only: value }, query, new Uint8Array(3)),
      ]),
    ...[-1, 1e300, null, '1', [1]].map((withinMs) => search({ withinMs }, query)),
    search({ id: 'x'.repeat(40_000) }, query),
    search({ exclude: 'integer' }, query, Uint32Array.of(0xffffffff), Float64Array.of(1)),
  ];
}

/** Searches that are well formed, and ask for what cannot be or is too much. */
export function absurdSearches(dim: number): Uint8Array[] {
  const query = new Float32Array(dim).fill(1);
  const options: object[] = [
    ...['k', 'ef', 'recall', 'oversample', 'groupSize', 'score'].flatMap((name) =>
      [...HUGE, ...STRANGE].map((value) => ({ [name]: value })),
    ),
    ...STRANGE.flatMap((value) => [{ where: value }, { groupBy: value }, { exact: value }]),
    ...STRANGE.flatMap((value) => [{ filter: value }, { into: value }, { threads: value }]),
    ...STRANGE.flatMap((value) => [{ signal: value }, { onProgress: value }, { exclude: value }]),
    ...[
      JSON.parse('{"__proto__":{"k":1}}') as object,
      { constructor: { name: 'x' } },
      { toString: 1 },
    ],
    ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'and'].flatMap((name) => [
      { groupBy: name, groupSize: 2 },
      { where: Object.fromEntries([[name, 1]]) },
      { where: { not: Object.fromEntries([[name, { eq: 'x' }]]) } },
    ]),
    { where: nested(40) },
    { where: nested(1000) },
    { where: { year: { in: new Array(5000).fill(1) } } },
  ];
  return [
    ...options.map((some) => search({ options: some }, query)),
    search({ options: { k: 1e6 } }, new Float32Array(dim * 1000).fill(1)),
    search({ options: { score: 1 } }, new Float32Array(dim * 2).fill(1)),
    ...[NaN, Infinity, 3.4e38].map((value) => search({}, new Float32Array(dim).fill(value))),
    search({ after: [2 ** 53 - 1, 2 ** 53 - 1, 2 ** 53 - 1], withinMs: 1 }, query),
    search({ only: 'integer' }, query, Float64Array.of(NaN, 0.5, Infinity, -0)),
    search({ only: 'string' }, query, Buffer.from('["a","\\ud800",""]')),
    search({ exclude: 'string' }, query, Uint32Array.of(1), Buffer.from('["a"]')),
    search({ exclude: 'integer' }, query, Uint32Array.of(2), Float64Array.of(NaN, 0.5)),
  ];
}

function nested(depth: number): object {
  return depth === 0 ? { year: 1 } : { not: nested(depth - 1) };
}

/** Questions to a shard that cannot be answered, and some that can. */
export function absurdQuestions(dim: number): Uint8Array[] {
  const ask = (header: object, ...sections: ArrayBufferView[]) => encodeFrame(header, sections);
  return [
    ...damagedSearches(dim),
    ...[...STRANGE, ...HUGE].flatMap((value) => [
      ask({ ask: value }),
      ask({ ask: 'outcome', sequence: value, withinMs: 1 }),
      ask({
        ask: 'outcome',
        sequence: 1,
        withinMs: value === 2 ** 53 || value === 1e308 ? 1 : value,
      }),
      ask({ ask: 'fetch', isInteger: value, wantsVectors: value }, Float64Array.of(1)),
      ask(
        { ask: 'fetch', isInteger: true, after: value === 2 ** 53 ? 0 : value, withinMs: 1 },
        Float64Array.of(1),
      ),
      ask({ ask: 'fetch', isInteger: false }, Buffer.from(JSON.stringify([value]))),
    ]),
    ...[ask({ ask: 'fetch' }), ask({ ask: 'fetch', isInteger: true }, new Uint8Array(3))],
    ask({ ask: 'fetch', isInteger: true, wantsVectors: true }, new Float64Array(5000).fill(1)),
    ask({ ask: 'fetch', isInteger: true, wantsAttributes: true }, Float64Array.of(NaN, 0.5, 1)),
  ];
}

/** Changes that are none, none of which must be done. */
export function damagedWrites(dim: number): Uint8Array[] {
  const good = { kind: 'upsert', rows: 1, hasVectors: true, isInteger: true, columns: null };
  const vector = new Float32Array(dim).fill(1);
  const write = (header: object, ...sections: ArrayBufferView[]) =>
    encodeFrame({ ...good, id: newId(), ...header }, sections, true);
  const whole = write({}, Float64Array.of(77), vector);
  const flipped = Array.from({ length: 40 }, (_, at) => {
    const bytes = Buffer.from(whole);
    bytes[(at * 31) % bytes.length]! ^= 1 << (at % 8);
    return bytes;
  });
  const key = Float64Array.of(77);
  return [
    ...[new Uint8Array(), Buffer.from('garbage'), Buffer.alloc(60_000, 0xff), ...flipped],
    ...[whole.subarray(0, -1), whole.subarray(0, 20), whole.subarray(8)],
    ...damagedSearches(dim).filter((_, at) => at % 5 === 0),
    ...[...STRANGE, ...HUGE].flatMap((value) => [
      write({ kind: value }, key, vector),
      write({ rows: value }, key, vector),
      ...(value === 'a' || value === '__proto__' ? [] : [write({ id: value }, key, vector)]),
      ...(value === null ? [] : [write({ columns: value }, key, vector, key)]),
    ]),
    // Keys that no index has, or that this one has not, and those of an index of texts.
    ...[NaN, 0.5, Infinity, 2 ** 53].map((some) => write({}, Float64Array.of(some), vector)),
    write({ isInteger: false }, Buffer.from('["text"]'), vector),
    write({ rows: 2 }, Float64Array.of(77, 77), new Float32Array(2 * dim)),
    ...[NaN, Infinity].map((value) => write({}, key, new Float32Array(dim).fill(value))),
    ...[dim - 1, dim + 1, 0].map((length) => write({}, key, new Float32Array(length))),
    ...['__proto__', 'constructor', 'toString', 'age'].map((name) =>
      write({ columns: [name] }, key, vector, Float64Array.of(1)),
    ),
    write({ columns: ['year', 'year'] }, key, vector, Float64Array.of(1)),
    write({ columns: ['genre'] }, key, vector, Buffer.from('[{"toString":1}]')),
    write({ columns: ['tags'] }, key, vector, Buffer.from('[[["deep"]]]')),
    write({ kind: 'remove', hasVectors: false }, Float64Array.of(1e15)),
    write({ kind: 'setAttributes', hasVectors: false }, Float64Array.of(1e15)),
  ];
}

/** Some of the messages with bytes changed, the same ones always. */
export function mutated(messages: readonly Uint8Array[], howMany: number): Uint8Array[] {
  const random = new Random(11);
  const nat = (below: number): number => Math.floor(random.uniform() * below);
  return Array.from({ length: howMany }, () => {
    const bytes = Buffer.from(messages[nat(messages.length)]!);
    for (let change = 0; change < 1 + nat(4) && bytes.length > 0; change++) {
      bytes[nat(bytes.length)] = nat(256);
    }
    return bytes.subarray(0, nat(5) === 0 ? nat(bytes.length) : bytes.length);
  });
}

/** A search as a client asks it. */
export function goodSearch(dim: number): Uint8Array {
  return encodeSearch({
    ...{ id: newId(), queries: new Float32Array(dim).fill(1), options: { k: 3 } },
    ...{ exclude: undefined, only: undefined, after: [], withinMs: 20_000 },
  });
}
