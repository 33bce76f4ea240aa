import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { Vocabulary } from '../../src/interactions/vocabulary.js';
import { native } from '../../src/native.js';
import { RetrievalPool } from '../../src/pool/retrieval-pool.js';
import { matrix } from '../../src/vectors/matrix.js';

const DIM = 2;
const index = new FlatIndex({ dim: DIM, metric: 'dot' });
index.addSync(Float32Array.of(1, 0, 0, 1, 1, 1));
const table = matrix(Float32Array.of(1, 0, 0, 1), DIM);
const vectorsPool = RetrievalPool.create({ index, tower: { kind: 'vectors' }, workers: 1 });
const bagPool = RetrievalPool.create({
  index,
  tower: { kind: 'bag', vectors: table },
  workers: 1,
});
const tablePool = RetrievalPool.create({
  index,
  tower: { kind: 'table', vectors: table },
  workers: 1,
});
beforeAll(() => Promise.all([vectorsPool, bagPool, tablePool]));
afterAll(async () => {
  for (const pool of [vectorsPool, bagPool, tablePool]) await (await pool).close();
});

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: { code: string }) => error.code.replace('ERR_LICHEN_', ''),
  );
}

describe('RetrievalPool.create', () => {
  const known = { offsets: Uint32Array.of(0, 1), itemIndices: Uint32Array.of(0) };
  const good = { index, tower: { kind: 'vectors' }, workers: 1 };

  it.each([
    ['ARGUMENT', { ...good, more: 1 }],
    ['ARGUMENT', { ...good, index: {} }],
    ['ARGUMENT', { ...good, workers: 0 }],
    ['ARGUMENT', { ...good, workers: 1.5 }],
    ['ARGUMENT', { ...good, maxQueue: -1 }],
    ['ARGUMENT', { ...good, retries: 101 }],
    ['ARGUMENT', { ...good, resourceLimits: 3 }],
    ['ARGUMENT', { ...good, tower: undefined }],
    ['ARGUMENT', { ...good, tower: { kind: 'toString' } }],
    ['ARGUMENT', { ...good, tower: { kind: 'vectors', path: '/x' } }],
    ['ARGUMENT', { ...good, tower: { kind: 'table', vectors: [1, 2] } }],
    ['DIMENSION', { ...good, tower: { kind: 'table', vectors: matrix(new Float32Array(3), 3) } }],
    ['ARGUMENT', { ...good, tower: { kind: 'bag', vectors: table, normalize: 1 } }],
    ['ARGUMENT', { ...good, tower: { kind: 'module', path: 'relative.js' } }],
    ['ARGUMENT', { ...good, tower: { kind: 'module', path: '/x.js', data: () => 1 } }],
    ['WORKER', { ...good, tower: { kind: 'module', path: join(__dirname, 'nowhere.js') } }],
    // It is there, but has no createTower.
    ['WORKER', { ...good, tower: { kind: 'module', path: join(__dirname, 'control.ts') } }],
    ['ARGUMENT', { ...good, known: {} }],
    ['ARGUMENT', { ...good, known: { ...known, offsets: Uint32Array.of(0, 2) } }],
    ['ARGUMENT', { ...good, known: { ...known, offsets: Uint32Array.of(1, 0) } }],
    ['DIMENSION', { ...good, known: { ...known, items: Vocabulary.identity(7) } }],
  ])('refuses with %s what does not suit (%#)', async (code, options) => {
    const before = native().shareCounts();
    expect(await codeOf(RetrievalPool.create(options as never))).toBe(code);
    // And holds nothing.
    expect(native().shareCounts()).toEqual(before);
  });

  it('refuses an index that is closed, and items that are not its keys', async () => {
    const closed = new FlatIndex({ dim: DIM, metric: 'dot' });
    closed.close();
    expect(await codeOf(RetrievalPool.create({ ...good, index: closed } as never))).toBe('CLOSED');
    const numbered = new FlatIndex({ dim: DIM, metric: 'dot' });
    numbered.addSync([[1, 1]], { keys: [5] });
    for (const items of [undefined, Vocabulary.ordered(['five']), Vocabulary.identity(0)]) {
      const options = { ...good, index: numbered, known: { ...known, items } };
      // Of no item at all there cannot be item 0.
      const code = items?.size === 0 ? 'none' : 'ARGUMENT';
      const made = RetrievalPool.create(options as never);
      expect(await codeOf(made)).toBe(code);
      await made.then(
        (pool) => pool.close(),
        () => undefined,
      );
    }
  });

  it('takes a module by its URL', async () => {
    const path = pathToFileURL(join(__dirname, 'tower-module.ts')).href;
    const data = new Int32Array(4);
    const pool = await RetrievalPool.create({
      index,
      tower: { kind: 'module', path, data },
      workers: 1,
    });
    const { keys } = await pool.retrieve({ vectors: Float32Array.of(0, 3) }, { k: 1 });
    expect(keys[0]).toBe(1);
    await pool.close();
  });
});

