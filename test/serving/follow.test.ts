import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { publishIndex } from '../../src/index/published.js';
import type { VectorIndex } from '../../src/index/vector-index.js';
import { followPublished, type FollowOptions, type Following } from '../../src/serving/follow.js';
import { Recommender } from '../../src/serving/recommender.js';
import { outcome } from '../batching/helpers.js';
import {
  AMPLE,
  bestOf,
  deploymentOf,
  flatOf,
  gate,
  isClosed,
  randomVectors,
  rowsOf,
  until,
  vectorOf,
} from './helpers.js';

const itemsOf = (version: number): Float32Array[] => randomVectors(40, 100 + version);

let folder: string;
let service: Recommender;
let following: Following | undefined;
let opened: VectorIndex[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lichen-follow-'));
  service = new Recommender({ slo: AMPLE, k: 5 });
  opened = [];
  following = undefined;
});
afterEach(async () => {
  await following?.close();
  await service.close();
  await rm(folder, { recursive: true });
});

async function publish(version: number): Promise<void> {
  const index = await flatOf(itemsOf(version));
  expect(await publishIndex(folder, index, { modelVersion: `m${version}` })).toBe(version);
  index.close();
}

function follow(changes: Partial<FollowOptions<number>> = {}): Promise<Following> {
  return followPublished<number>(service, folder, {
    pollInterval: 0,
    deployment: (index, { modelVersion }) => {
      opened.push(index);
      return deploymentOf(index, { version: modelVersion! }).deployment;
    },
    ...changes,
  });
}

async function serves(version: number): Promise<void> {
  const { items, explanation } = await service.recommend({ user: 'a' });
  expect(explanation.version).toBe(`m${version}`);
  expect(items).toEqual(rowsOf(bestOf(itemsOf(version), vectorOf('a'), { k: 5 })));
}

