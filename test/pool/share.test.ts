import { once } from 'node:events';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { attachIndex } from '../../src/index/open.js';
import type { IndexShare } from '../../src/index/share.js';
import { native } from '../../src/native.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { clustered } from '../index/data.js';
import type { Order } from './share-worker.js';

const PROGRAM = join(__dirname, 'share-worker.ts');
const DIM = 8;
const vectors = clustered(1, 300, DIM);
const helpers: Helper[] = [];
afterEach(async () => {
  await Promise.all(helpers.splice(0).map((helper) => helper.end()));
});

/** A thread that does what it is told, one thing after another. */
class Helper {
  readonly flag = new Int32Array(new SharedArrayBuffer(4));
  readonly #worker = new Worker(`require(${JSON.stringify(PROGRAM)})`, {
    eval: true,
    workerData: this.flag,
    execArgv: ['--require', 'tsx/cjs'],
  });

  constructor() {
    helpers.push(this);
  }

  tell(order: Order): void {
    this.#worker.postMessage(order);
  }

  async ask(order: Order): Promise<unknown> {
    this.tell(order);
    const [answer] = (await once(this.#worker, 'message')) as [{ done?: unknown; error?: object }];
    if (answer.error !== undefined) throw Object.assign(new Error(), answer.error);
    return answer.done;
  }

  async ended(): Promise<void> {
    await once(this.#worker, 'exit');
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

const counts = () => native().shareCounts();
const code = (name: string): object => ({ code: `ERR_LICHEN_${name}` });

function made(): { index: HnswIndex; share: IndexShare } {
  const index = new HnswIndex({ dim: DIM, metric: 'l2', m: 6 });
  index.addSync(vectors);
  return { index, share: index.share() };
}

describe('a shared index', () => {
  it('is searched by other threads as by its own', async () => {
    const { index, share } = made();
    const threads = [new Helper(), new Helper()];
    for (const thread of threads) {
      expect(await thread.ask({ do: 'attach', share: { token: share.token } })).toBe('HnswIndex');
    }
    const query = clustered(2, 40, DIM);
    const { keys, scores } = await index.searchBatch(query, { k: 6 });
    const order = { do: 'search', query, k: 6 } as const;
    for (const found of await Promise.all(threads.map((thread) => thread.ask(order)))) {
      expect(found).toEqual({ keys, scores });
    }
    share.close();
    index.close();
    expect(await threads[0]!.ask(order)).toEqual({ keys, scores });
    expect(counts()).toMatchObject({ shares: 0, holders: 2 });
    await threads[0]!.ask({ do: 'close' });
    expect(counts()).toMatchObject({ shares: 0, holders: 1 });
    await threads[1]!.end();
    expect(counts()).toEqual({ shares: 0, indexes: 0, holders: 0 });
  });

  it('is a class of its kind, on the same thread as well', () => {
    const { index, share } = made();
    const attached = [attachIndex(share), HnswIndex.attach(structuredClone(share))];
    for (const other of attached) {
      expect(other).toBeInstanceOf(HnswIndex);
      expect(other).toMatchObject({ dim: DIM, metric: 'l2', size: 300, m: 6 });
    }
    expect(() => FlatIndex.attach(share)).toThrowError(
      expect.objectContaining({
        ...code('ARGUMENT'),
        message: 'share is of a hnsw index, expected a flat index',
      }) as Error,
    );
    // Whatever was attached and refused is let go of.
    expect(counts().holders).toBe(4);
    for (const one of [...attached, share, index]) {
      one.close();
      one.close();
    }
    expect(counts()).toEqual({ shares: 0, indexes: 0, holders: 0 });
    expect(() => attached[0]!.size).toThrowError(expect.objectContaining(code('CLOSED')) as Error);
    expect(() => index.share()).toThrowError(expect.objectContaining(code('CLOSED')) as Error);
  });

  it('cannot be had by a share that is closed, nor by anything else', async () => {
    const { index, share } = made();
    const token = share.token;
    expect(token).toMatch(/^[0-9a-f]{32}$/);
    const other = index.share();
    expect(other.token).not.toBe(token);
    share.close();
    expect(() => attachIndex(share)).toThrowError(expect.objectContaining(code('CLOSED')) as Error);
    attachIndex(other).close();
    const thread = new Helper();
    await expect(thread.ask({ do: 'attach', share: { token } })).rejects.toMatchObject(
      code('CLOSED'),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.anything(),
          fc.string().map((text) => ({ token: text })),
        ),
        fc.integer({ min: 0, max: 31 }),
        (given, at) => {
          const changed = `${token.slice(0, at)}x${token.slice(at + 1)}`;
          for (const wrong of [given, { token: changed }]) {
            expect(() => attachIndex(wrong as never)).toThrowError(
              expect.objectContaining({
                code: expect.stringMatching(/^ERR_LICHEN_(ARGUMENT|CLOSED)$/) as string,
              }) as Error,
            );
          }
        },
      ),
    );
    other.close();
    index.close();
  });

  it('outlives the thread that made it, and the share does not', async () => {
    const maker = new Helper();
    const share = (await maker.ask({ do: 'make', rows: 20, dim: 2 })) as { token: string };
    const index = attachIndex(share);
    await maker.end();
    expect(index.searchSync([8, 9], { k: 1 }).keys).toEqual(Float64Array.of(4));
    expect(counts()).toEqual({ shares: 0, indexes: 1, holders: 1 });
    expect(() => attachIndex(share)).toThrowError(expect.objectContaining(code('CLOSED')) as Error);
    index.close();
    expect(counts().indexes).toBe(0);
  });

  it('is safe from threads that end while they search, whatever is closed before', async () => {
    for (const how of ['index first', 'thread first'] as const) {
      const { index, share } = made();
      const thread = new Helper();
      await thread.ask({ do: 'attach', share: { token: share.token } });
      thread.tell({ do: 'searchForEver', query: vectors });
      while (Atomics.load(thread.flag, 0) === 0) await setImmediate();
      if (how === 'index first') {
        share.close();
        index.close();
      }
      await thread.end();
      if (how === 'thread first') {
        expect(index.searchSync(vectors.subarray(0, DIM), { k: 1 }).keys[0]).toBe(0);
        index.close();
        share.close();
      }
      expect(counts()).toEqual({ shares: 0, indexes: 0, holders: 0 });
    }
  });

  it('is let go of by a thread that exits or ends with it', async () => {
    const { index, share } = made();
    const [leaving, exiting] = [new Helper(), new Helper()];
    for (const thread of [leaving, exiting]) {
      await thread.ask({ do: 'attach', share: { token: share.token } });
    }
    expect(counts().holders).toBe(4);
    exiting.tell({ do: 'exit' });
    await exiting.ended();
    expect(counts().holders).toBe(3);
    await leaving.end();
    expect(counts().holders).toBe(2);
    share.close();
    index.close();
  });
});

describe('changes of a shared index', () => {
  it('by one thread are seen by all, also the kind of keys', async () => {
    const index = new HnswIndex<string>({ dim: DIM, metric: 'l2' });
    using share = index.share();
    // The kind is asked for while the index is empty.
    expect(index.searchSync(vectors.subarray(0, DIM), { k: 1 }).keys).toHaveLength(0);
    const thread = new Helper();
    await thread.ask({ do: 'attach', share: { token: share.token } });
    const keys = Array.from({ length: 300 }, (_, row) => `row ${row}`);
    expect(await thread.ask({ do: 'add', vectors, keys })).toBe(300);
    const found = index.searchSync(vectors.subarray(5 * DIM, 6 * DIM), { k: 1 });
    expect(found.keys).toEqual(['row 5']);
    index.removeSync(['row 5']);
    expect(await thread.ask({ do: 'size' })).toBe(299);
    index.close();
  });

  it('come one at a time: another gets ERR_LICHEN_BUSY', async () => {
    const index = new HnswIndex({ dim: DIM, metric: 'l2', efConstruction: 500 });
    index.addSync(vectors);
    using share = index.share();
    const thread = new Helper();
    await thread.ask({ do: 'attach', share: { token: share.token } });
    // So long an add that the others come while it is at work.
    const controller = new AbortController();
    const { signal } = controller;
    const adding = index.add(clustered(3, 60_000, DIM), { threads: 1, signal });
    const busy = code('BUSY');
    await expect(thread.ask({ do: 'remove', key: 7 })).rejects.toMatchObject(busy);
    await expect(thread.ask({ do: 'add', vectors })).rejects.toMatchObject(busy);
    controller.abort();
    await expect(adding).rejects.toMatchObject(code('ABORTED'));
    expect(await thread.ask({ do: 'remove', key: 7 })).toBe(299);
    expect(index.has(7)).toBe(false);
    index.close();
  });

  const at = temporaryFolder();
  it('are refused to other threads where there is a journal', async () => {
    const path = at('index.lichen');
    const plain = new FlatIndex({ dim: DIM, metric: 'l2' });
    plain.addSync(vectors);
    await plain.save(path);
    plain.close();
    using index = await FlatIndex.open(path, { durability: 'sync' });
    using share = index.share();
    using attached = FlatIndex.attach(share);
    const refused = code('UNSUPPORTED');
    await expect(attached.add(vectors)).rejects.toMatchObject(refused);
    await expect(attached.remove([1])).rejects.toMatchObject(refused);
    await expect(attached.save(at('other.lichen'))).rejects.toMatchObject(refused);
    await expect(attached.checkpoint()).rejects.toMatchObject(refused);
    expect(() => attached.removeSync([1])).toThrowError(expect.objectContaining(refused) as Error);
    await index.remove([1]);
    expect(attached.size).toBe(299);
  });
});

describe('the memory of a shared index', () => {
  it('is there once, and given back when the last has closed it', async () => {
    const [rows, dim, adds] = [16_384, 128, 24];
    const rss = (): number => process.memoryUsage.rss();
    const threads = [new Helper(), new Helper(), new Helper()];
    // Each has loaded lichen and searched before anything is measured.
    const small = made();
    for (const thread of threads) {
      await thread.ask({ do: 'attach', share: { token: small.share.token } });
      await thread.ask({ do: 'search', query: vectors, k: 1 });
      await thread.ask({ do: 'close' });
    }
    small.share.close();
    small.index.close();
    const piece = Float32Array.from({ length: rows * dim }, (_, at) => at % 97);
    const before = rss();
    const index = new FlatIndex({ dim, metric: 'l2' });
    for (let add = 0; add < adds; add++) index.addSync(piece);
    const bytes = adds * piece.byteLength;
    expect(index.bytes).toBeGreaterThan(bytes);
    const filled = rss();
    expect(filled - before).toBeGreaterThan(0.8 * bytes);
    const share = index.share();
    for (const thread of threads) {
      await thread.ask({ do: 'attach', share: { token: share.token } });
      // Reads every row.
      await thread.ask({ do: 'search', query: new Float32Array(dim), k: 1 });
    }
    // Copies would be three times the index.
    expect(rss() - filled).toBeLessThan(0.3 * bytes);
    expect(counts()).toMatchObject({ shares: 1, holders: 5 });
    for (const thread of threads) await thread.ask({ do: 'close' });
    index.close();
    const held = rss();
    expect(counts().holders).toBe(1);
    share.close();
    expect(held - rss()).toBeGreaterThan(0.8 * bytes);
  });
});
