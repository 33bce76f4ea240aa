import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { openIndex } from '../../src/index/open.js';
import type { OpenIndexOptions } from '../../src/index/file-options.js';
import { clustered } from '../index/data.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const DIM = 8;
const POOL = 400;
const pool = clustered(11, POOL, DIM);
const poolAt = (row: number): Float32Array => pool.slice(row * DIM, (row + 1) * DIM);
const ATTRIBUTES = { genre: 'category', year: 'number', tags: 'tags' } as const;
const DURABILITIES = ['sync', 'interval', 'none'] as const;
const SEGMENT_HEADER = 64;
const RECORD_HEADER = 24;

type Name = { readonly genre: string | undefined; readonly year: number | undefined };
/** What an index should hold: by key, the row of the pool and the attributes. */
type Model = Map<string, { readonly row: number; readonly name: Name }>;

type Durable = FlatIndex<string> | HnswIndex<string>;

const make = (kind: 'flat' | 'hnsw') => {
  const options = { dim: DIM, metric: 'l2', attributes: ATTRIBUTES } as const;
  return kind === 'flat'
    ? new FlatIndex<string>(options)
    : new HnswIndex<string>({ ...options, m: 4 });
};

async function saved(kind: 'flat' | 'hnsw', path: string, names: readonly string[] = []) {
  const index = make(kind);
  if (names.length > 0) {
    await index.add(pool.subarray(0, names.length * DIM), { keys: names });
  }
  await index.save(path);
  index.close();
}

function expectModel(index: Durable, model: Model): void {
  expect(index.size).toBe(model.size);
  const keys = [...model.keys()];
  for (const key of keys) expect(index.get(key), key).toEqual(poolAt(model.get(key)!.row));
  if (keys.length === 0) return;
  const { genre, year } = index.attributesOf(keys);
  expect([...(genre as (string | null)[])]).toEqual(
    keys.map((key) => model.get(key)!.name.genre ?? null),
  );
  expect([...(year as Float64Array)]).toEqual(keys.map((key) => model.get(key)!.name.year ?? NaN));
}

const segmentsOf = (path: string): string[] => {
  const folder = path.slice(0, path.lastIndexOf('/'));
  return readdirSync(folder)
    .map((name) => `${folder}/${name}`)
    .filter((name) => name.startsWith(`${path}.journal-`))
    .sort();
};

interface Change {
  readonly do: 'add' | 'upsert' | 'update' | 'remove' | 'label';
  readonly keys: number[];
  /** Of the pool, where there are vectors. */
  readonly row: number;
}
type Step = Change | { readonly do: 'checkpoint' | 'compact' | 'reopen' };

const someKeys = fc.uniqueArray(fc.nat(30), { minLength: 1, maxLength: 5 });
const changes = fc.record({
  do: fc.constantFrom('add', 'upsert', 'update', 'remove', 'label'),
  keys: someKeys,
  row: fc.nat(POOL - 6),
}) as fc.Arbitrary<Change>;
const others = fc.record({ do: fc.constantFrom('checkpoint', 'compact', 'reopen') });
const steps = fc.array(
  fc.oneof({ weight: 8, arbitrary: changes }, { weight: 2, arbitrary: others }),
  { minLength: 1, maxLength: 14 },
) as fc.Arbitrary<Step[]>;

/** Does a change to an index and to its model; one that must be refused changes neither. */
async function change(index: Durable, model: Model, step: Change): Promise<void> {
  const keys = step.keys.map((key) => `key-${key}`);
  const known = keys.filter((key) => model.has(key)).length;
  const isKnown = known === keys.length;
  const names = step.keys.map((key) => ({
    genre: key % 3 === 0 ? undefined : `g${key % 4}`,
    year: key % 5 === 0 ? undefined : 1900 + key,
  }));
  const attributes = {
    genre: names.map(({ genre }) => genre),
    year: names.map(({ year }) => year ?? NaN),
  };
  const vectors = pool.subarray(step.row * DIM, (step.row + keys.length) * DIM);
  const refused = (work: Promise<unknown>, code: string): Promise<void> =>
    expect(work).rejects.toMatchObject({ code });
  if (step.do === 'add' && known > 0) {
    return refused(index.add(vectors, { keys, attributes }), 'ERR_LICHEN_DUPLICATE_KEY');
  }
  if (step.do === 'update' && !isKnown) {
    return refused(index.update(vectors, { keys, attributes }), 'ERR_LICHEN_UNKNOWN_KEY');
  }
  if (step.do === 'remove' && !isKnown) {
    return refused(index.remove(keys), 'ERR_LICHEN_UNKNOWN_KEY');
  }
  if (step.do === 'label' && !isKnown) {
    expect(() => index.setAttributes(keys, attributes)).toThrow('has no key');
    return;
  }
  if (step.do === 'remove') {
    await index.remove(keys);
    for (const key of keys) model.delete(key);
    return;
  }
  if (step.do === 'label') index.setAttributes(keys, attributes);
  else await index[step.do](vectors, { keys, attributes });
  keys.forEach((key, n) => {
    const row = step.do === 'label' ? model.get(key)!.row : step.row + n;
    model.set(key, { row, name: names[n]! });
  });
}

