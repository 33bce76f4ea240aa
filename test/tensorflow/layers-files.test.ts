import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { openLayersModel, saveLayersModel } from '../../src/tensorflow/layers-files.js';
import { loadTensorFlow } from '../../src/tensorflow/tensorflow.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

describe('files of models', () => {
  const at = temporaryFolder();
  let model: tf.LayersModel;
  beforeAll(async () => {
    await loadTensorFlow('cpu');
    model = tf.sequential({
      layers: [
        tf.layers.dense({ units: 3, inputShape: [2], activation: 'relu' }),
        tf.layers.batchNormalization(),
      ],
    });
    await saveLayersModel(model, at('model'));
  });
  const output = (of: tf.LayersModel): number[] =>
    tf.tidy(() => [...(of.predict(tf.tensor2d([[1, -2]])) as tf.Tensor).dataSync()]);

  it('gives the same model back', async () => {
    const opened = await openLayersModel(at('model'));
    expect(output(opened)).toEqual(output(model));
    expect(opened.getWeights()).toHaveLength(6);
  });

  it('writes what TensorFlow.js reads by itself', async () => {
    const json = JSON.parse(
      readFileSync(join(at('model'), 'model.json'), 'utf8'),
    ) as tf.io.ModelJSON;
    const bytes = Uint8Array.from(readFileSync(join(at('model'), 'weights.bin')));
    const weights = json.weightsManifest.flatMap((group) => group.weights);
    const opened = await tf.loadLayersModel(
      tf.io.fromMemory({
        modelTopology: json.modelTopology,
        weightSpecs: weights,
        weightData: bytes.buffer,
      }),
    );
    expect(output(opened)).toEqual(output(model));
  });

  it('reads weights in several files', async () => {
    const json = JSON.parse(
      readFileSync(join(at('model'), 'model.json'), 'utf8'),
    ) as tf.io.ModelJSON;
    const bytes = readFileSync(join(at('model'), 'weights.bin'));
    mkdirSync(at('shards'));
    writeFileSync(join(at('shards'), 'a.bin'), bytes.subarray(0, 5));
    writeFileSync(join(at('shards'), 'b.bin'), bytes.subarray(5));
    json.weightsManifest[0]!.paths = ['a.bin', 'b.bin'];
    writeFileSync(join(at('shards'), 'model.json'), JSON.stringify(json));
    expect(output(await openLayersModel(at('shards')))).toEqual(output(model));
  });

  it.each(['../model/weights.bin', '/etc/passwd', '..', ''])(
    'does not follow a name that leads out of the folder: %j',
    async (path) => {
      const json = JSON.parse(
        readFileSync(join(at('model'), 'model.json'), 'utf8'),
      ) as tf.io.ModelJSON;
      json.weightsManifest[0]!.paths = [path];
      mkdirSync(at('out'), { recursive: true });
      writeFileSync(join(at('out'), 'model.json'), JSON.stringify(json));
      await expect(openLayersModel(at('out'))).rejects.toMatchObject({
        code: 'ERR_LICHEN_FORMAT',
        message: expect.stringContaining('is no file beside it') as string,
      });
    },
  );

  it.each([
    ['no JSON', 'x'],
    ['no model', '{}'],
    ['a list', '[]'],
    [
      'a model without weights',
      '{"modelTopology":{"class_name":"Sequential","config":[]},"weightsManifest":[{"paths":["weights.bin"],"weights":[]}]}',
    ],
  ])('says what is no model: %s', async (_, text) => {
    mkdirSync(at('other'), { recursive: true });
    writeFileSync(join(at('other'), 'model.json'), text);
    await expect(openLayersModel(at('other'))).rejects.toMatchObject({
      code: expect.stringMatching(/ERR_LICHEN_(FORMAT|NOT_FOUND)/) as string,
    });
  });

  it('says what is missing', async () => {
    await expect(openLayersModel(at('nowhere'))).rejects.toMatchObject({
      code: 'ERR_LICHEN_NOT_FOUND',
    });
    await expect(saveLayersModel(model, join(at('nowhere'), 'x'))).rejects.toMatchObject({
      code: 'ERR_LICHEN_NOT_FOUND',
    });
  });
});
