import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import {
  FlatIndex,
  HnswIndex,
  interactionsFromPairs,
  matrix,
  publishIndex,
  Random,
  TwoTowerModel,
} from '../../src/index.js';
import { configOf } from '../../src/cli/serve-config.js';
import { get, post } from '../http/helpers.js';
import { until } from '../servers/processes.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { lichen, lichenJson } from './run.js';

const MAIN = join(__dirname, '..', '..', 'dist', 'cli', 'main.js');
const DIM = 8;

const running: ChildProcess[] = [];

afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

/** A service of the command line, once it listens. */
async function start(...args: string[]) {
  const child = spawn(process.execPath, [MAIN, 'serve', '--port', '0', '--json', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const exited = once(child, 'exit').then(() => {
    throw new Error(`lichen serve ended: ${errors}`);
  });
  const line = once(createInterface(child.stdout), 'line') as Promise<[string]>;
  const [told] = await Promise.race([line, exited]);
  exited.catch(() => undefined);
  const { url, version } = JSON.parse(told) as { url: string; version: string };
  return { child, url, version };
}

function vectors(rows: number, seed = 1): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: rows * DIM }, () => random.gaussian());
}

describe('lichen serve', () => {
  const at = temporaryFolder();
  const config = (content: object): string => {
    const path = at('serve.json');
    writeFileSync(path, JSON.stringify({ log: false, ...content }));
    return path;
  };

  it('serves a snapshot, and ends when it is told to', async () => {
    const index = new FlatIndex({ dim: DIM, metric: 'dot' });
    await index.add(vectors(20));
    await index.save(at('items.lichen'));
    const { child, url } = await start('--config', config({ index: 'items.lichen' }));
    const [first] = (await index.search(vectors(1, 2), { k: 1 })).keys;
    const { body } = await post(`${url}/v1/search`, { vectors: [[...vectors(1, 2)]], k: 1 });
    expect(body['results']).toMatchObject([{ ids: [first] }]);
    const asked = await post(`${url}/v1/recommend`, { user: 1 });
    expect([asked.status, asked.body]).toMatchObject([
      409,
      { error: { code: 'ERR_LICHEN_UNSUPPORTED' } },
    ]);
    expect((await post(`${url}/v1/upsert`, { ids: [1], vectors: [[1]] })).status).toBe(404);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  it('keeps acknowledged changes through the end of the process at any moment', async () => {
    const index = new HnswIndex({ dim: DIM, metric: 'dot' });
    await index.add(vectors(20), { keys: Array.from({ length: 20 }, (_, row) => row) });
    await index.save(at('items.lichen'));
    index.close();
    const path = config({ index: 'items.lichen', durability: 'sync' });
    const before = await start('--config', path);
    const vector = [...vectors(1, 3)].map((value) => 100 * value);
    const answer = await post(`${before.url}/v1/upsert`, { ids: [500], vectors: [vector] });
    expect(answer.body).toEqual({ upserted: 1, size: 21 });
    expect((await post(`${before.url}/v1/delete`, { ids: [3] })).status).toBe(200);
    before.child.kill('SIGKILL');
    await once(before.child, 'exit');
    const { url } = await start('--config', path);
    const { body } = await post(`${url}/v1/search`, { vectors: [vector], k: 20 });
    const [{ ids }] = body['results'] as [{ ids: number[] }];
    expect(ids[0]).toBe(500);
    expect(ids).toHaveLength(20);
    expect(ids).not.toContain(3);
  });

  it('goes over to what is published, model and index together', async () => {
    const train = interactionsFromPairs(
      Array.from({ length: 400 }, (_, pair) => pair % 40),
      Array.from({ length: 400 }, (_, pair) => (pair * 7) % 60),
    );
    const publish = async (version: string, seed: number) => {
      const model = await TwoTowerModel.train(train, {
        ...{ userTower: 'id', dim: DIM, epochs: 1, seed },
      });
      await model.save(at(version));
      const items = new HnswIndex({ dim: DIM, metric: 'dot' });
      await items.add(model.itemVectors);
      await publishIndex(at('items'), items, { modelVersion: version });
      return model;
    };
    /** Items by the dot product of a model's own vectors. */
    const best = (model: TwoTowerModel, user: number): string => {
      const vector = model.encodeUsers([user]);
      const { data, rows, dim } = model.itemVectors;
      const score = (row: number): number =>
        vector.reduce((sum, value, d) => sum + value * data[row * dim + d]!, 0);
      const order = Array.from({ length: rows }, (_, row) => row).sort(
        (a, b) => score(b) - score(a),
      );
      return model.items.idAt(order[0]!);
    };
    const first = await publish('first', 1);
    const { url, version } = await start(
      ...['--config', config({ index: 'items', model: '{version}' })],
    );
    expect(version).toBe('first');
    const ask = async (user: number) => {
      const { body } = await post(`${url}/v1/recommend`, { user, k: 1 });
      const [{ id }] = body['items'] as [{ id: string }];
      return { id, version: body['version'] };
    };
    expect(await ask(5)).toEqual({ id: best(first, 5), version: 'first' });
    const second = await publish('second', 2);
    await until(
      async () => (await get(`${url}/readyz`)).body['version'] === 'second',
      'the second version',
    );
    expect(await ask(5)).toEqual({ id: best(second, 5), version: 'second' });
  });

  it('takes a deployment of one’s own from a module', async () => {
    const index = new FlatIndex({ dim: DIM, metric: 'dot' });
    await index.add(matrix(vectors(20), DIM));
    await index.save(at('items.lichen'));
    writeFileSync(
      at('mine.mjs'),
      `export default ({ index }) => ({
        version: 'mine',
        index,
        encode: (users) => users.map(() => index.get(7)),
      });`,
    );
    const { url, version } = await start(
      ...['--config', config({ index: 'items.lichen', deployment: 'mine.mjs' })],
    );
    expect(version).toBe('mine');
    const { body } = await post(`${url}/v1/recommend`, { user: 'x', k: 20 });
    const order = (await index.search(index.get(7)!, { k: 20 })).keys;
    expect((body['items'] as { id: number }[]).map(({ id }) => id)).toEqual([...order]);
  });

  it('serves the built-in catalogue without a configuration', async () => {
    const { url } = await start();
    const { body } = await post(`${url}/v1/recommend`, {
      ...{ user: '7', k: 3, where: { genre: 'jazz' }, attributes: ['title', 'genre'] },
    });
    const items = body['items'] as { attributes: { title: string; genre: string } }[];
    expect(items.map(({ attributes }) => attributes.genre)).toEqual(['jazz', 'jazz', 'jazz']);
    expect(items[0]!.attributes.title).toMatch(/\w/);
  });

  it.each([
    ['what is no JSON', '{', 'ERR_LICHEN_FORMAT'],
    ['a list', '[]', 'ERR_LICHEN_FORMAT'],
    ['no index', '{}', 'ERR_LICHEN_ARGUMENT'],
    ['an index that is not there', '{"index":"no.lichen"}', 'ERR_LICHEN_NOT_FOUND'],
    ['a member that is not known', '{"index":"x","prot":1}', 'ERR_LICHEN_ARGUMENT'],
    [
      'a host for all without keys',
      '{"index":"items.lichen","host":"0.0.0.0"}',
      'ERR_LICHEN_ARGUMENT',
    ],
  ])('refuses %s', async (_, text, code) => {
    const index = new FlatIndex({ dim: DIM, metric: 'dot' });
    await index.add(vectors(3));
    await index.save(at('items.lichen'));
    writeFileSync(at('bad.json'), text);
    const { status, stdout, stderr } = lichen('serve', '--port', '0', '--config', at('bad.json'));
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toContain(code);
  });
});

describe('a configuration', () => {
  it('has paths from its own folder on, and defaults', () => {
    const { served, recommender, server } = configOf(
      { index: 'items', model: '../model', port: 1, tls: { cert: 'a', key: '/b' } },
      '/etc/lichen',
    );
    expect(served).toEqual({ index: '/etc/lichen/items', model: '/etc/model' });
    expect(server).toEqual({ port: 1, tls: { cert: '/etc/lichen/a', key: '/b' } });
    expect(recommender).toMatchObject({ canaryShare: 0.01 });
  });

  it.each([
    { index: 1 },
    { index: 'a', known: 'b' },
    { index: 'a', model: 'b', deployment: 'c' },
    { index: 'a', model: 'b', durability: 'sync' },
    { index: 'a', tls: { cert: 'b', keys: 'c' } },
    { index: 'a', vectorCache: { size: 1 } },
  ])('%j does not go together', (given) => {
    expect(() => configOf(given, '/')).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
    );
  });
});

describe('lichen publish', () => {
  const at = temporaryFolder();

  it('makes a snapshot the next version of a folder', async () => {
    const index = new FlatIndex({ dim: DIM, metric: 'dot' });
    await index.add(vectors(5));
    await index.save(at('items.lichen'));
    const args = ['publish', '--index', at('items.lichen'), '--folder', at('items')];
    const first = lichenJson<object>(...args, '--model-version', 'm1');
    expect(first).toMatchObject({ version: 1, modelVersion: 'm1' });
    expect(lichenJson<object>(...args, '--model-version', 'm2')).toMatchObject({ version: 2 });
    expect(lichen('publish', '--index', at('no.lichen'), '--folder', at('items')).status).toBe(1);
  });
});
