import { describe, expect, it } from 'vitest';
import { TieredCache } from '../../src/cache/tiered-cache.js';
import { ManualOrigin, settled } from './helpers.js';
import { LocalStore, LocalTier } from './local-tier.js';

interface Row {
  readonly array: Float64Array;
  readonly bytes: Uint8Array;
}

function make<V>(load: () => V, shared?: LocalTier): TieredCache<number, V> {
  const options = { name: 'test', maxBytes: 2 ** 22, ttlMs: 60_000 };
  return new TieredCache<number, V>({
    ...options,
    load: (keys) => keys.map(load),
    ...(shared && { shared }),
  });
}

const VALUES: Record<string, () => unknown> = {
  'a Float32Array': () => Float32Array.of(1, 2, 3),
  'a Float64Array': () => Float64Array.of(1, 2, 3),
  'a BigInt64Array': () => BigInt64Array.of(1n, -2n),
  'a Uint8Array': () => Uint8Array.of(1, 2, 3),
  'an empty array': () => new Int16Array(0),
  'a text': () => 'some text, ä',
  'a structure': () => ({ a: [1, 2], b: new Map([[1, 'c']]) }),
  null: () => null,
};

describe('values of a TieredCache', () => {
  it.each(Object.keys(VALUES))('come out of each tier: %s', async (name) => {
    await comeOut(VALUES[name]!);
  });

  // bytes.slice() of a Buffer copies nothing, and its buffer is the whole pool.
  it('come out of each tier: a Buffer', async () => {
    await comeOut(() => Buffer.from('some bytes'));
  });

  it('come out right when the shared tier gives its bytes as Buffers, as Redis does', async () => {
    const store = new LocalStore();
    const [one, two] = [new LocalTier(store), new LocalTier(store)];
    const getMany = two.getMany.bind(two);
    two.getMany = async (keys) => (await getMany(keys)).map((bytes) => bytes && Buffer.from(bytes));
    const first = make(() => Float32Array.of(1, 2, 3), one);
    await settled();
    await first.get(1);
    await settled();
    const second = make(() => Float32Array.of(9), two);
    await settled();
    expect(await second.get(1)).toEqual(Float32Array.of(1, 2, 3));
  });

  it('do not change when the origin goes on using its Buffer', async () => {
    const origin = new ManualOrigin<string, Buffer>();
    const options = { name: 'test', maxBytes: 2 ** 22, ttlMs: 60_000 };
    const cache = new TieredCache<string, Buffer>({ ...options, load: origin.load });
    void cache.get('slow');
    const both = cache.getMany(['slow', 'fast']);
    const loaded = Buffer.alloc(6000, 'a');
    await origin.answer(1, loaded);
    // The value is there, but the request waits for the other one.
    loaded.fill('b');
    await origin.answer(0, Buffer.alloc(6000, 'c'));
    expect((await both)[1]!.toString()).toBe('a'.repeat(6000));
  });

  // Deserializing makes views of the bytes, which are the same for all who waited.
  it('share nothing within structures among those who waited', async () => {
    const cache = make<Row>(() => ({ array: Float64Array.of(1), bytes: Uint8Array.of(1) }));
    const [one, two] = await Promise.all([cache.get(1), cache.get(1)]);
    one!.bytes.fill(9);
    expect(two!.bytes).toEqual(Uint8Array.of(1));
  });

  it('share nothing within structures with memory', async () => {
    const cache = make<Row>(() => ({ array: Float64Array.of(1), bytes: Uint8Array.of(1) }));
    const one = await cache.get(1);
    one!.bytes.fill(9);
    const two = await cache.get(1);
    expect(two!.bytes).toEqual(Uint8Array.of(1));
    two!.bytes.fill(9);
    expect((await cache.get(1))!.bytes).toEqual(Uint8Array.of(1));
  });
});

/** From the origin, from memory, and from the shared tier in another process. */
async function comeOut(make1: () => unknown): Promise<void> {
  const store = new LocalStore();
  const first = make(make1, new LocalTier(store));
  await settled();
  expect(await first.get(1)).toStrictEqual(make1());
  expect(await first.get(1)).toStrictEqual(make1());
  expect(first.stats().hits).toMatchObject({ origin: 1, memory: 1 });
  await settled();
  const second = make<unknown>(() => 'wrong', new LocalTier(store));
  await settled();
  expect(await second.get(1)).toStrictEqual(make1());
  expect(await second.get(1)).toStrictEqual(make1());
  expect(second.stats().hits).toMatchObject({ shared: 1, memory: 1, origin: 0 });
}
