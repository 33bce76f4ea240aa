import { mkdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { io, LayersModel } from '@tensorflow/tfjs';
import { fileError, LichenError, LichenFileError } from '../errors.js';
import { writeAtomically } from '../vectors/atomic.js';
import { TFJS_VERSION } from './backends.js';
import { importPackage, requirePackage } from '../vectors/packages.js';

const TOPOLOGY = 'model.json';
const WEIGHTS = 'weights.bin';

/** The files of a folder that {@link saveLayersModel} writes. */
export const LAYERS_FILES: readonly string[] = [TOPOLOGY, WEIGHTS];

type TensorFlowLayers = typeof import('@tensorflow/tfjs');

/**
 * Writes a model of TensorFlow.js as model.json and weights.bin, the form that TensorFlow.js itself reads everywhere,
 * each file atomically. The folder is made if it is not there. Needs no package but those the model is of.
 * @throws ERR_LICHEN_NOT_FOUND when the folder around it is missing, ERR_LICHEN_IO.
 *
 * @example
 * await saveLayersModel(layers, 'ranker');
 */
export async function saveLayersModel(model: LayersModel, folder: string): Promise<void> {
  await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw fileError('write', folder, error);
  });
  await model.save({ save: (artifacts) => writeArtifacts(artifacts, folder) });
}

/**
 * Reads a model that {@link saveLayersModel}, tfjs-node or the converter of TensorFlow.js wrote as a folder with a
 * model.json.
 * @throws ERR_LICHEN_MISSING_PACKAGE without the package tfjs, ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_FORMAT
 * for what is no model.
 *
 * @example
 * const model = await openLayersModel('ranker');
 */
export async function openLayersModel(folder: string): Promise<LayersModel> {
  const tf = await requirePackage<TensorFlowLayers>(
    importPackage,
    '@tensorflow/tfjs',
    TFJS_VERSION,
  );
  const path = join(folder, TOPOLOGY);
  const text = (await readBytes(path)).toString('utf8');
  try {
    return await tf.loadLayersModel({
      load: () =>
        tf.io.getModelArtifactsForJSON(JSON.parse(text) as io.ModelJSON, (manifest) =>
          readWeights(manifest, folder),
        ),
    });
  } catch (cause) {
    if (cause instanceof LichenError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw notModel(path, reason, cause);
  }
}

async function writeArtifacts(
  artifacts: io.ModelArtifacts,
  folder: string,
): Promise<io.SaveResult> {
  const { weightData, weightSpecs, ...topology } = artifacts;
  const parts =
    weightData === undefined ? [] : Array.isArray(weightData) ? weightData : [weightData];
  const weights = Buffer.concat(parts.map((part) => new Uint8Array(part)));
  const manifest = [{ paths: [WEIGHTS], weights: weightSpecs ?? [] }];
  const json = JSON.stringify({ ...topology, weightsManifest: manifest });
  await writeAtomically(join(folder, WEIGHTS), (handle) => handle.writeFile(weights));
  await writeAtomically(join(folder, TOPOLOGY), (handle) => handle.writeFile(`${json}\n`));
  return {
    modelArtifactsInfo: {
      dateSaved: new Date(),
      modelTopologyType: 'JSON',
      modelTopologyBytes: Buffer.byteLength(json),
      weightDataBytes: weights.length,
    },
  };
}

async function readWeights(
  manifest: io.WeightsManifestConfig,
  folder: string,
): Promise<[io.WeightsManifestEntry[], ArrayBuffer]> {
  const parts: Buffer[] = [];
  for (const path of manifest.flatMap(({ paths }) => paths)) {
    // What a file names must not lead out of its folder.
    if (path === '' || basename(path) !== path || path === '..') {
      throw notModel(join(folder, TOPOLOGY), `${JSON.stringify(path)} is no file beside it`);
    }
    parts.push(await readBytes(join(folder, path)));
  }
  const weights = manifest.flatMap((group) => group.weights);
  const whole = Uint8Array.from(Buffer.concat(parts));
  return [weights, whole.buffer];
}

async function readBytes(path: string): Promise<Buffer> {
  return readFile(path).catch((error: unknown) => {
    throw fileError('read', path, error);
  });
}

function notModel(path: string, reason: string, cause?: unknown): LichenFileError {
  return new LichenFileError(
    'ERR_LICHEN_FORMAT',
    `${path} is no model of TensorFlow.js that can be read: ${reason}`,
    { cause },
  );
}
