import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { RetrievalPool } from '../../src/pool/retrieval-pool.js';
import { Control, until } from './control.js';

const index = new FlatIndex({ dim: 1, metric: 'l2' });
index.addSync(Float32Array.from({ length: 500 }, (_, row) => row));
const control = new Control();
const tower = {
  kind: 'module',
  path: join(__dirname, 'tower-module.ts'),
  data: control.words,
} as const;
const vectors = Float32Array.from({ length: 300 }, (_, user) => user);
const limits = { maxOldGenerationSizeMb: 80 };
const pool = RetrievalPool.create({ index, tower, workers: 2, resourceLimits: limits });
afterAll(async () => (await pool).close());

describe('a worker that ends during its work', () => {
  it.each(['exit', 'uncaught', 'exhaust'] as const)(
    '(%s) is replaced, and another does what it was at',
    async (action) => {
      const its = await pool;
      const before = its.statistics;
      control.next(action);
      const found = await its.retrieve({ vectors }, { k: 1 });
      expect([...found.keys]).toEqual([...vectors]);
      const { completed, failed } = its.statistics;
      expect([completed, failed]).toEqual([before.completed + 1, before.failed]);
      await until(() => its.statistics.workers === 2);
    },
  );

  it('fails its request when that has been tried often enough, and no other', async () => {
    const its = await pool;
    control.next('exit', 2);
    // One slice, which ends two threads; the other requests wait for workers that are left.
    const poison = its.retrieve({ vectors: vectors.subarray(0, 1) }, { k: 1 });
    await expect(poison).rejects.toMatchObject({
      code: 'ERR_LICHEN_WORKER',
      message: 'a worker ended: worker exited with code: 3',
    });
    const others = await Promise.all(
      Array.from({ length: 5 }, () => its.retrieve({ vectors }, { k: 1 })),
    );
    for (const { keys } of others) expect([...keys]).toEqual([...vectors]);
  });

  it('fails its request at once without retries', async () => {
    const its = await RetrievalPool.create({ index, tower, workers: 1, retries: 0 });
    control.next('exit');
    await expect(its.retrieve({ vectors })).rejects.toMatchObject({ code: 'ERR_LICHEN_WORKER' });
    const found = await its.retrieve({ vectors }, { k: 1 });
    expect([...found.keys]).toEqual([...vectors]);
    await its.close();
  });

  it('may end while the pool is closed, which does what waits nevertheless', async () => {
    const its = await RetrievalPool.create({ index, tower, workers: 1 });
    control.next('exit');
    const asked = [its.retrieve({ vectors }, { k: 1 }), its.retrieve({ vectors }, { k: 1 })];
    const closing = its.close();
    for (const { keys } of await Promise.all(asked)) expect([...keys]).toEqual([...vectors]);
    await closing;
    expect(its.statistics).toEqual({ queued: 0, running: 0, completed: 2, failed: 0, workers: 0 });
  });
});
