import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Recommender } from '../../src/serving/recommender.js';
import { outcome } from '../batching/helpers.js';
import {
  AMPLE,
  breathe,
  deploymentOf,
  flatOf,
  gate,
  isClosed,
  randomVectors,
  stopClock,
  until,
  vectorOf,
} from './helpers.js';

afterEach(() => {
  vi.useRealTimers();
});

const items = randomVectors(50, 11);

async function held() {
  const [slow, begun] = [gate(), gate()];
  const index = await flatOf(items);
  const closed = vi.fn();
  const { deployment } = deploymentOf(index, {
    encode: async (queries) => {
      begun.open();
      await slow.promise;
      return queries.map(({ user }) => vectorOf(user));
    },
    close: closed,
  });
  const service = new Recommender({
    ...{ slo: AMPLE, k: 5, canaryShare: 1, warmUp: 0 },
    vectorCache: { maxBytes: 1 << 20, ttlMs: AMPLE },
    resultCache: { maxUsers: 10, ttlMs: AMPLE },
  });
  await service.deploy(deployment);
  return { service, index, slow, begun, closed, deployment };
}

describe('closing', () => {
  it('waits for requests at work, takes no others, and closes what is in service', async () => {
    const { service, index, slow, begun, closed } = await held();
    const request = service.recommend({ user: 'a' });
    await begun.promise;
    let isOver = false;
    const closing = service.close().then(() => (isOver = true));
    expect(service.isReady).toBe(false);
    expect(await outcome(service.recommend({ user: 'b' }))).toBe('ERR_LICHEN_CLOSED');
    expect(await outcome(service.run('other', () => Promise.resolve()))).toBe('ERR_LICHEN_CLOSED');
    for (let turn = 0; turn < 5; turn++) await breathe();
    expect([isOver, isClosed(index), closed.mock.calls.length]).toEqual([false, false, 0]);
    slow.open();
    expect((await request).items).toHaveLength(5);
    await closing;
    expect(isClosed(index)).toBe(true);
    expect(closed).toHaveBeenCalledTimes(1);
    expect(await outcome(service.recommend({ user: 'a' }))).toBe('ERR_LICHEN_CLOSED');
    expect(service.stats().outcomes).toMatchObject({ ok: 1, shed: 3 });
  });

  it('twice is closing once', async () => {
    const { service, closed } = await held();
    await Promise.all([service.close(), service.close()]);
    await service.close();
    await service[Symbol.asyncDispose]();
    expect(closed).toHaveBeenCalledTimes(1);
  });

  it('what has never served is nothing', async () => {
    const service = new Recommender();
    await service.close();
    expect(service.isReady).toBe(false);
    const index = await flatOf(items);
    expect(await outcome(service.deploy(deploymentOf(index).deployment))).toBe('ERR_LICHEN_CLOSED');
    expect(isClosed(index)).toBe(false);
    index.close();
  });

  it('leaves statistics to be read, and forgetting without effect', async () => {
    const { service } = await held();
    await service.close();
    expect(service.stats()).toMatchObject({ isReady: false, inFlight: 0 });
    expect(() => service.forgetResults()).not.toThrow();
    await expect(service.forgetUser('a')).resolves.toBeUndefined();
  });

  it('while a model is warmed up keeps it from service, and leaves its index to the caller', async () => {
    const { service, index } = await held();
    const [slow, begun] = [gate(), gate()];
    const next = await flatOf(items);
    const deployed = outcome(
      service.deploy(
        deploymentOf(next, {
          version: 'v2',
          encode: async (queries) => {
            begun.open();
            await slow.promise;
            return queries.map(({ user }) => vectorOf(user));
          },
        }).deployment,
      ),
    );
    // There is nothing to warm it up with here, so it may be in service already.
    expect(await deployed).toBeUndefined();
    expect(service.version).toBe('v2');
    await service.close();
    expect([isClosed(index), isClosed(next)]).toEqual([true, true]);

    const other = new Recommender({ slo: AMPLE });
    const late = await flatOf(items);
    const { deployment } = deploymentOf(late, {
      samples: [{ user: 1 }],
      encode: async (queries) => {
        begun.open();
        await slow.promise;
        return queries.map(({ user }) => vectorOf(user));
      },
    });
    const refused = outcome(other.deploy(deployment));
    await begun.promise;
    const closing = other.close();
    slow.open();
    expect(await refused).toBe('ERR_LICHEN_CLOSED');
    await closing;
    expect(isClosed(late)).toBe(false);
    late.close();
  });

  it('does not wait for a request for ever', async () => {
    stopClock();
    const { service, slow, index } = await held();
    const request = service.run('other', async (current) => {
      await slow.promise;
      return current.index.size;
    });
    let isOver = false;
    void service.close().then(() => (isOver = true));
    await breathe();
    await vi.advanceTimersByTimeAsync(9_000);
    await breathe();
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(1_000);
    await until(() => isOver);
    // The request still has its index.
    expect(isClosed(index)).toBe(false);
    slow.open();
    expect(await request).toBe(50);
    await until(() => isClosed(index));
  });

  it('is waited for by nothing else: the process ends by itself', async () => {
    const src = join(__dirname, '../../src/index.ts');
    const program = `
      const { FlatIndex, Recommender } = require(${JSON.stringify(src)});
      void (async () => {
        const index = new FlatIndex({ dim: 2, metric: 'dot' });
        await index.add([[1, 0], [0, 1]]);
        const service = new Recommender({
          slo: 60_000,
          canaryShare: 1,
          vectorCache: { maxBytes: 1 << 20, ttlMs: 3_600_000 },
          resultCache: { maxUsers: 10, ttlMs: 3_600_000 },
        });
        await service.deploy({ version: 'v', index, encode: (users) => users.map(() => [1, 2]) });
        const { items } = await service.recommend({ user: 1 }, { k: 2 });
        process.stdout.write(JSON.stringify(items));
        if (process.argv[1] === 'close') await service.close();
      })();
    `;
    for (const how of ['close', 'leave']) {
      const child = spawn(process.execPath, ['--require', 'tsx/cjs', '-e', program, how], {
        stdio: ['ignore', 'pipe', 'inherit'],
        cwd: join(__dirname, '../..'),
      });
      let said = '';
      child.stdout.on('data', (data) => (said += String(data)));
      const code = await new Promise((resolve) => child.on('exit', resolve));
      expect([said, code]).toEqual(['[1,0]', 0]);
    }
  });
});
