import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { native } from '../../src/native.js';
import { RetrievalPool } from '../../src/pool/retrieval-pool.js';
import { Control } from './control.js';

const PATH = join(__dirname, 'tower-module.ts');
const CHILD = join(__dirname, 'lone-child.ts');
const index = new FlatIndex({ dim: 1, metric: 'l2' });
index.addSync(Float32Array.from({ length: 500 }, (_, row) => row));
const control = new Control();
const tower = { kind: 'module', path: PATH, data: control.words } as const;
const vectors = Float32Array.of(7);

/** Of one worker, where two requests may wait. */
const pool = RetrievalPool.create({ index, tower, workers: 1, maxQueue: 2 });
afterAll(async () => (await pool).close());
beforeEach(() => Atomics.store(control.words, 0, 0));

const code = (name: string): object => ({ code: `ERR_LICHEN_${name}` });

describe('requests', () => {
  it('wait in a bounded queue, in order', async () => {
    const its = await pool;
    control.next('wait');
    const order: string[] = [];
    const ask = async (name: string): Promise<void> => {
      await its.retrieve({ vectors }, { k: 1 });
      order.push(name);
    };
    const before = its.statistics;
    const first = ask('first');
    await control.begun(1);
    const waiting = [ask('second'), ask('third')];
    expect(its.statistics).toMatchObject({ queued: 2, running: 1, workers: 1 });
    await expect(its.retrieve({ vectors })).rejects.toMatchObject(code('QUEUE_FULL'));
    control.open();
    await Promise.all([first, ...waiting]);
    expect(order).toEqual(['first', 'second', 'third']);
    expect(its.statistics).toEqual({
      queued: 0,
      running: 0,
      completed: before.completed + 3,
      // What was refused was never taken.
      failed: before.failed,
      workers: 1,
    });
  });

  it('that wait are dropped when they are aborted', async () => {
    const its = await pool;
    control.next('wait');
    const blocking = its.retrieve({ vectors }, { k: 1 });
    await control.begun(1);
    const controller = new AbortController();
    const reason = new Error('not wanted');
    const waiting = its.retrieve({ vectors }, { k: 1, signal: controller.signal });
    const { failed } = its.statistics;
    controller.abort(reason);
    await expect(waiting).rejects.toMatchObject({ ...code('ABORTED'), cause: reason });
    expect(its.statistics).toMatchObject({ queued: 0, running: 1, failed: failed + 1 });
    control.open();
    await blocking;
    // Its tower was never called.
    expect(control.calls).toBe(0);
    await expect(
      its.retrieve({ vectors }, { signal: AbortSignal.abort(reason) }),
    ).rejects.toMatchObject({ ...code('ABORTED'), cause: reason });
  });

  it('at work reject at once when they are aborted, and their worker stops at its next part', async () => {
    const its = await pool;
    control.next('wait');
    const controller = new AbortController();
    // Of two parts of 64 users.
    const many = new Float32Array(128).fill(3);
    const atWork = its.retrieve({ vectors: many }, { k: 1, signal: controller.signal });
    await control.begun(1);
    controller.abort();
    await expect(atWork).rejects.toMatchObject(code('ABORTED'));
    expect(its.statistics).toMatchObject({ running: 0 });
    const next = its.retrieve({ vectors }, { k: 1 });
    control.open();
    expect([...(await next).keys]).toEqual([7]);
    // The next request's call alone: the second part was left out.
    expect(control.calls).toBe(1);
  });

  it('are dropped when they have not begun by their deadline', async () => {
    const its = await pool;
    for (const deadline of [0, new Date(), new Date(Date.now() - 1e6)]) {
      await expect(its.retrieve({ vectors }, { deadline })).rejects.toMatchObject(code('DEADLINE'));
    }
    expect(control.calls).toBe(0);
    control.next('wait');
    // Has begun by then, so that it may take as long as it takes.
    const begun = its.retrieve({ vectors }, { k: 1, deadline: new Date(Date.now() + 3_000_000) });
    await control.begun(1);
    await expect(its.retrieve({ vectors }, { deadline: 1 })).rejects.toMatchObject(
      code('DEADLINE'),
    );
    // While one without waits on.
    const patient = its.retrieve({ vectors }, { k: 1 });
    await expect(its.retrieve({ vectors }, { deadline: 2 })).rejects.toMatchObject(
      code('DEADLINE'),
    );
    expect(its.statistics).toMatchObject({ queued: 1, running: 1 });
    control.open();
    expect([...(await begun).keys]).toEqual([7]);
    expect([...(await patient).keys]).toEqual([7]);
  });

  it('are dropped with what is left of them when they have begun only in part', async () => {
    const its = await pool;
    control.next('wait');
    const many = new Float32Array(300).fill(3);
    const asked = its.retrieve({ vectors: many }, { k: 1, deadline: 100 });
    await expect(asked).rejects.toMatchObject(code('DEADLINE'));
    control.open();
    expect([...(await its.retrieve({ vectors }, { k: 1 })).keys]).toEqual([7]);
  });

  it('fail with what is wrong with them, and the pool goes on', async () => {
    const its = await pool;
    const many = new Float32Array(200).fill(3);
    control.next('fail');
    const error = await its.retrieve({ vectors: many }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      ...code('WORKER'),
      message: `the user tower of ${PATH} failed: the tower is broken`,
    });
    control.next('shorten');
    await expect(its.retrieve({ vectors: many })).rejects.toMatchObject({
      ...code('DIMENSION'),
      message: 'the user tower must give a Float32Array of 64 vectors of 1 values, got 63 values',
    });
    control.next('spoil');
    await expect(its.retrieve({ vectors: many })).rejects.toMatchObject(code('NOT_FINITE'));
    // Told by the index, in the worker.
    await expect(its.retrieve({ vectors: many }, { k: 0 })).rejects.toMatchObject({
      ...code('ARGUMENT'),
      message: 'k must be an integer of at least 1, got 0',
    });
    expect([...(await its.retrieve({ vectors }, { k: 1 })).keys]).toEqual([7]);
  });
});