describe('following a folder', () => {
  it('needs something to be published there', async () => {
    expect(await outcome(follow())).toBe('ERR_LICHEN_NOT_FOUND');
    expect(service.isReady).toBe(false);
  });

  it('puts what is there in service, and what is published later', async () => {
    await publish(1);
    const onDeployed = vi.fn();
    following = await follow({ onDeployed });
    await serves(1);
    expect(await following.refresh()).toBe(false);
    expect(opened).toHaveLength(1);
    await publish(2);
    await serves(1);
    expect(await following.refresh()).toBe(true);
    await serves(2);
    await until(() => isClosed(opened[0]!));
    expect(
      onDeployed.mock.calls.map(([published]) => (published as { version: number }).version),
    ).toEqual([1, 2]);
    expect(isClosed(opened[1]!)).toBe(false);
  });

  it('begins with the newest of several', async () => {
    await publish(1);
    await publish(2);
    following = await follow();
    await serves(2);
    await publish(3);
    await publish(4);
    expect(await following.refresh()).toBe(true);
    await serves(4);
    expect(opened).toHaveLength(2);
  });

  it('is one look for several that are asked for at once', async () => {
    await publish(1);
    following = await follow();
    await publish(2);
    const looks = await Promise.all([1, 2, 3].map(() => following!.refresh()));
    expect(looks).toContain(true);
    expect(opened).toHaveLength(2);
    await serves(2);
  });

  it('keeps what is in service when the newer one fails, closes that, and tries it again', async () => {
    await publish(1);
    let isBroken = true;
    following = await follow({
      deployment: (index, { modelVersion, version }) => {
        opened.push(index);
        if (version === 2 && isBroken) throw new RangeError('no such model');
        return deploymentOf(index, { version: modelVersion! }).deployment;
      },
    });
    await publish(2);
    for (let round = 0; round < 2; round++) {
      await expect(following.refresh()).rejects.toThrow('no such model');
      await serves(1);
      expect(isClosed(opened.at(-1)!)).toBe(true);
    }
    isBroken = false;
    expect(await following.refresh()).toBe(true);
    await serves(2);
    expect(opened).toHaveLength(4);
  });

  it('closes what could not be warmed up', async () => {
    await publish(1);
    const closed = vi.fn();
    following = await follow({
      deployment: (index, { modelVersion, version }) => {
        opened.push(index);
        return deploymentOf(index, {
          ...{ version: modelVersion!, samples: [{ user: 1 }], close: closed },
          ...(version === 2 && { encode: () => Promise.reject(new Error('no weights')) }),
        }).deployment;
      },
    });
    await publish(2);
    await expect(following.refresh()).rejects.toThrow('no weights');
    await serves(1);
    expect([isClosed(opened[0]!), isClosed(opened[1]!)]).toEqual([false, true]);
    // Also what the deployment opened besides the index: nobody else could.
    expect(closed).toHaveBeenCalledTimes(1);
  });

  it('fails at the beginning for what cannot be deployed', async () => {
    await publish(1);
    const failing = follow({
      deployment: (index) => {
        opened.push(index);
        return Promise.reject(new Error('no model'));
      },
    });
    expect(await outcome(failing)).toBe('no model');
    expect(isClosed(opened[0]!)).toBe(true);
  });

  it('survives a damaged folder', async () => {
    await publish(1);
    following = await follow();
    await writeFile(join(folder, 'manifest.json'), 'rubbish');
    expect(await outcome(following.refresh())).toBe('ERR_LICHEN_FORMAT');
    await serves(1);
  });

  it('looks by itself, tells of errors, and does not stop for what its listeners throw', async () => {
    await publish(1);
    const errors: unknown[] = [];
    let isBroken = true;
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    try {
      following = await follow({
        pollInterval: 1,
        deployment: (index, { modelVersion, version }) => {
          if (version === 2 && isBroken) throw new Error('not yet');
          return deploymentOf(index, { version: modelVersion! }).deployment;
        },
        onError: (error) => {
          errors.push(error);
          throw new Error('a listener that fails');
        },
      });
      await publish(2);
      await until(() => errors.length >= 2);
      await serves(1);
      isBroken = false;
      await until(() => service.version === 'm2');
      await serves(2);
      expect(errors[0]).toMatchObject({ message: 'not yet' });
      expect(unhandled).not.toHaveBeenCalled();
    } finally {
      process.off('unhandledRejection', unhandled);
    }
  });

  it('ends when it is closed; what is in service stays', async () => {
    await publish(1);
    following = await follow({ pollInterval: 1 });
    await following.close();
    await following.close();
    await publish(2);
    for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(opened).toHaveLength(1);
    await serves(1);
  });

  it('waits for a look that is at work when it is closed', async () => {
    await publish(1);
    const slow = gate();
    following = await follow({
      deployment: async (index, { modelVersion, version }) => {
        opened.push(index);
        if (version === 2) await slow.promise;
        return deploymentOf(index, { version: modelVersion! }).deployment;
      },
    });
    await publish(2);
    const look = following.refresh();
    await until(() => opened.length === 2);
    let isOver = false;
    const closing = following.close().then(() => (isOver = true));
    expect(isOver).toBe(false);
    slow.open();
    expect(await look).toBe(true);
    await closing;
    await serves(2);
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['no deployment', {}],
    ['a deployment that is none', { deployment: 5 }],
    ['a negative interval', { deployment: () => undefined, pollInterval: -1 }],
    ['no interval', { deployment: () => undefined, pollInterval: NaN }],
    ['an unknown option', { deployment: () => undefined, map: true }],
    ['a listener that is none', { deployment: () => undefined, onError: 'log' }],
    ['another listener that is none', { deployment: () => undefined, onDeployed: {} }],
  ])('refuses %s', async (_what, options) => {
    await publish(1);
    expect(await outcome(followPublished(service, folder, options as never))).toBe(
      'ERR_LICHEN_ARGUMENT',
    );
  });

  it.each([[''], [5], [null], ['a\0b']])('refuses %j as a folder', async (path) => {
    expect(
      await outcome(
        followPublished(service, path as never, { deployment: () => undefined as never }),
      ),
    ).toBe('ERR_LICHEN_ARGUMENT');
  });
});
