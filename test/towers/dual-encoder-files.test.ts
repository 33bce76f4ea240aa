import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadTensorFlow } from '../../src/tensorflow/tensorflow.js';
import { DualEncoder } from '../../src/towers/dual-encoder.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { groups, itemInputs, itemTower, quick, userInputs } from './networks.js';

describe('a saved DualEncoder', () => {
  const at = temporaryFolder();
  let trained: DualEncoder;
  beforeAll(async () => {
    await loadTensorFlow('cpu');
    trained = await DualEncoder.train(groups, { ...quick, epochs: 1, itemTower: itemTower() });
  });
  const open = (name: string): Promise<DualEncoder> =>
    DualEncoder.open(at(name), { itemInputs, backend: 'cpu' });

  it('is the same when it is opened', async () => {
    const encoder = trained;
    await encoder.save(at('one'), { metrics: { 'recall@20': 0.5 } });
    const opened = await open('one');
    expect(opened.info).toEqual({ ...encoder.info, metrics: { 'recall@20': 0.5 } });
    expect(await opened.encodeItems()).toEqual(await encoder.encodeItems());
    expect(await opened.encodeUsers()).toEqual(await encoder.encodeUsers());
    expect(opened.items.toJSON()).toEqual(groups.items.toJSON());
    const header = JSON.parse(readFileSync(join(at('one'), 'encoder.json'), 'utf8')) as object;
    expect(header).toMatchObject({
      format: 'lichen-dual-encoder',
      version: 1,
      towers: { user: { kind: 'table' }, item: { kind: 'layers', inputs: [{ shape: [null, 4] }] } },
    });
    // Once more, in place of what is there.
    await opened.save(at('one'));
    expect((await open('one')).info).toEqual(opened.info);
  });

  it.each([
    ['item-tower/weights.bin', 'cut'],
    ['item-tower/model.json', 'gone'],
    ['users.npy', 'cut'],
    ['users.json', 'gone'],
    ['encoder.json', 'cut'],
    ['encoder.json', 'gone'],
  ])('is not opened with %s %s', async (file, harm) => {
    await trained.save(at('harmed'));
    const path = join(at('harmed'), file);
    if (harm === 'cut') truncateSync(path, readFileSync(path).length - 2);
    else rmSync(path);
    await expect(open('harmed')).rejects.toMatchObject({ code: 'ERR_LICHEN_FORMAT' });
    rmSync(at('harmed'), { recursive: true });
  });

  it.each([
    ['version', 2, 'ERR_LICHEN_UNSUPPORTED'],
    ['version', 0, 'ERR_LICHEN_FORMAT'],
    ['format', 'other', 'ERR_LICHEN_FORMAT'],
    ['prefixes', [3], 'ERR_LICHEN_FORMAT'],
    ['metric', 'l2', 'ERR_LICHEN_FORMAT'],
    ['info', {}, 'ERR_LICHEN_FORMAT'],
    ['towers', { user: { kind: 'table' } }, 'ERR_LICHEN_FORMAT'],
    ['files', {}, 'ERR_LICHEN_FORMAT'],
  ])('is not opened with the %s %j', async (field, value, code) => {
    await trained.save(at('altered'));
    const path = join(at('altered'), 'encoder.json');
    const header = JSON.parse(readFileSync(path, 'utf8')) as object;
    writeFileSync(path, JSON.stringify({ ...header, [field]: value }));
    await expect(open('altered')).rejects.toMatchObject({ code });
    rmSync(at('altered'), { recursive: true });
  });

  it('needs the inputs of its networks, and none of its tables', async () => {
    await trained.save(at('inputs'));
    const opening = (options: object) =>
      DualEncoder.open(at('inputs'), { backend: 'cpu', ...options });
    await expect(opening({})).rejects.toThrow(/itemInputs must be a function/);
    await expect(opening({ itemInputs, userInputs })).rejects.toThrow(
      /userInputs must not be given/,
    );
    await expect(DualEncoder.open(at('nowhere'), { backend: 'cpu' })).rejects.toMatchObject({
      code: 'ERR_LICHEN_NOT_FOUND',
    });
  });

  it('leaves alone what is no dual encoder', async () => {
    const encoder = trained;
    mkdirSync(at('mine'));
    writeFileSync(join(at('mine'), 'note.txt'), 'mine');
    await expect(encoder.save(at('mine'))).rejects.toMatchObject({ code: 'ERR_LICHEN_IO' });
    expect(readFileSync(join(at('mine'), 'note.txt'), 'utf8')).toBe('mine');
    await expect(encoder.save(join(at('nowhere'), 'x'))).rejects.toMatchObject({
      code: 'ERR_LICHEN_NOT_FOUND',
    });
    await expect(encoder.save(at('new'), { metrics: { a: NaN } })).rejects.toThrow(/metrics\.a/);
    await expect(encoder.save(at('new'), { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_LICHEN_ABORTED',
    });
    await expect(DualEncoder.open(at('new'))).rejects.toMatchObject({
      code: 'ERR_LICHEN_NOT_FOUND',
    });
  });

  it('has no functions', async () => {
    const variables = [tf.variable(tf.ones<tf.Rank.R2>([4, 2]))] as const;
    const model = (x: tf.Tensor2D): tf.Tensor2D => tf.matMul(x, variables[0]);
    const spec = { model, inputs: itemInputs, variables };
    const encoder = await DualEncoder.train(groups, { ...quick, epochs: 1, itemTower: spec });
    await expect(encoder.save(at('function'))).rejects.toMatchObject({
      code: 'ERR_LICHEN_UNSUPPORTED',
      message: 'itemTower is a function, which cannot be saved; a LayersModel can',
    });
  });
});
