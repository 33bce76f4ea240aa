import type { KV } from '@nats-io/kv';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  emptyIndex,
  parseMap,
  readCheckpoint,
  readMap,
  requireMap,
  rulesOfMap,
  writeCheckpoint,
  writeMap,
  type ShardIndexOptions,
  type ShardMap,
} from '../../src/cluster/shard-map.js';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { METRICS } from '../../src/vectors/metric.js';
import { codeRejected, codeThrown } from './thrown.js';

const INDEX: ShardIndexOptions = { kind: 'hnsw', keys: 'integer', dim: 4, metric: 'cosine' };
const MAP: ShardMap = { epoch: 1, shards: 3, copies: 3, modelVersion: 'm1', index: INDEX };

const map: fc.Arbitrary<ShardMap> = fc.record({
  epoch: fc.integer({ min: 1, max: 2 ** 31 }),
  shards: fc.integer({ min: 1, max: 1024 }),
  copies: fc.integer({ min: 1, max: 5 }),
  modelVersion: fc.option(fc.string({ unit: 'binary' }), { nil: undefined }),
  index: fc.record({
    kind: fc.constantFrom('hnsw' as const, 'flat' as const),
    keys: fc.constantFrom('integer' as const, 'string' as const),
    dim: fc.integer({ min: 1, max: 65_536 }),
    metric: fc.constantFrom(...METRICS),
    attributes: fc.option(
      fc.dictionary(
        fc.string({ minLength: 1 }).filter((name) => !['and', 'or', 'not'].includes(name)),
        fc.constantFrom('number' as const, 'category' as const, 'tags' as const),
      ),
      { nil: undefined },
    ),
  }),
});

describe('shard maps', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(map, (given) => {
        const read = parseMap(JSON.stringify(given));
        expect(JSON.stringify(read)).toBe(JSON.stringify(given));
        expect(rulesOfMap(read).schema.columns.map(({ name }) => name)).toEqual(
          Object.keys(given.index.attributes ?? {}),
        );
      }),
    );
  });

  const WRONG: readonly (readonly [string, object])[] = [
    ...[0, -1, 1.5, '1', null, 2 ** 32].map((epoch) => ['epoch', { epoch }] as const),
    ...[0, 1025, 2.5, '3', null].map((shards) => ['shards', { shards }] as const),
    ...[0, 6, null].map((copies) => ['copies', { copies }] as const),
    ...[1, null, {}].map((modelVersion) => ['version', { modelVersion }] as const),
    ...[null, undefined, 'hnsw', 1].map((index) => ['index', { index }] as const),
    ...[
      ...[{ kind: 'tree' }, { kind: undefined }, { keys: 'row' }, { keys: 'toString' }],
      ...[{ dim: 0 }, { dim: 65_537 }, { dim: '4' }, { metric: 'l1' }, { metric: undefined }],
      ...[{ storage: 'f8' }, { storage: 'f32', rerank: 'f32' }, { seed: -1 }],
      ...[{ attributes: { and: 'number' } }, { attributes: { a: 'text' } }, { attributes: [] }],
    ].map((part) => ['part of the index', { index: { ...INDEX, ...part } }] as const),
  ];

  it.each(WRONG)('with another %s than can be are refused (%#)', (_, part) => {
    const wrong = { ...MAP, ...part };
    expect(codeThrown(() => parseMap(JSON.stringify(wrong)))).toBe('ERR_LICHEN_FORMAT');
    // Of a caller it is an argument.
    expect(codeThrown(() => requireMap(wrong))).toBe('ERR_LICHEN_ARGUMENT');
  });

  it('that are none are refused, never anything else', () => {
    const value = fc.oneof(fc.jsonValue(), fc.nat(5));
    const names = ['epoch', 'shards', 'copies', 'modelVersion', 'index'] as const;
    const fields = fc.record(Object.fromEntries(names.map((name) => [name, value])), {
      requiredKeys: [],
    });
    const text = fc.oneof(
      ...[fc.string(), fc.json()],
      fields.map((some) => JSON.stringify({ ...MAP, ...some })),
    );
    fc.assert(
      fc.property(text, (some) => {
        expect([undefined, 'ERR_LICHEN_FORMAT']).toContain(codeThrown(() => parseMap(some)));
      }),
      { numRuns: 500 },
    );
    for (const some of ['', '[]', 'null', '1', '"{}"', '{', JSON.stringify([MAP])]) {
      expect(codeThrown(() => parseMap(some))).toBe('ERR_LICHEN_FORMAT');
    }
  });
});

