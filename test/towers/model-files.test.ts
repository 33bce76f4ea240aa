import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { interactionsFromPairs } from '../../src/interactions/interactions.js';
import { TwoTowerModel } from '../../src/towers/two-tower-model.js';
import { matrix } from '../../src/vectors/matrix.js';
import { writeMatrix } from '../../src/vectors/files.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

type Json = Record<string, unknown>;

const at = temporaryFolder();
const PARTS = [
  'item-sums.npy',
  'items.json',
  'items.npy',
  'model.json',
  'table.npy',
  'users.json',
  'users.npy',
];
const readJson = (path: string): Json => JSON.parse(readFileSync(path, 'utf8')) as Json;
const writeJson = (path: string, value: unknown): void =>
  writeFileSync(path, JSON.stringify(value));
const strangers = (): string[] => readdirSync(dirname(at('x'))).filter((name) => /tmp/.test(name));

let model: TwoTowerModel;
let other: TwoTowerModel;
beforeAll(async () => {
  const train = (users: (string | number)[]): Promise<TwoTowerModel> =>
    TwoTowerModel.train(interactionsFromPairs(users as string[], [0, 1, 2]), {
      dim: 4,
      epochs: 1,
      normalize: true,
      userTower: 'id',
    });
  model = await train(['ann', 'bob', 'ann']);
  other = await train([0, 1, 2]);
});

describe('save and open', () => {
  it('bring everything back', async () => {
    await model.save(at('model'), { metrics: { 'recall@20': 0.25 } });
    expect(readdirSync(at('model')).sort()).toEqual(PARTS);
    const opened = await TwoTowerModel.open(at('model'));
    expect(opened.userVectors).toEqual(model.userVectors);
    expect(opened.itemVectors).toEqual(model.itemVectors);
    expect(opened.users.toJSON()).toEqual(['ann', 'bob']);
    expect(opened.items.toJSON()).toEqual({ identity: 3 });
    expect(opened.metric).toBe('cosine');
    expect(opened.weights).toEqual(model.weights);
    expect(opened.info).toEqual({ ...model.info, metrics: { 'recall@20': 0.25 } });
    await opened.save(at('model'), { metrics: { 'ndcg@20': 0.5 } });
    expect((await TwoTowerModel.open(at('model'))).info.metrics).toEqual({
      'recall@20': 0.25,
      'ndcg@20': 0.5,
    });
    expect(strangers()).toEqual([]);
  });

  it('replace a model, an empty folder and what a link points to', async () => {
    await other.save(`${at('model')}/`);
    expect((await TwoTowerModel.open(at('model'))).users.size).toBe(3);
    mkdirSync(at('empty'));
    await model.save(at('empty'));
    expect(readdirSync(at('empty')).sort()).toEqual(PARTS);
    symlinkSync(at('empty'), at('link'));
    await other.save(at('link'));
    expect((await TwoTowerModel.open(at('empty'))).users.size).toBe(3);
    expect(strangers()).toEqual([]);
  });
});

describe('a model of features', () => {
  const features = {
    itemFeatures: {
      genre: { type: 'categorical', values: ['jazz', ['jazz', 'pop'], null] },
      year: { type: 'numeric', values: [1, 2, NaN] },
    },
    userFeatures: { about: { type: 'text', values: ['a b', 'c'], buckets: 8 } },
  } as const;
  const pairs = interactionsFromPairs(['ann', 'bob', 'ann', 'bob'], [0, 1, 2, 0]);

  it.each(['history', 'attention', 'id'] as const)('comes back whole: %s', async (userTower) => {
    const options = { dim: 4, epochs: 1, userTower, maxHistory: 3, layers: 1 };
    const trained = await TwoTowerModel.train(pairs, options, features);
    await trained.save(at(userTower));
    expect(readdirSync(at(userTower)).sort()).toEqual(PARTS);
    const opened = await TwoTowerModel.open(at(userTower));
    const { schema, ...weights } = trained.weights;
    expect(opened.weights).toMatchObject(weights);
    const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
    expect(plain(opened.weights.schema)).toEqual(plain(schema));
    const users = [{ history: [2, 1], features: { about: 'b c' } }, { history: [] }];
    expect(await opened.encodeNewUsers(users)).toEqual(await trained.encodeNewUsers(users));
    const items = [{ genre: 'pop', year: 4 }];
    expect(opened.encodeNewItems(items)).toEqual(trained.encodeNewItems(items));
  });

  it.each([
    ['itemFeatures', [{ name: 'x', type: 'colour' }]],
    ['itemFeatures', [{ name: 'x', type: 'categorical', vocabulary: ['a', 'a'] }]],
    ['itemFeatures', [{ name: 'x', type: 'numeric', mean: 0, deviation: 0 }]],
    ['userFeatures', [{ name: 'x', type: 'text', buckets: 0.5 }]],
    ['userFeatures', [null]],
    ['userTower', 'attention'],
    ['userTower', 'other'],
    ['network', { layers: 1, maxHistory: 1 }],
    ['unknownUser', [1, 2, 3]],
    ['unknownUser', [1, 2, 3, null]],
  ])('is refused with another %s: %j', async (name, value) => {
    await model.save(at('towers'));
    const path = join(at('towers'), 'model.json');
    const { towers, ...rest } = readJson(path) as { towers: Json };
    writeJson(path, { ...rest, towers: { ...towers, [name]: value } });
    await expect(TwoTowerModel.open(at('towers'))).rejects.toMatchObject({
      code: 'ERR_LICHEN_FORMAT',
      message: expect.stringContaining('towers must be') as string,
    });
  });

  it('is refused when its table has other rows', async () => {
    await model.save(at('towers'));
    const path = join(at('towers'), 'model.json');
    const { towers, ...rest } = readJson(path) as { towers: Json };
    const userFeatures = [{ name: 'x', type: 'text', buckets: 2 }];
    writeJson(path, { ...rest, towers: { ...towers, userFeatures } });
    await expect(TwoTowerModel.open(at('towers'))).rejects.toThrow(
      /table\.npy: expected 7 vectors of 4 values/,
    );
  });
});

