import { pass } from '../batching/helpers.js';
import { describe, expect, it, vi } from 'vitest';
import type { SharedEntry, SharedTier } from '../../src/cache/shared-tier.js';
import {
  AMPLE,
  bestOf,
  DIM,
  gate,
  rowsOf,
  settled,
  stopClock,
  until,
  vectorOf,
} from './helpers.js';
import { cacheOf, KEPT_ITEMS as items, keeping as serving } from './services.js';

const vectorCache = { maxBytes: 1 << 20, ttlMs: AMPLE };
const resultCache = { maxUsers: 1000, ttlMs: AMPLE };

describe('vectors that are kept', () => {
  it('are not asked for again, and give the same', async () => {
    const { service, asked } = await serving({ vectorCache });
    const first = await service.recommend({ user: 'a' }, { k: 5 });
    const again = await service.recommend({ user: 'a' }, { k: 5 });
    const other = await service.recommend({ user: 'a' }, { k: 9, exclude: [first.items[0]!] });
    expect(asked).toEqual([[{ user: 'a' }]]);
    expect([first, again, other].map(({ explanation }) => explanation.cache)).toEqual([
      'none',
      'vector',
      'vector',
    ]);
    expect(again.items).toEqual(first.items);
    const without = [first.items[0] as number];
    expect(other.items).toEqual(rowsOf(bestOf(items, vectorOf('a'), { k: 9, without })));
    expect(again.explanation.steps.map(({ name }) => name)).toEqual(['encode', 'retrieval']);
    await service.close();
  });

  it('are of one user each: 7, "7", "#7" and "##7" are four', async () => {
    const { service, asked } = await serving({ vectorCache, resultCache });
    const users = [
      7,
      '7',
      '#7',
      '##7',
      '',
      '#',
      '##',
      ' ',
      -7,
      '-7',
      '#-7',
      0,
      '0',
      '#0',
      '__proto__',
    ];
    for (let round = 0; round < 2; round++) {
      for (const user of users) {
        const { items: got } = await service.recommend({ user }, { k: 5 });
        expect(got).toEqual(rowsOf(bestOf(items, vectorOf(user), { k: 5 })));
      }
    }
    expect(asked.flat().map(({ user }) => user)).toEqual(users);
    await service.close();
  });

  it('can be those of users with very long or odd names', async () => {
    const { service, asked } = await serving({ vectorCache, resultCache });
    const users = ['x'.repeat(200_000), 'x'.repeat(200_001), '\ud800', '\0', '\n'];
    for (const user of [...users, ...users]) {
      expect((await service.recommend({ user }, { k: 5 })).items).toEqual(
        rowsOf(bestOf(items, vectorOf(user), { k: 5 })),
      );
    }
    expect(asked.flat()).toHaveLength(users.length);
    await service.close();
  });

  it.each([{ history: [] }, { history: [1] }, { context: {} }, { context: { hour: 5 } }])(
    'are neither used nor made for a request with %j',
    async (more) => {
      const { service, asked } = await serving({ vectorCache, resultCache });
      for (let round = 0; round < 2; round++) {
        expect(await cacheOf(service, { user: 'a', ...more })).toBe('none');
      }
      expect(await cacheOf(service, { user: 'a' })).toBe('none');
      expect(await cacheOf(service, { user: 'a', ...more })).toBe('none');
      expect(asked).toHaveLength(4);
      await service.close();
    },
  );

  it('are not those of a request without a user', async () => {
    const { service, asked } = await serving({ vectorCache, resultCache });
    for (let round = 0; round < 2; round++) expect(await cacheOf(service, {})).toBe('none');
    expect(asked).toHaveLength(2);
    await service.close();
  });

  it('are forgotten with their user, and of no other', async () => {
    const { service, asked } = await serving({ vectorCache, resultCache });
    for (const user of ['a', 'b', 7, '7']) await service.recommend({ user });
    await service.forgetUser('a');
    await service.forgetUser(7);
    asked.length = 0;
    expect(await cacheOf(service, { user: 'b' })).toBe('result');
    expect(await cacheOf(service, { user: '7' })).toBe('result');
    expect(await cacheOf(service, { user: 'a' })).toBe('none');
    expect(await cacheOf(service, { user: 7 })).toBe('none');
    expect(asked).toEqual([[{ user: 'a' }], [{ user: 7 }]]);
    await service.close();
  });

  it('are not those of before the user was forgotten, when that happens while the tower is at work', async () => {
    let taste = vectorOf('old taste');
    const [begun, slow] = [gate(), gate()];
    const { service } = await serving(
      { vectorCache },
      {
        encode: async () => {
          const vector = taste;
          begun.open();
          await slow.promise;
          return [vector];
        },
      },
    );
    const before = service.recommend({ user: 'a' }, { k: 5 });
    await begun.promise;
    taste = vectorOf('new taste');
    await service.forgetUser('a');
    slow.open();
    expect((await before).items).toEqual(rowsOf(bestOf(items, vectorOf('old taste'), { k: 5 })));
    const after = await service.recommend({ user: 'a' }, { k: 5 });
    expect(after.items).toEqual(rowsOf(bestOf(items, vectorOf('new taste'), { k: 5 })));
    await service.close();
  });

  it('do not change with an array that the tower uses again', async () => {
    const shared = new Float32Array(DIM);
    const { service } = await serving(
      { vectorCache },
      {
        encode: ([query]) => {
          shared.set(vectorOf(query!.user));
          return shared;
        },
      },
    );
    const { items: first } = await service.recommend({ user: 'a' }, { k: 5 });
    await service.recommend({ user: 'b' });
    const again = await service.recommend({ user: 'a' }, { k: 5 });
    expect(again.explanation.cache).toBe('vector');
    expect(again.items).toEqual(first);
    await service.close();
  });

  it('are not those of somebody whose name the caller has put into the same object meanwhile', async () => {
    const { service } = await serving({ vectorCache, resultCache });
    const query = { user: 'a' };
    const answer = service.recommend(query, { k: 5 });
    query.user = 'b';
    const of = (user: string): number[] => rowsOf(bestOf(items, vectorOf(user), { k: 5 }));
    expect((await answer).items).toEqual(of('a'));
    expect((await service.recommend({ user: 'a' }, { k: 5 })).items).toEqual(of('a'));
    await service.close();
  });

  it('are none that are no numbers: the next request asks anew', async () => {
    let isBroken = true;
    const { service } = await serving(
      { vectorCache },
      { encode: ([query]) => [isBroken ? new Float32Array(DIM).fill(NaN) : vectorOf(query!.user)] },
    );
    await expect(service.recommend({ user: 'a' })).rejects.toThrow();
    isBroken = false;
    const { items: got } = await service.recommend({ user: 'a' }, { k: 5 });
    expect(got).toEqual(rowsOf(bestOf(items, vectorOf('a'), { k: 5 })));
    await service.close();
  });

  it('last as long as they may, and no longer', async () => {
    stopClock();
    try {
      const { service, asked } = await serving({ vectorCache: { maxBytes: 1 << 20, ttlMs: 1000 } });
      const cached = (): Promise<string> => settled(cacheOf(service, { user: 'a' }));
      expect(await cached()).toBe('none');
      // A tenth of the time may be taken off, so that not all end at once.
      await pass(890);
      expect(await cached()).toBe('vector');
      await pass(111);
      expect(await cached()).toBe('none');
      expect(asked).toHaveLength(2);
      await settled(service.close());
    } finally {
      vi.useRealTimers();
    }
  });

  it('are shared with another service of the same version, and not with one of another', async () => {
    const shared = new MapTier();
    const cache = { ...vectorCache, shared, sharedTimeoutMs: AMPLE };
    const one = await serving({ vectorCache: cache });
    await one.service.recommend({ user: 'a' });
    await until(() => shared.held.size > 0);
    const same = await serving({ vectorCache: cache });
    expect(await cacheOf(same.service, { user: 'a' })).toBe('vector');
    expect(same.asked).toEqual([]);
    const newer = await serving({ vectorCache: cache }, { version: 'v2' });
    expect(await cacheOf(newer.service, { user: 'a' })).toBe('none');
    await Promise.all([one, same, newer].map(({ service }) => service.close()));
  });
});

/** A tier in memory that several services share. */
class MapTier implements SharedTier {
  readonly held = new Map<string, Uint8Array>();
  async getMany(keys: readonly string[]) {
    return Promise.resolve(keys.map((key) => this.held.get(key) ?? null));
  }
  async setMany(entries: readonly SharedEntry[]) {
    for (const { key, bytes } of entries) this.held.set(key, bytes);
    return Promise.resolve();
  }
  fillMany(entries: readonly SharedEntry[]) {
    return this.setMany(entries);
  }
  publish = (): Promise<void> => Promise.resolve();
  subscribe = () => () => undefined;
  close = (): Promise<void> => Promise.resolve();
}
