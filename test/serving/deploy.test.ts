import { describe, expect, it, vi } from 'vitest';
import type { UserQuery } from '../../src/index.js';
import { outcome } from '../batching/helpers.js';
import {
  bestOf,
  breathe,
  deploymentOf,
  flatOf,
  gate,
  heldOf,
  isClosed,
  randomVectors,
  rowsOf,
  until,
  vectorOf,
} from './helpers.js';
import { quiet } from './services.js';

const items = randomVectors(50, 11);
describe('a service without a model', () => {
  it('is not ready, and says so at once', async () => {
    const service = quiet();
    expect(service).toMatchObject({ isReady: false, version: undefined });
    expect(await outcome(service.recommend({ user: 1 }))).toBe('ERR_LICHEN_NOT_READY');
    expect(await outcome(service.run('search', () => Promise.resolve(1)))).toBe(
      'ERR_LICHEN_NOT_READY',
    );
    service.forgetResults();
    await service.forgetUser('a');
    expect(service.stats()).toMatchObject({
      ...{ isReady: false, deployments: 0, deployment: undefined, inFlight: 0, admitted: 0 },
      outcomes: { shed: 2, ok: 0 },
    });
    await service.close();
  });
});

describe('deploying', () => {
  it('puts a model in service', async () => {
    const service = quiet();
    await service.deploy(deploymentOf(await flatOf(items), { version: 'first' }).deployment);
    expect(service).toMatchObject({ isReady: true, version: 'first' });
    expect(service.stats()).toMatchObject({
      ...{ isReady: true, deployments: 1 },
      deployment: { version: 'first', items: 50 },
    });
    await service.close();
  });

  it('asks the tower for samples before it takes requests', async () => {
    const service = quiet();
    const samples = Array.from({ length: 5 }, (_, user) => ({ user }));
    const slow = gate();
    const asked: unknown[] = [];
    const index = await heldOf(items);
    const { deployment } = deploymentOf(index, {
      samples,
      encode: async (queries) => {
        asked.push(...queries.map(({ user }) => user));
        await slow.promise;
        return queries.map(({ user }) => vectorOf(user));
      },
    });
    const deployed = service.deploy(deployment);
    await until(() => asked.length > 0);
    expect(service.isReady).toBe(false);
    expect(await outcome(service.recommend({ user: 1 }))).toBe('ERR_LICHEN_NOT_READY');
    slow.open();
    await deployed;
    expect(asked.sort()).toEqual([0, 1, 2, 3, 4]);
    expect(index.searches).toBeGreaterThan(0);
    // That is no traffic.
    expect(service.stats()).toMatchObject({ admitted: 0, outcomes: { ok: 0 } });
    await service.close();
  });

  it('repeats requests of late before samples, up to as many as are wanted', async () => {
    const service = quiet({ warmUp: 4 });
    await service.deploy(deploymentOf(await flatOf(items)).deployment);
    const queries: UserQuery[] = [
      { user: 'a' },
      { user: 'b', history: [3] },
      { context: { hour: 1 } },
    ];
    for (const query of queries) await service.recommend(query);
    const samples = [{ user: 's1' }, { user: 's2' }];
    const next = deploymentOf(await flatOf(items), { version: 'v2', samples });
    await service.deploy(next.deployment);
    const asked = next.asked.flat();
    expect(asked).toHaveLength(4);
    expect(asked).toEqual(expect.arrayContaining([...queries, samples[0]]) as unknown);
    await service.close();
  });

  it('remembers the latest requests of many', async () => {
    const service = quiet({ warmUp: 1000 });
    await service.deploy(deploymentOf(await flatOf(items)).deployment);
    for (let user = 0; user < 200; user++) await service.recommend({ user });
    const next = deploymentOf(await flatOf(items), { version: 'v2' });
    await service.deploy(next.deployment);
    const asked = next.asked
      .flat()
      .map(({ user }) => user as number)
      .sort((a, b) => a - b);
    expect(asked).toEqual(Array.from({ length: 64 }, (_, at) => 136 + at));
    await service.close();
  });

  it('can do without warming up', async () => {
    const service = quiet({ warmUp: 0 });
    const { deployment, asked } = deploymentOf(await flatOf(items), { samples: [{ user: 1 }] });
    await service.deploy(deployment);
    expect(asked).toEqual([]);
    await service.close();
  });

  it('is not kept from by users whom the new model does not know', async () => {
    const service = quiet();
    await service.deploy(
      deploymentOf(await flatOf(items), {
        samples: [{ user: 'unknown' }, { user: 'known' }],
        encode: (queries) =>
          queries.map(({ user }) => (user === 'unknown' ? new Error('who?') : vectorOf(user))),
      }).deployment,
    );
    expect(service.isReady).toBe(true);
    await service.close();
  });

  it('of what cannot answer anybody fails, and leaves what is in service and the new index alone', async () => {
    const service = quiet();
    const [old, broken] = [await flatOf(items), await flatOf(items)];
    const closed = vi.fn();
    await service.deploy(deploymentOf(old).deployment);
    const deployed = service.deploy(
      deploymentOf(broken, {
        ...{ version: 'broken', samples: [{ user: 1 }, { user: 2 }], close: closed },
        encode: () => Promise.reject(new RangeError('no weights')),
      }).deployment,
    );
    await expect(deployed).rejects.toThrow('no weights');
    expect(service).toMatchObject({ version: 'v1', isReady: true });
    expect(service.stats().deployments).toBe(1);
    expect((await service.recommend({ user: 'a' })).items).toEqual(
      rowsOf(bestOf(items, vectorOf('a'), { k: 5 })),
    );
    expect([isClosed(old), isClosed(broken)]).toEqual([false, false]);
    expect(closed).not.toHaveBeenCalled();
    broken.close();
    await service.close();
  });

  it('of what has a closed index fails', async () => {
    const service = quiet({ warmUp: 0 });
    const index = await flatOf(items);
    index.close();
    await expect(service.deploy(deploymentOf(index).deployment)).rejects.toThrow();
    expect(service.isReady).toBe(false);
    await service.close();
  });

  it('the index that is in service again does not end the service', async () => {
    const service = quiet();
    const { deployment } = deploymentOf(await flatOf(items));
    await service.deploy(deployment);
    // Refused or taken: but what is in service goes on.
    await service.deploy({ ...deployment, version: 'v2' }).catch(() => undefined);
    await breathe();
    expect((await service.recommend({ user: 'a' })).items).toEqual(
      rowsOf(bestOf(items, vectorOf('a'), { k: 5 })),
    );
    await service.close();
  });

  it('two at once is deploying one after the other', async () => {
    const service = quiet();
    const events: string[] = [];
    const gates = [gate(), gate()];
    const made = await Promise.all(
      gates.map(async ({ promise }, at) => {
        const { deployment } = deploymentOf(await flatOf(items), {
          ...{ version: `v${at}`, samples: [{ user: 1 }] },
          encode: async (queries) => {
            events.push(`v${at} asked`);
            await promise;
            return queries.map(({ user }) => vectorOf(user));
          },
          close: () => void events.push(`v${at} closed`),
        });
        return deployment;
      }),
    );
    const deployed = made.map((deployment, at) =>
      service.deploy(deployment).then(() => events.push(`v${at} in service`)),
    );
    gates[1]!.open();
    await until(() => events.length > 0);
    for (let turn = 0; turn < 5; turn++) await breathe();
    expect(events).toEqual(['v0 asked']);
    gates[0]!.open();
    await Promise.all(deployed);
    await until(() => events.includes('v0 closed'));
    expect(events).toEqual(['v0 asked', 'v0 in service', 'v1 asked', 'v1 in service', 'v0 closed']);
    expect(service.version).toBe('v1');
    await service.close();
    expect(events.at(-1)).toBe('v1 closed');
  });

  it('goes on after one that failed', async () => {
    const service = quiet();
    const bad = deploymentOf(await flatOf(items), {
      samples: [{ user: 1 }],
      encode: () => Promise.reject(new Error('bad')),
    });
    const good = deploymentOf(await flatOf(items), { version: 'good' });
    const [first, second] = [
      outcome(service.deploy(bad.deployment)),
      service.deploy(good.deployment),
    ];
    expect(await first).toBe('bad');
    await second;
    expect(service.version).toBe('good');
    bad.deployment.index.close();
    await service.close();
  });
});