describe('a model of format version 1', () => {
  it('is one of ids', async () => {
    await model.save(at('first'));
    const path = join(at('first'), 'model.json');
    const { towers, ...rest } = readJson(path) as { towers: Json };
    expect(towers).toBeDefined();
    for (const name of ['table.npy', 'item-sums.npy']) rmSync(join(at('first'), name));
    writeJson(path, { ...rest, version: 1 });
    const opened = await TwoTowerModel.open(at('first'));
    expect(opened.info.options.userTower).toBe('id');
    expect(opened.itemVectors).toEqual(model.itemVectors);
    const { table } = opened.weights;
    expect(table.data).toEqual(
      Float32Array.from([...model.itemVectors.data, ...model.userVectors.data]),
    );
    expect(await opened.encodeNewUsers([{ history: [1] }])).toHaveLength(4);
    await opened.save(at('second'));
    expect((await TwoTowerModel.open(at('second'))).weights.table).toEqual(table);
  });
});

describe('save', () => {
  it('leaves alone what is no model', async () => {
    writeFileSync(at('file'), 'mine');
    mkdirSync(at('folder'));
    writeFileSync(at('folder/notes.txt'), 'mine');
    await model.save(at('annotated'));
    writeFileSync(at('annotated/notes.txt'), 'mine');
    for (const [name, reason] of [
      ['file', 'it is not a folder'],
      ['folder', 'no lichen model'],
      ['annotated', 'it holds notes.txt'],
    ] as const) {
      await expect(model.save(at(name))).rejects.toMatchObject({
        code: 'ERR_LICHEN_IO',
        message: expect.stringContaining(reason) as string,
      });
    }
    expect(readFileSync(at('file'), 'utf8')).toBe('mine');
    expect(readdirSync(at('folder'))).toEqual(['notes.txt']);
    expect(readdirSync(at('annotated'))).toHaveLength(8);
    expect(strangers()).toEqual([]);
  });

  it('leaves nothing behind when it fails', async () => {
    await expect(model.save(at('no/such'))).rejects.toMatchObject({ code: 'ERR_LICHEN_NOT_FOUND' });
    const signal = AbortSignal.abort();
    await expect(model.save(at('aborted'), { signal })).rejects.toMatchObject({
      code: 'ERR_LICHEN_ABORTED',
    });
    const controller = new AbortController();
    const saving = other.save(at('model'), { signal: controller.signal });
    setImmediate(() => controller.abort());
    await saving.catch((error: unknown) =>
      expect(error).toMatchObject({ code: 'ERR_LICHEN_ABORTED' }),
    );
    await expect(model.save(at('bad'), { metrics: { loss: NaN } })).rejects.toMatchObject({
      code: 'ERR_LICHEN_ARGUMENT',
      message: 'metrics: "loss" must be a finite number, got NaN',
    });
    expect(existsSync(at('aborted'))).toBe(false);
    expect(existsSync(at('bad'))).toBe(false);
    expect((await TwoTowerModel.open(at('model'))).users.size).toBe(3);
    expect(strangers()).toEqual([]);
  });
});