describe('retrieve', () => {
  const vectors = new Float32Array(2 * DIM);
  const history = { offsets: Uint32Array.of(0, 1), rows: Uint32Array.of(1) };

  it.each([
    ['ARGUMENT', null, {}],
    ['ARGUMENT', [], {}],
    ['ARGUMENT', {}, {}],
    ['ARGUMENT', { vectors: [[1, 2]] }, {}],
    ['EMPTY', { vectors: new Float32Array(0) }, {}],
    ['DIMENSION', { vectors: new Float32Array(3) }, {}],
    ['DIMENSION', { vectors: matrix(new Float32Array(3), 3) }, {}],
    ['DIMENSION', { vectors, users: [1] }, {}],
    ['ARGUMENT', { vectors, users: [1, -2] }, {}],
    ['ARGUMENT', { vectors, users: [1, 0.5] }, {}],
    ['ARGUMENT', { vectors, users: 'ab' }, {}],
    ['ARGUMENT', { vectors, history }, {}],
    ['NOT_FINITE', { vectors: vectors.map(() => NaN) }, { k: 1 }],
    ['ARGUMENT', { vectors }, { more: 1 }],
    ['ARGUMENT', { vectors }, { into: {} }],
    ['ARGUMENT', { vectors }, { k: 0 }],
    ['ARGUMENT', { vectors }, { k: 1.5 }],
    ['none', { vectors }, { k: 4 }],
    ['ARGUMENT', { vectors }, { k: 1, ef: 0 }],
    ['ARGUMENT', { vectors }, { k: 1, filter: [1] }],
    ['ARGUMENT', { vectors }, { k: 1, where: { no: 'such' } }],
    ['ARGUMENT', { vectors }, { k: 1, exclude: [[1]] }],
    ['ARGUMENT', { vectors }, { k: 1, exclude: [[1], ['a']] }],
    ['ARGUMENT', { vectors }, { k: 1, excludeKnown: 1 }],
    ['ARGUMENT', { vectors }, { k: 1, signal: {} }],
    ['ARGUMENT', { vectors }, { k: 1, deadline: -1 }],
    ['ARGUMENT', { vectors }, { k: 1, deadline: NaN }],
    ['ARGUMENT', { vectors }, { k: 1, deadline: new Date(NaN) }],
    ['ARGUMENT', { vectors }, { k: 1, deadline: '5' }],
    ['none', { vectors, users: Int32Array.of(-1, 5) }, { k: 3, deadline: 1e6 }],
  ])('refuses with %s what does not suit (%#)', async (code, batch, options) => {
    expect(await codeOf((await vectorsPool).retrieve(batch as never, options as never))).toBe(code);
  });

  it.each([
    ['ARGUMENT', { vectors }],
    ['ARGUMENT', { users: [0] }],
    ['ARGUMENT', { history: { offsets: [0, 1], rows: [1] } }],
    ['ARGUMENT', { history: { ...history, weights: [1] } }],
    ['DIMENSION', { history: { ...history, weights: new Float32Array(0) } }],
    ['ARGUMENT', { history: { ...history, offsets: new Uint32Array(0) } }],
    ['EMPTY', { history: { ...history, offsets: new Uint32Array(1) } }],
    ['ARGUMENT', { history: { ...history, offsets: Uint32Array.of(1, 0) } }],
    ['DIMENSION', { history: { ...history, offsets: Uint32Array.of(0, 2) } }],
    ['UNKNOWN_KEY', { history: { ...history, rows: Uint32Array.of(2) } }],
    ['none', { history }],
  ])('refuses with %s histories that do not suit (%#)', async (code, batch) => {
    expect(await codeOf((await bagPool).retrieve(batch as never, { k: 1 }))).toBe(code);
  });

  it.each([
    ['UNKNOWN_KEY', [2]],
    ['UNKNOWN_KEY', [-1]],
    ['ARGUMENT', [0.5]],
    ['none', [0, 1, 1]],
  ])('refuses with %s users who do not suit (%#)', async (code, users) => {
    expect(await codeOf((await tablePool).retrieve({ users }, { k: 1 }))).toBe(code);
  });

  it('never does worse than to refuse', async () => {
    const pool = await bagPool;
    const small = fc.uint32Array({ max: 4, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(
        fc.record(
          {
            users: fc.oneof(fc.anything(), small),
            history: fc.oneof(
              fc.anything(),
              fc.record({ offsets: small, rows: small, weights: fc.float32Array() }),
            ),
          },
          { requiredKeys: [] },
        ),
        async (batch) => {
          const code = await codeOf(pool.retrieve(batch as never, { k: 1 }));
          expect(['none', 'ARGUMENT', 'DIMENSION', 'EMPTY', 'UNKNOWN_KEY', 'NOT_FINITE']).toContain(
            code,
          );
        },
      ),
      { numRuns: 300 },
    );
    expect(await codeOf(pool.retrieve({ history }, { k: 1 }))).toBe('none');
  });
});