describe('indexes of shards', () => {
  it('are what the map says', () => {
    const attributes = { year: 'number' } as const;
    using graph = emptyIndex({ ...INDEX, m: 8, efConstruction: 50, attributes });
    expect(graph).toBeInstanceOf(HnswIndex);
    expect(graph).toMatchObject({ dim: 4, metric: 'cosine', m: 8, efConstruction: 50, attributes });
    using flat = emptyIndex({ ...INDEX, kind: 'flat', storage: 'i8', rerank: 'f32' });
    expect(flat).toBeInstanceOf(FlatIndex);
    expect(flat).toMatchObject({ storage: 'i8', rerank: 'f32' });
  });

  it('that cannot be are refused', () => {
    for (const part of [{ m: 0 }, { m: 1.5 }, { efConstruction: -1 }, { subspaces: 2 }]) {
      expect(codeThrown(() => emptyIndex({ ...INDEX, ...part }))).toBe('ERR_LICHEN_ARGUMENT');
    }
  });
});

/** A bucket in memory, as NATS is to its clients. */
class Bucket {
  readonly entries = new Map<string, { value: Uint8Array; revision: number; operation: string }>();
  failure: Error | undefined;
  #revision = 0;

  get(key: string) {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    return Promise.resolve(this.entries.get(key) ?? null);
  }

  put(key: string, text: string, operation = 'PUT'): number {
    const revision = ++this.#revision;
    this.entries.set(key, { value: Buffer.from(text), revision, operation });
    return revision;
  }

  create(key: string, text: string): Promise<number> {
    return this.update(key, text, 0);
  }

  update(key: string, text: string, revision: number): Promise<number> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if ((this.entries.get(key)?.revision ?? 0) !== revision) {
      return Promise.reject(new Error('wrong last sequence: 7'));
    }
    return Promise.resolve(this.put(key, text));
  }

  get kv(): KV {
    return this as unknown as KV;
  }
}

describe('the bucket', () => {
  it('has a map or not, and takes another only if it is the one that was read', async () => {
    const bucket = new Bucket();
    expect(await readMap(bucket.kv, 'current')).toBeUndefined();
    const first = await writeMap(bucket.kv, 'current', MAP, undefined);
    expect(await readMap(bucket.kv, 'current')).toEqual(first);
    const late = writeMap(bucket.kv, 'current', MAP, undefined);
    expect(await codeRejected(late)).toBe('ERR_LICHEN_BUSY');
    const second = await writeMap(bucket.kv, 'current', { ...MAP, epoch: 2 }, first);
    expect(await codeRejected(writeMap(bucket.kv, 'current', MAP, first))).toBe('ERR_LICHEN_BUSY');
    expect(await readMap(bucket.kv, 'current')).toEqual(second);
    bucket.put('next', '', 'DEL');
    expect(await readMap(bucket.kv, 'next')).toBeUndefined();
  });

  it('has checkpoints of shards apart', async () => {
    const bucket = new Bucket();
    const checkpoint = { sequence: 5, object: '1-0-5-r', bytes: 10, size: 3, fingerprint: 7 };
    expect(await readCheckpoint(bucket.kv, 1, 0)).toBeUndefined();
    await writeCheckpoint(bucket.kv, { epoch: 1, shard: 0 }, checkpoint, 0);
    expect(await readCheckpoint(bucket.kv, 1, 0)).toEqual({ checkpoint, revision: 1 });
    expect(await readCheckpoint(bucket.kv, 1, 1)).toBeUndefined();
    expect(await readCheckpoint(bucket.kv, 2, 0)).toBeUndefined();
    const again = writeCheckpoint(bucket.kv, { epoch: 1, shard: 0 }, checkpoint, 0);
    expect(await codeRejected(again)).toBe('ERR_LICHEN_BUSY');
  });

  it('that was written by a stranger gives no map and no checkpoint', async () => {
    const bucket = new Bucket();
    for (const text of [
      '',
      '{}',
      '[]',
      'null',
      '{"sequence":1}',
      '{"sequence":"1","object":"a"}',
    ]) {
      bucket.put('current', text);
      bucket.put('checkpoint.1.0', text);
      expect(await codeRejected(readMap(bucket.kv, 'current'))).toBe('ERR_LICHEN_FORMAT');
      expect(await codeRejected(readCheckpoint(bucket.kv, 1, 0))).toBe('ERR_LICHEN_FORMAT');
    }
  });

  it('that cannot be reached says so', async () => {
    const bucket = new Bucket();
    bucket.failure = new Error('timeout');
    expect(await codeRejected(readMap(bucket.kv, 'current'))).toBe('ERR_LICHEN_IO');
    expect(await codeRejected(readCheckpoint(bucket.kv, 1, 0))).toBe('ERR_LICHEN_IO');
    expect(await codeRejected(writeMap(bucket.kv, 'next', MAP, undefined))).toBe('ERR_LICHEN_IO');
  });
});