describe('open', () => {
  const damaged = async (name: string, damage: (dir: string) => unknown): Promise<string> => {
    const dir = at(`damaged-${name}`);
    await model.save(at('whole'));
    rmSync(dir, { recursive: true, force: true });
    cpSync(at('whole'), dir, { recursive: true });
    await damage(dir);
    return dir;
  };
  const header =
    (changes: Json) =>
    (dir: string): void =>
      writeJson(join(dir, 'model.json'), { ...readJson(join(dir, 'model.json')), ...changes });
  /** Replaces a part so that its checksum holds. */
  const part = (dir: string, name: string): void => {
    const bytes = readFileSync(join(dir, name));
    const { files } = readJson(join(dir, 'model.json')) as { files: Json };
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    header({ files: { ...files, [name]: { bytes: bytes.length, sha256 } } })(dir);
  };
  const json = (name: string, text: string) => (dir: string) => {
    writeFileSync(join(dir, name), text);
    part(dir, name);
  };

  it('tolerates fields that it does not know', async () => {
    const { options, metrics } = model.info;
    const dir = await damaged(
      'unknown',
      header({ later: { on: 1 }, options: { ...options, later: 1 }, metrics }),
    );
    expect((await TwoTowerModel.open(dir)).info).toEqual(model.info);
  });

  it.each<[string, string, RegExp, (dir: string) => unknown]>([
    ['gone', 'NOT_FOUND', /no such file or folder/, (dir) => rmSync(dir, { recursive: true })],
    [
      'file',
      'FORMAT',
      /not a folder/,
      (dir) => (rmSync(dir, { recursive: true }), writeFileSync(dir, '')),
    ],
    ['headless', 'FORMAT', /model\.json is missing/, (dir) => rmSync(join(dir, 'model.json'))],
    ['partless', 'FORMAT', /items\.npy is missing/, (dir) => rmSync(join(dir, 'items.npy'))],
    [
      'malformed',
      'FORMAT',
      /model\.json: expected JSON/,
      (dir) => writeFileSync(join(dir, 'model.json'), '{'),
    ],
    [
      'array',
      'FORMAT',
      /expected a JSON object/,
      (dir) => writeFileSync(join(dir, 'model.json'), '[]'),
    ],
    [
      'format',
      'FORMAT',
      /format must be "lichen-two-tower", got "other"/,
      header({ format: 'other' }),
    ],
    ['newer', 'UNSUPPORTED', /version 3, this lichen reads up to 2/, header({ version: 3 })],
    ['version', 'FORMAT', /version must be/, header({ version: '1' })],
    ['metric', 'FORMAT', /metric must be dot or cosine, got "l2"/, header({ metric: 'l2' })],
    ['backend', 'FORMAT', /backend must be/, header({ backend: 7 })],
    ['dim', 'FORMAT', /options must be an object with dim 5/, header({ dim: 5 })],
    ['seconds', 'FORMAT', /seconds must be a number, got nothing/, header({ seconds: undefined })],
    ['towers', 'FORMAT', /towers must be what the towers are made of/, header({ towers: {} })],
    ['metrics', 'FORMAT', /metrics must be an object of numbers/, header({ metrics: { a: 'b' } })],
    ['files', 'FORMAT', /files must be/, header({ files: { 'users.npy': 1 } })],
    ['unlisted', 'FORMAT', /no checksum of users\.npy/, header({ files: {} })],
    ['options', 'FORMAT', /options: epochs must be/, header({ options: { dim: 4, epochs: 0 } })],
    ['users', 'FORMAT', /expected 9 vectors of 4 values/, header({ users: 9 })],
    ['items', 'FORMAT', /items\.npy: expected 2 vectors/, header({ items: 2 })],
    [
      'checksum',
      'FORMAT',
      /users\.json is corrupt: its checksum/,
      (dir) => writeJson(join(dir, 'users.json'), ['ann', 'eve']),
    ],
    [
      'vocabulary',
      'FORMAT',
      /users\.json: expected 2 ids.*got 3/,
      json('users.json', '["a","b","c"]'),
    ],
    [
      'numbers',
      'FORMAT',
      /users\.json: vocabulary: ids\[0\] must be a text/,
      json('users.json', '[1,2]'),
    ],
    [
      'twice',
      'FORMAT',
      /users\.json: vocabulary: ids must be distinct/,
      json('users.json', '["a","a"]'),
    ],
    ['text', 'FORMAT', /items\.json: expected JSON/, json('items.json', 'x')],
    [
      'width',
      'FORMAT',
      /users\.npy: expected 2 vectors of 4 values.*got 4 of 2/,
      async (dir) => {
        await writeMatrix(join(dir, 'users.npy'), matrix(new Float32Array(8), 2));
        part(dir, 'users.npy');
      },
    ],
  ])('refuses a model that is wrong: %s', async (name, code, message, damage) => {
    const dir = await damaged(name, damage);
    await expect(TwoTowerModel.open(dir)).rejects.toMatchObject({
      code: `ERR_LICHEN_${code}`,
      message: expect.stringMatching(message) as string,
    });
  });

  it('can be aborted', async () => {
    await model.save(at('whole'));
    await expect(
      TwoTowerModel.open(at('whole'), { signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: 'ERR_LICHEN_ABORTED' });
  });

  it('does not depend on where the folder lies', async () => {
    await model.save(at('here'));
    renameSync(at('here'), at('there'));
    expect((await TwoTowerModel.open(at('there'))).users.size).toBe(2);
  });
});