describe('a pool that is closed', () => {
  it('does what waits, takes no more, and lets go of the index', async () => {
    const before = native().shareCounts();
    const its = await RetrievalPool.create({ index, tower, workers: 1 });
    expect(native().shareCounts().shares).toBe(before.shares + 1);
    control.next('wait');
    const asked = Array.from({ length: 4 }, () => its.retrieve({ vectors }, { k: 1 }));
    await control.begun(1);
    const closing = its.close();
    await expect(its.retrieve({ vectors })).rejects.toMatchObject(code('CLOSED'));
    expect(its.statistics).toMatchObject({ queued: 3, running: 1, workers: 1 });
    control.open();
    for (const { keys } of await Promise.all(asked)) expect([...keys]).toEqual([7]);
    await closing;
    await its.close();
    await its[Symbol.asyncDispose]();
    expect(its.statistics).toEqual({ queued: 0, running: 0, completed: 4, failed: 0, workers: 0 });
    await expect(its.retrieve({ vectors })).rejects.toMatchObject(code('CLOSED'));
    expect(native().shareCounts()).toEqual(before);
  });

  it('does not wait for work that nobody waits for', async () => {
    const its = await RetrievalPool.create({ index, tower, workers: 1 });
    control.next('spin');
    const controller = new AbortController();
    const endless = its.retrieve({ vectors }, { signal: controller.signal });
    await control.begun(1);
    const closing = its.close();
    controller.abort();
    await expect(endless).rejects.toMatchObject(code('ABORTED'));
    await closing;
  });

  it('finds its worker where the package is compiled', () => {
    const program = `
      const { FlatIndex } = require('./dist/index/flat.js');
      const { RetrievalPool } = require('./dist/pool/retrieval-pool.js');
      const index = new FlatIndex({ dim: 1, metric: 'l2' });
      index.addSync([[1], [2]]);
      (async () => {
        const pool = await RetrievalPool.create({ index, tower: { kind: 'vectors' }, workers: 1 });
        const { keys } = await pool.retrieve({ vectors: Float32Array.of(2) }, { k: 1 });
        await pool.close();
        process.stdout.write('found ' + keys[0]);
      })();`;
    const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', program], {
      cwd: join(__dirname, '..', '..'),
      encoding: 'utf8',
      timeout: 50_000,
    });
    expect({ stdout, stderr, status }).toEqual({ stdout: 'found 1', stderr: '', status: 0 });
  });

  it('keeps no process alive, and an open one does so only while it works', () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, ['--import', 'tsx', CHILD], {
      encoding: 'utf8',
      timeout: 50_000,
    });
    expect({ stdout, stderr, status }).toEqual({ stdout: 'found 1', stderr: '', status: 0 });
  });
});