describe.each(['flat', 'hnsw'] as const)('the journal of a %s index', (kind) => {
  const at = temporaryFolder();
  let files = 0;
  const fresh = (): string => at(`${kind}-${files++}.lichen`);
  const open = (path: string, options: OpenIndexOptions = { durability: 'none' }) =>
    (kind === 'flat' ? FlatIndex<string> : HnswIndex<string>).open<string>(path, options);

  it('brings back whatever was done, from any moment on', async () => {
    await fc.assert(
      fc.asyncProperty(
        steps,
        fc.constantFrom(...DURABILITIES),
        fc.boolean(),
        async (list, durability, map) => {
          const path = fresh();
          await saved(kind, path);
          let index = await open(path, { durability, map });
          const model: Model = new Map();
          for (const step of list) {
            if ('keys' in step) await change(index, model, step);
            else if (step.do === 'checkpoint') await index.checkpoint();
            else if (step.do === 'compact') await index.compact();
            else {
              index.close();
              index = await open(path, { durability, map: !map });
              expectModel(index, model);
            }
          }
          index.close();
          index = await open(path);
          expectModel(index, model);
          index.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  it('takes changes at once and does them in order', async () => {
    const path = fresh();
    await saved(kind, path);
    const index = await open(path, { durability: 'sync' });
    const vectors = Float32Array.from(poolAt(0));
    const changes = Array.from({ length: 50 }, (_, n) => {
      vectors.set(poolAt(n));
      return index.upsert([vectors], { keys: [`k${n % 7}`] });
    });
    vectors.fill(NaN); // they were copied
    const failing = index.add([poolAt(1)], { keys: ['k0'] });
    const removed = index.remove(['k6']);
    await expect(failing).rejects.toMatchObject({ code: 'ERR_LICHEN_DUPLICATE_KEY' });
    await Promise.all([...changes, removed]);
    index.close();
    const again = await open(path);
    expect(again.size).toBe(6);
    expect(again.get('k0')).toEqual(poolAt(49));
    expect(again.get('k5')).toEqual(poolAt(47));
    again.close();
  });

  it('is cut where a write was torn, at every length', async () => {
    const path = fresh();
    await saved(kind, path, ['a', 'b']);
    const index = await open(path);
    await index.add([poolAt(5)], { keys: ['c'] });
    const before = index.journalBytes!;
    await index.remove(['a']);
    await index.add([poolAt(6)], { keys: ['d'] });
    const whole = index.journalBytes!;
    index.close();
    const [segment] = segmentsOf(path);
    const bytes = readFileSync(segment!);
    expect(bytes.length).toBe(whole);
    for (let length = before; length < whole; length++) {
      // Nothing follows, or zeros where the file was made longer before the data came.
      for (const end of [length, whole]) {
        const torn = Buffer.alloc(end);
        bytes.copy(torn, 0, 0, length);
        writeFileSync(segment!, torn);
        const again = await open(path);
        expect(again.has('c'), `${length}`).toBe(true);
        expect(again.has('d'), `${length}`).toBe(false);
        await again.add([poolAt(7)], { keys: ['e'] });
        again.close();
        const third = await open(path);
        expect(third.get('e')).toEqual(poolAt(7));
        third.close();
      }
    }
  });

  it('tells the place of every flipped bit that changes something', async () => {
    const path = fresh();
    await saved(kind, path, ['a', 'b']);
    const index = await open(path);
    await index.add([poolAt(5)], { keys: ['c'] });
    const second = index.journalBytes!;
    await index.update([poolAt(9)], { keys: ['a'] });
    index.close();
    const [segment] = segmentsOf(path);
    const bytes = readFileSync(segment!);
    for (let place = 0; place < bytes.length; place++) {
      const flipped = Buffer.from(bytes);
      flipped[place]! ^= 1 << (place % 8);
      writeFileSync(segment!, flipped);
      const where = place < SEGMENT_HEADER ? 0 : place < second ? SEGMENT_HEADER : second;
      const opened = await open(path).then(
        (again) => again,
        (error: Error & { code: string }) => error,
      );
      if (opened instanceof Error) {
        expect(['ERR_LICHEN_FORMAT', 'ERR_LICHEN_UNSUPPORTED'], opened.message).toContain(
          opened.code,
        );
        expect(opened.message).toContain(segment!);
        if (opened.code === 'ERR_LICHEN_FORMAT')
          expect(opened.message).toContain(`offset ${where}:`);
        continue;
      }
      // Zeros up to a multiple of 8 are not covered by a checksum, and mean nothing.
      expect(bytes[place], `${place}`).toBe(0);
      expect(opened.get('a')).toEqual(poolAt(9));
      expect(opened.get('c')).toEqual(poolAt(5));
      opened.close();
    }
    expect(second - SEGMENT_HEADER).toBeGreaterThan(RECORD_HEADER + DIM * 4);
  });

  it('belongs to its snapshot', async () => {
    const [path, other] = [fresh(), fresh()];
    await saved(kind, path, ['a']);
    const index = await open(path);
    await index.add([poolAt(5)], { keys: ['c'] });
    index.close();
    await saved(kind, other, ['x', 'y']);
    writeFileSync(path, readFileSync(other));
    await expect(open(path)).rejects.toThrow(`belongs to another snapshot than ${path}`);
    rmSync(segmentsOf(path)[0]!);
    const again = await open(path);
    expect(again.size).toBe(2);
    again.close();
  });

  it('is missed where a part of it is gone', async () => {
    const path = fresh();
    await saved(kind, path, ['a']);
    const index = await open(path);
    await index.add([poolAt(5)], { keys: ['c'] });
    await index.checkpoint();
    await index.add([poolAt(6)], { keys: ['d'] });
    index.close();
    const old = readFileSync(path);
    const again = await open(path);
    await again.checkpoint();
    await again.add([poolAt(7)], { keys: ['e'] });
    again.close();
    writeFileSync(path, old);
    await expect(open(path)).rejects.toThrow('begins with record 3, but the snapshot ends with 1');
  });

  it('lets one index at a time be open for writing', async () => {
    const path = fresh();
    await saved(kind, path, ['a']);
    const index = await open(path);
    await expect(open(path)).rejects.toMatchObject({ code: 'ERR_LICHEN_LOCKED' });
    const reader = await openIndex<string>(path, { map: true });
    expect(reader.size).toBe(1);
    index.close();
    const again = await open(path);
    again.close();
  });

  it('begins anew with a checkpoint, also by saving over the file', async () => {
    const path = fresh();
    await saved(kind, path, ['a', 'b']);
    const index = await open(path, { durability: 'sync', checkpointBytes: 2000 });
    for (let n = 0; n < 60; n++) await index.upsert([poolAt(n)], { keys: [`k${n % 9}`] });
    await index.remove(['a']);
    await index.save(path);
    expect(index.journalBytes).toBe(SEGMENT_HEADER);
    expect(segmentsOf(path)).toHaveLength(1);
    await index.save(at('elsewhere.lichen'));
    await index.add([poolAt(70)], { keys: ['last'] });
    index.close();
    const again = await open(path);
    expect(again.size).toBe(11);
    expect(again.get('k0')).toEqual(poolAt(54));
    expect(again.has('last')).toBe(true);
    again.close();
  });

  it('is opened again at once when its end was waited for, whatever was at work', async () => {
    const path = fresh();
    await saved(kind, path, ['a']);
    for (let round = 0; round < 15; round++) {
      const index = await open(path, { durability: 'none', checkpointBytes: 300 });
      const changes = [3, 4, 5].map((n) => index.upsert([poolAt(n + round)], { keys: [`k${n}`] }));
      await changes[round % 3];
      await index[Symbol.asyncDispose]();
      await Promise.all(changes);
      const again = await open(path);
      expect(again.get('k5')).toEqual(poolAt(5 + round));
      again.close();
    }
  });

  it('refuses options that make no sense', async () => {
    const path = fresh();
    await saved(kind, path);
    for (const bad of [
      { durability: 'maybe' },
      { syncInterval: 0 },
      { checkpointBytes: -1 },
      { map: 1 },
      { verify: 'all' },
      { verify: 'header' },
      { unknown: 1 },
    ]) {
      await expect(open(path, bad as never)).rejects.toMatchObject({ code: 'ERR_LICHEN_ARGUMENT' });
    }
    const index = make(kind);
    expect(await index.checkpoint()).toBeUndefined();
    expect(index.journalBytes).toBeUndefined();
    await expect(open(at('no-such.lichen'))).rejects.toMatchObject({
      code: 'ERR_LICHEN_NOT_FOUND',
    });
  });
});

describe('the journal of a graph index', () => {
  const at = temporaryFolder();

  it('knows what an index was calibrated by, and in which turn', async () => {
    const path = at('calibrated.lichen');
    await saved('hnsw', path);
    const index = await HnswIndex.open<string>(path, { durability: 'sync' });
    const names = (from: number): string[] => Array.from({ length: 100 }, (_, n) => `${from + n}`);
    const queries = pool.slice(300 * DIM);
    const changes = [
      index.add(pool.subarray(0, 100 * DIM), { keys: names(0) }),
      index.calibrate(queries),
      index.add(pool.subarray(100 * DIM, 200 * DIM), { keys: names(100) }),
    ];
    queries.fill(NaN); // they are the caller's again
    await Promise.all(changes);
    const known = index.calibration;
    expect(known.length).toBeGreaterThan(0);
    index.close();
    const again = await HnswIndex.open<string>(path, { durability: 'none' });
    expect(again.calibration).toEqual(known);
    again.close();
  });
});
