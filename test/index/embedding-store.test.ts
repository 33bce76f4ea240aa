import { statSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EmbeddingStore } from '../../src/index/embedding-store.js';
import { Filter } from '../../src/index/filter.js';
import { FlatIndex } from '../../src/index/flat.js';
import { openIndex } from '../../src/index/open.js';
import { METRICS } from '../../src/vectors/metric.js';
import { STORAGE_TYPES } from '../../src/vectors/storage-type.js';
import { Random } from '../../src/vectors/random.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { clustered } from './data.js';
import { expectedScore, STORED, unit } from './storage-data.js';

const DIM = 9;
const training = clustered(81, 200, DIM);

function randomVector(seed: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: DIM }, () => 2 * random.gaussian());
}

/** What a store should hold: the vectors given and how they decode, undefined where deleted. */
type Model = ({ given: Float32Array; decoded: Float32Array } | undefined)[];

const step = fc.oneof(
  fc.record({ do: fc.constant('append' as const), count: fc.integer({ min: 1, max: 70 }) }),
  fc.record({ do: fc.constant('overwrite' as const), row: fc.nat(150) }),
  fc.record({ do: fc.constant('delete' as const), row: fc.nat(150) }),
  fc.record({ do: fc.constant('scan' as const), k: fc.integer({ min: 1, max: 200 }) }),
);

describe.each(STORED)('a store of %s under %s', (storage, metric) => {
  it('does what a list of vectors does', () => {
    const bytes = new EmbeddingStore({ dim: DIM, metric, storage }).bytesPerVector;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), fc.nat(), (steps, seed) => {
        using store = new EmbeddingStore({ dim: DIM, metric, storage });
        store.train(training);
        const model: Model = [];
        let next = seed;
        for (const what of steps) {
          if (what.do === 'append') {
            const given = Array.from({ length: what.count }, () => randomVector(next++));
            expect(store.append(given)).toBe(model.length);
            for (const vector of given) {
              model.push({ given: vector, decoded: store.decode(model.length)! });
            }
          } else if (what.do === 'overwrite') {
            const given = randomVector(next++);
            if (what.row < model.length) {
              store.overwrite(what.row, given);
              model[what.row] = { given, decoded: store.decode(what.row)! };
            } else {
              expect(() => store.overwrite(what.row, given)).toThrow(
                expect.objectContaining({ code: 'ERR_LICHEN_UNKNOWN_KEY' }),
              );
            }
          } else if (what.do === 'delete') {
            expect(store.delete(what.row)).toBe(model[what.row] !== undefined);
            if (what.row < model.length) model[what.row] = undefined;
          } else {
            expectScan(store, model, randomVector(next++), what.k);
          }
          const live = model.filter((row) => row !== undefined).length;
          expect([store.rows, store.size, store.deleted]).toEqual([
            model.length,
            live,
            model.length - live,
          ]);
          expect(store.bytesPerVector).toBe(bytes);
        }
        for (let row = 0; row < model.length + 2; row++) {
          expect(store.decode(row)).toEqual(model[row]?.decoded);
        }
      }),
      { numRuns: 25 },
    );
  });

  function expectScan(store: EmbeddingStore, model: Model, query: Float32Array, k: number): void {
    const third = Filter.ofRows(
      model.flatMap((_, row) => (row % 3 === 0 ? [row] : [])),
      model.length,
    );
    for (const filter of [undefined, third]) {
      const { rows, scores } = store.scan(query, { k, filter });
      const candidates = model.flatMap((row, at) =>
        row !== undefined && (filter?.has(at) ?? true) ? [at] : [],
      );
      expect(rows.length).toBe(Math.min(k, candidates.length));
      expect(new Set(rows).size).toBe(rows.length);
      const sign = metric === 'l2' ? 1 : -1;
      const wanted = new Map(
        candidates.map((at) => [
          at,
          expectedScore(storage, metric, query, model[at]!.given, model[at]!.decoded),
        ]),
      );
      rows.forEach((row, at) => {
        const { score, slack } = wanted.get(row)!;
        expect(Math.abs(scores[at]! - score)).toBeLessThanOrEqual(3 * slack);
        if (at > 0) expect(sign * scores[at - 1]!).toBeLessThanOrEqual(sign * scores[at]!);
        wanted.delete(row);
      });
      for (const { score, slack } of wanted.values()) {
        expect(sign * score).toBeGreaterThanOrEqual(sign * (scores.at(-1) ?? 0) - 3 * slack);
      }
      expect(store.score(query, rows).scores).toEqual(scores);
    }
  }

  it('bounds its errors', () => {
    const store = new EmbeddingStore({ dim: DIM, metric, storage });
    store.append(training);
    const rows = Uint32Array.from({ length: 200 }, (_, row) => row);
    let outside = 0;
    for (let q = 0; q < 20; q++) {
      const query = randomVector(q);
      const { scores, bounds } = store.score(query, rows, { bounds: true });
      rows.forEach((row) => {
        if (storage === 'pq') return expect(bounds![row]).toBeNaN();
        const given = training.subarray(row * DIM, (row + 1) * DIM);
        const decoded = store.decode(row)!;
        const { score } = expectedScore('f32', metric, query, given, givenAs(given));
        const { slack } = expectedScore(storage, metric, query, given, decoded);
        if (Math.abs(scores[row]! - score) > bounds![row]! + slack) outside++;
      });
    }
    // 3 deviations leave 1 of 370 out; the others are certain.
    expect(outside).toBeLessThanOrEqual(storage === 'i4' || storage === 'b1' ? 40 : 0);
  });

  const givenAs = (vector: Float32Array): Float32Array =>
    metric === 'cosine' ? unit(vector) : vector;

  it('tells how far its rows are from the vectors', () => {
    const store = new EmbeddingStore({ dim: DIM, metric, storage });
    store.append(training);
    let mean = 0;
    let worst = 0;
    for (let row = 50; row < 200; row++) {
      const given = givenAs(training.subarray(row * DIM, (row + 1) * DIM));
      const decoded = store.decode(row)!;
      const error = Math.hypot(...given.map((value, d) => value - decoded[d]!));
      const relative = error / Math.hypot(...given);
      mean += relative / 150;
      worst = Math.max(worst, relative);
    }
    const errors = store.errorsOf(training.subarray(50 * DIM), 50);
    expect(errors.meanRelative).toBeCloseTo(mean, 5);
    expect(errors.worstRelative).toBeCloseTo(worst, 5);
    expect(errors.meanNorm).toBeLessThanOrEqual(errors.worstNorm);
    expect(errors.worstNorm).toBeLessThanOrEqual(errors.worstRelative + 1e-7);
  });

  it('converts to every type, deleted rows and all', () => {
    const store = new EmbeddingStore({ dim: DIM, metric, storage });
    store.append(training);
    store.delete(7);
    for (const other of STORAGE_TYPES) {
      using converted = store.convert(other);
      expect([converted.storage, converted.dim, converted.metric]).toEqual([other, DIM, metric]);
      expect([converted.rows, converted.size]).toEqual([200, 199]);
      expect(converted.decode(7)).toBeUndefined();
      if (storage !== 'f32') continue;
      const direct = new EmbeddingStore({ dim: DIM, metric, storage: other });
      direct.append(training);
      // Of unit vectors, the length of what is normalized again may differ in the last place.
      if (metric === 'cosine') continue;
      expect(converted.decode(8)).toEqual(direct.decode(8));
    }
  });
});