describe('what was replaced', () => {
  it('is closed only after its last request, and its requests end with it', async () => {
    const service = quiet();
    const slow = gate();
    const begun = gate();
    const events: string[] = [];
    const old = await flatOf(items);
    await service.deploy(
      deploymentOf(old, {
        version: 'old',
        encode: async (queries) => {
          begun.open();
          await slow.promise;
          return queries.map(({ user }) => vectorOf(user));
        },
        close: () => void events.push(isClosed(old) ? 'index closed before' : 'index open'),
      }).deployment,
    );
    const request = service.recommend({ user: 'a' });
    await begun.promise;
    const others = items.map((item) => item.map((value) => -value));
    await service.deploy(deploymentOf(await flatOf(others), { version: 'new' }).deployment);
    const { items: got, explanation } = await service.recommend({ user: 'a' });
    expect(explanation.version).toBe('new');
    expect(got).toEqual(rowsOf(bestOf(others, vectorOf('a'), { k: 5 })));
    expect([isClosed(old), events.length]).toEqual([false, 0]);
    slow.open();
    const before = await request;
    expect(before.explanation.version).toBe('old');
    expect(before.items).toEqual(rowsOf(bestOf(items, vectorOf('a'), { k: 5 })));
    await until(() => isClosed(old) && events.length > 0);
    expect(events).toEqual(['index closed before']);
    await service.close();
  });

  it('may fail to close without harm', async () => {
    const service = quiet();
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const close = vi.fn(() => Promise.reject(new Error('will not')));
    await service.deploy(deploymentOf(await flatOf(items), { close }).deployment);
    await service.deploy(deploymentOf(await flatOf(items), { version: 'v2' }).deployment);
    await until(() => warned.mock.calls.length > 0);
    expect(String(warned.mock.calls[0]![0])).toContain('will not');
    expect(await service.recommend({ user: 1 })).toHaveProperty('items');
    await service.close();
    warned.mockRestore();
  });
});
