import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { EventQueue } from '../../src/planning/event-queue.js';
import { profileInfrastructure, type ProfileOptions } from '../../src/planning/profile.js';
import { serializationCosts } from '../../src/planning/serialization.js';
import { makeTrace } from '../../src/planning/trace.js';
import { madeVectors } from '../../src/vectors/made.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const at = temporaryFolder();
const refused = (pattern: string) =>
  expect.objectContaining({
    code: expect.stringMatching(new RegExp(`^ERR_LICHEN_(${pattern})$`)) as string,
  }) as Error;

beforeAll(async () => {
  using index = new FlatIndex({ dim: 8, metric: 'dot' });
  await index.add(madeVectors(50, 8, 1));
  await index.save(at('index.lichen'));
  using empty = new FlatIndex({ dim: 8, metric: 'dot' });
  await empty.save(at('empty.lichen'));
});

/** A model by its shape; nothing of it may be used before it is known to fit. */
const modelOf = (dim: number) => {
  const vectors = madeVectors(3, dim, 1);
  const ids = { size: 3, idAt: (row: number) => `id-${row}` };
  return {
    ...{ dim, users: ids, items: ids, userVectors: vectors, itemVectors: vectors },
    weights: { table: vectors, itemSums: vectors },
    ...{ encodeUsers: () => vectors, encodeNewUsers: () => vectors },
  };
};

describe('profileInfrastructure', () => {
  const queries = madeVectors(4, 8, 3);
  it.each([
    ['a model of another dim', { model: modelOf(16) }, 'DIMENSION'],
    ['such a model with queries that fit', { model: modelOf(16), queries }, 'DIMENSION'],
    ['queries of another dim', { queries: madeVectors(4, 9, 1) }, 'DIMENSION'],
    ['no queries', { queries: { data: new Float32Array(0), rows: 0, dim: 8 } }, 'EMPTY'],
    ['k beyond the index', { k: 51 }, 'ARGUMENT'],
    ['a seed that is none', { seed: -1 }, 'ARGUMENT'],
    ['shards that are none', { shards: [0] }, 'ARGUMENT'],
    ['no memory', { memoryLimits: [0] }, 'ARGUMENT'],
    ['memory that is no number', { memoryLimits: [NaN] }, 'ARGUMENT'],
    ['negative memory', { memoryLimits: [-5] }, 'ARGUMENT'],
    ['an empty index', { index: 'empty.lichen' }, 'EMPTY'],
    ['no index', { index: 'none.lichen' }, 'NOT_FOUND'],
    ['a signal that has fired', { signal: AbortSignal.abort() }, 'ABORTED'],
    ['sizes of caches', { trace: makeTrace([1, 1]), caches: { entries: [NaN] } }, 'ARGUMENT'],
  ])('refuses %s', async (_, given, codes) => {
    const { index = 'index.lichen', ...rest } = given as Partial<ProfileOptions>;
    const run = profileInfrastructure({ ...rest, index: at(index) });
    await expect(run).rejects.toThrow(refused(codes));
  });
});

describe('serializationCosts', () => {
  it('counts the bytes of any ids as JSON has them', async () => {
    const keys = ['__proto__', '"\u2028\\', '\ud800'];
    const sample = { user: '"', vector: Float32Array.of(1, 2), keys, scores: [3, 2, 1] };
    const costs = await serializationCosts(sample, { batches: 1, batchMs: 0.1 });
    const request = costs.find(({ what }) => what === 'request by user')!;
    expect(request.bytes).toBe(Buffer.byteLength(JSON.stringify({ user: '"', k: 3 })));
    expect(costs.some(({ what, format }) => what === 'response' && format === 'binary')).toBe(
      false,
    );
  });
});

describe('EventQueue', () => {
  it('keeps the order while events come and go', () => {
    const step = fc.oneof(fc.constant(undefined), fc.integer({ min: 0, max: 9 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const queue = new EventQueue<number>();
        const waiting: { time: number; at: number }[] = [];
        steps.forEach((time, at) => {
          if (time !== undefined) {
            queue.push(time, at);
            waiting.push({ time, at });
            return;
          }
          waiting.sort((a, b) => a.time - b.time || a.at - b.at);
          expect(queue.pop()).toBe(waiting.shift()?.at);
        });
        expect(queue.size).toBe(waiting.length);
      }),
    );
  });
});
