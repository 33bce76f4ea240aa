import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HnswIndex } from '../../src/index/hnsw.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { clustered } from './data.js';

const DIM = 24;
const vectors = clustered(31, 6000, DIM);
const make = (): HnswIndex => new HnswIndex({ dim: DIM, metric: 'l2', m: 12, efConstruction: 150 });

describe('an add that is running', () => {
  const at = temporaryFolder();

  it('can be aborted, and the index is as it was', async () => {
    for (const before of [0, 500]) {
      const index = make();
      if (before > 0) await index.add(vectors.subarray(0, before * DIM), { threads: 1 });
      await index.save(at('before'));
      const controller = new AbortController();
      const reason = new Error('enough');
      const adding = index.add(vectors.subarray(before * DIM), {
        signal: controller.signal,
        onProgress: () => controller.abort(reason),
      });
      await expect(adding).rejects.toMatchObject({ code: 'ERR_LICHEN_ABORTED', cause: reason });
      expect(index.size).toBe(before);
      await index.save(at('after'));
      expect(readFileSync(at('after'))).toEqual(readFileSync(at('before')));
      await index.add(vectors.subarray(before * DIM));
      expect(index.size).toBe(6000);
    }
  });

  it('leaves room for searches and refuses a second writer', async () => {
    const index = make();
    await index.add(vectors.subarray(0, 1000 * DIM));
    const adding = index.add(vectors.subarray(1000 * DIM));
    await expect(index.add(vectors.subarray(0, DIM))).rejects.toMatchObject({
      code: 'ERR_LICHEN_BUSY',
    });
    await expect(index.save(at('busy'))).rejects.toMatchObject({ code: 'ERR_LICHEN_BUSY' });
    let running = true;
    void adding.then(() => (running = false));
    let searches = 0;
    while (running) {
      const { keys } = await index.search(vectors.subarray(0, DIM), { k: 10 });
      expect(new Set(keys).size).toBe(10);
      searches++;
    }
    await adding;
    expect(searches).toBeGreaterThan(0);
    expect(index.searchSync(vectors.subarray(5999 * DIM), { k: 1 }).keys[0]).toBe(5999);
  });

  it('fails with what onProgress throws', async () => {
    const index = make();
    const onProgress = (): never => {
      throw new Error('the callback is broken');
    };
    await expect(index.add(vectors, { onProgress })).rejects.toThrow('the callback is broken');
    expect(index.size).toBe(0);
  });
});

describe('worker threads', () => {
  const addon = join(__dirname, '..', '..', 'build', 'Release', 'lichen.node');
  const worker = (body: string): Worker =>
    new Worker(
      `const { parentPort } = require('node:worker_threads');
       const addon = require(${JSON.stringify(addon)});
       const index = addon.createHnsw(8, 'l2', 'f32', '', 0, 1, [], 16, 200);
       const data = new Float32Array(8 * 60000).map(() => Math.random());
       ${body}`,
      { eval: true },
    );

  it('may end while the addon is at work for them', async () => {
    const started = worker(`
      addon.indexAdd(index, null, data, 2, addon.createProgress(), 0);
      parentPort.postMessage('started');`);
    await new Promise((resolve) => started.once('message', resolve));
    expect(await started.terminate()).toBe(1);
    const exiting = worker(`
      addon.indexAdd(index, null, data, 2, addon.createProgress(), 0);
      process.exit(7);`);
    expect(await new Promise((resolve) => exiting.once('exit', resolve))).toBe(7);
  });

  it('load the addon side by side', async () => {
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => {
        const one = worker(`
          addon.indexAddSync(index, null, data.subarray(0, 800), 1, addon.createProgress(), 0);
          const keys = new Float64Array(1), scores = new Float32Array(1);
          addon.indexSearchSync(index, data.subarray(80, 88), 1, 0, keys, scores);
          parentPort.postMessage(keys[0]);`);
        return new Promise((resolve, reject) => {
          one.once('message', resolve);
          one.once('error', reject);
        });
      }),
    );
    expect(answers).toEqual([10, 10, 10, 10]);
  });
});