describe('a store', () => {
  const make = (storage: 'f32' | 'f16' | 'pq'): EmbeddingStore =>
    new EmbeddingStore({ dim: 4, metric: 'l2', storage });
  const good = clustered(82, 30, 4);

  it('has no results while it has no rows', () => {
    expect(make('f32').scan([1, 2, 3, 4])).toEqual({
      rows: new Uint32Array(0),
      scores: new Float32Array(0),
    });
  });

  it('is trained once, by what it is given first', () => {
    const store = make('pq');
    expect(() => store.append(good.subarray(0, 15 * 4))).toThrow(/at least 16 vectors, got 15/);
    expect(() => store.train(good.subarray(0, 15 * 4))).toThrow(/at least 16 vectors, got 15/);
    expect(store.rows).toBe(0);
    store.train(good);
    expect(store.append([[1, 2, 3, 4]])).toBe(0);
    expect(() => store.train(good)).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
    );
    expect(store.subspaces).toBe(2);
    expect(make('f32').subspaces).toBeUndefined();
    expect(() => make('f32').convert('pq')).not.toThrow();
    const few = make('f32');
    few.append(good.subarray(0, 60));
    expect(() => few.convert('pq')).toThrow(/at least 16 vectors, got 15/);
  });

  it('learns components from as many vectors at least', () => {
    const store = new EmbeddingStore({ dim: 4, metric: 'l2', storage: 'i8', pca: 3 });
    const refused = expect.objectContaining({
      code: 'ERR_LICHEN_ARGUMENT',
      message: expect.stringMatching(
        /pca of 3 components needs at least as many .* got 2/,
      ) as string,
    }) as Error;
    expect(() => store.append(good.subarray(0, 8))).toThrow(refused);
    expect(() => store.train(good.subarray(0, 8))).toThrow(refused);
    expect([store.rows, store.pca]).toEqual([0, 3]);
    store.train(good);
    store.append(good.subarray(0, 4));
    expect(store.rows).toBe(1);
    expect(store.score([1, 2, 3, 4], [0], { bounds: true }).bounds).toEqual(Float32Array.of(NaN));
    expect(make('f32').pca).toBeUndefined();
  });

  it('refuses a value that f16 cannot hold and stays as it was', () => {
    const store = make('f16');
    store.append(good);
    const large = Float32Array.of(1, 2, 3, 4, 1, 70_000, 3, 4);
    const refused = expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }) as Error;
    const before = store.decode(3);
    expect(() => store.append(large)).toThrow(refused);
    expect(() => store.overwrite(3, large.subarray(4))).toThrow(refused);
    expect([store.rows, store.decode(3)]).toEqual([30, before]);
    const wide = make('f32');
    wide.append(large);
    expect(() => wide.convert('f16')).toThrow(refused);
  });

  const cases: [string, (store: EmbeddingStore) => unknown, string, RegExp][] = [
    ['dim', (s) => s.append([[1, 2]]), 'DIMENSION', /vectors\[0\]: dim is 4, got 2/],
    ['NaN', (s) => s.append([[1, 2, NaN, 4]]), 'NOT_FINITE', /NaN at position 2/],
    ['nothing', (s) => s.append([]), 'EMPTY', /at least one vector/],
    ['no row', (s) => s.overwrite(30, [1, 2, 3, 4]), 'UNKNOWN_KEY', /row 30 is not there/],
    ['a bad row', (s) => s.overwrite(-1, [1, 2, 3, 4]), 'ARGUMENT', /row must be .* got -1/],
    ['a bad vector', (s) => s.overwrite(1, [1, 2, 3]), 'DIMENSION', /vector: dim is 4, got 3/],
    ['NaN over', (s) => s.overwrite(1, [1, 2, 3, NaN]), 'NOT_FINITE', /NaN at position 3/],
    ['half a row', (s) => s.delete(0.5), 'ARGUMENT', /row must be .* got 0.5/],
    ['no number', (s) => s.decode('1' as never), 'ARGUMENT', /row must be .* got "1"/],
    ['k 0', (s) => s.scan([1, 2, 3, 4], { k: 0 }), 'ARGUMENT', /k must be .* got 0/],
    ['ef', (s) => s.scan([1, 2, 3, 4], { ef: 1 } as never), 'ARGUMENT', /unknown option 'ef'/],
    ['a query', (s) => s.scan([1, 2, 3]), 'DIMENSION', /query: dim is 4, got 3/],
    ['a filter', (s) => s.scan([1, 2, 3, 4], { filter: 1 as never }), 'ARGUMENT', /filter must be/],
    ['rows', (s) => s.score([1, 2, 3, 4], 5 as never), 'ARGUMENT', /rows must be a Uint32Array/],
    ['a row', (s) => s.score([1, 2, 3, 4], [0.5]), 'ARGUMENT', /row must be .* got 0.5/],
    ['scores', (s) => s.score([1, 2, 3, 4], [30]), 'UNKNOWN_KEY', /row 30 is not there/],
    ['bounds', (s) => s.score([1, 2, 3, 4], [1], { bounds: 1 as never }), 'ARGUMENT', /bounds/],
    ['too many', (s) => s.errorsOf(good, 1), 'ARGUMENT', /30 vectors from row 1 on/],
    ['first', (s) => s.errorsOf(good, -1), 'ARGUMENT', /first must be .* got -1/],
    ['a type', (s) => s.convert('i2' as never), 'ARGUMENT', /storage is one of .* got "i2"/],
    ['subspaces', (s) => s.convert('i8', { subspaces: 2 }), 'ARGUMENT', /belong to storage pq/],
    ['pca', (s) => s.convert('f16', { pca: 2 }), 'ARGUMENT', /belongs to storage i8, i4 and b1/],
    ['too much pca', (s) => s.convert('i8', { pca: 5 }), 'ARGUMENT', /pca must be .* from 1 to 4/],
    ['late training', (s) => s.train(good), 'ARGUMENT', /before the first vector/],
  ];

  it.each(cases)('refuses %s and stays as it was', (_, call, code, message) => {
    const store = make('f32');
    store.append(good);
    const before = store.scan([1, 2, 3, 4], { k: 30 });
    expect(() => call(store)).toThrow(
      expect.objectContaining({
        code: `ERR_LICHEN_${code}`,
        message: expect.stringMatching(message) as string,
      }),
    );
    expect(store.scan([1, 2, 3, 4], { k: 30 })).toEqual(before);
  });

  it('refuses every call once closed', () => {
    const store = make('f32');
    store.append(good);
    store.close();
    store.close();
    const calls = [
      () => store.size,
      () => store.rows,
      () => store.deleted,
      () => store.bytes,
      () => store.bytesPerVector,
      () => store.subspaces,
      () => store.pca,
      () => store.append(good),
      () => store.train(good),
      () => store.overwrite(0, [1, 2, 3, 4]),
      () => store.delete(0),
      () => store.decode(0),
      () => store.scan([1, 2, 3, 4]),
      () => store.score([1, 2, 3, 4], [0]),
      () => store.errorsOf(good),
      () => store.convert('i8'),
    ];
    for (const call of calls) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_LICHEN_CLOSED' }));
    }
  });

  it.each([
    [{ dim: 0, metric: 'dot' }, /dim must be/],
    [{ dim: 4, metric: 'ip' }, /metric is one of/],
    [{ dim: 4, metric: 'dot', storage: 'i2' }, /storage is one of/],
    [{ dim: 4, metric: 'dot', storage: 'i8', subspaces: 2 }, /belong to storage pq/],
    [{ dim: 4, metric: 'dot', storage: 'pq', subspaces: 5 }, /from 1 to 4, got 5/],
    [{ dim: 4, metric: 'dot', storage: 'pq', pca: 2 }, /belongs to storage i8, i4 and b1/],
    [{ dim: 4, metric: 'dot', storage: 'i4', pca: 0 }, /pca must be an integer from 1 to 4, got 0/],
    [{ dim: 4, metric: 'dot', storage: 'i4', pca: 2.5 }, /pca must be an integer/],
    [{ dim: 4, metric: 'dot', rerank: 'f32' }, /unknown option 'rerank'/],
    [undefined, /dim must be/],
  ])('is not made of %j', (options, message) => {
    expect(() => new EmbeddingStore(options as never)).toThrow(
      expect.objectContaining({
        code: 'ERR_LICHEN_ARGUMENT',
        message: expect.stringMatching(message) as string,
      }),
    );
  });

  it.each(METRICS)('gives a zero vector no errors and no direction: %s', (metric) => {
    for (const storage of STORAGE_TYPES) {
      const store = new EmbeddingStore({ dim: 4, metric, storage });
      store.append(new Float32Array(64 * 4));
      expect([...store.decode(63)!].map(Math.abs)).toEqual([0, 0, 0, 0]);
      expect(store.errorsOf(new Float32Array(4))).toEqual({
        meanRelative: 0,
        worstRelative: 0,
        meanNorm: 0,
        worstNorm: 0,
      });
      const { scores } = store.scan([3, 0, 4, 0], { k: 2 });
      expect([...scores].map((score) => Math.abs(score))).toEqual(
        metric === 'l2' ? [25, 25] : [0, 0],
      );
    }
  });

  const at = temporaryFolder();

  it.each(STORAGE_TYPES)('comes back from its file, read or mapped: %s', (storage) => {
    const store = new EmbeddingStore({ dim: DIM, metric: 'l2', storage, seed: 9 });
    store.append(training);
    store.delete(17);
    const path = at(`${storage}.lichen`);
    expect(store.save(path)).toBe(statSync(path).size);
    for (const options of [{}, { map: true }, { map: true, verify: 'full' }] as const) {
      const opened = EmbeddingStore.open(path, options);
      expect([opened.dim, opened.metric, opened.storage]).toEqual([DIM, 'l2', storage]);
      expect([opened.rows, opened.deleted, opened.subspaces]).toEqual([200, 1, store.subspaces]);
      const query = randomVector(3);
      expect(opened.scan(query, { k: 20 })).toEqual(store.scan(query, { k: 20 }));
      // What changes it stays in memory.
      opened.overwrite(17, query);
      opened.append(training.subarray(0, DIM));
      expect([opened.rows, opened.deleted]).toEqual([201, 0]);
      opened.close();
    }
    expect(EmbeddingStore.open(path).deleted).toBe(1);
  });

  it('is opened from nothing but the file of a store', async () => {
    const code = (value: string) => expect.objectContaining({ code: value }) as Error;
    const open = (name: string, options?: object) => () => EmbeddingStore.open(at(name), options);
    expect(open('none.lichen')).toThrow(code('ERR_LICHEN_NOT_FOUND'));
    expect(open('none.lichen', { map: 'yes' })).toThrow(code('ERR_LICHEN_ARGUMENT'));
    const index = new FlatIndex({ dim: DIM, metric: 'l2' });
    await index.add(training);
    await index.save(at('index.lichen'));
    expect(open('index.lichen')).toThrow(code('ERR_LICHEN_FORMAT'));
    new EmbeddingStore({ dim: 2, metric: 'dot' }).save(at('store.lichen'));
    await expect(openIndex(at('store.lichen'))).rejects.toThrow('it holds a store');
  });
});
