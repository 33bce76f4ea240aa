import { access } from 'node:fs/promises';
import {
  fileError,
  LichenArgumentError,
  LichenError,
  LichenFileError,
  throwIfAborted,
} from '../errors.js';
import { MAX_ROWS, requireInteger, requireOptions, requirePath } from '../index/arguments.js';
import { matrix, requireFinite, type Matrix } from '../vectors/matrix.js';
import { withinMemory } from '../vectors/memory.js';
import { importPackage, type ImportPackage } from '../vectors/packages.js';
import {
  loadOnnxRuntime,
  requireInputs,
  schemaOf,
  tensorOf,
  type OnnxInput,
  type OnnxInputSchema,
  type OnnxRuntime,
  type OnnxSession,
  type OnnxTensor,
} from './onnx-runtime.js';

/** Options of `OnnxTower.open`. */
export interface OnnxTowerOptions {
  /** The output that is the vectors, of shape [rows, dim]; needed if the model has several. */
  output?: string | undefined;
  /** What the runtime computes with, such as ['cuda', 'cpu']. Default: the runtime's own. */
  executionProviders?: readonly string[] | undefined;
  /** Imports a package by its name. Default: `import()`. */
  load?: ImportPackage | undefined;
}

/** Options of `OnnxTower.encode`. */
export interface OnnxEncodeOptions {
  /** Rows that the model is applied to at a time. Default 256; what the model says if it is made for a number. */
  batchSize?: number | undefined;
  /** Gives up with ERR_LICHEN_ABORTED when it fires. */
  signal?: AbortSignal | undefined;
}

const OPEN_OPTIONS = ['output', 'executionProviders', 'load'] as const;
const ENCODE_OPTIONS = ['batchSize', 'signal'] as const;

/**
 * A tower that was trained elsewhere, as an ONNX model: inputs in, vectors out. By the package onnxruntime-node (1.21
 * or later), an optional peer.
 *
 * @example
 * const tower = await OnnxTower.open('encoder.onnx');
 * const vectors = await tower.encode({ x: { data: features, shape: [features.length / 20, 20] } });
 * await index.add(vectors);
 */
export class OnnxTower {
  /** What the model wants to be given. */
  readonly inputs: readonly OnnxInputSchema[];
  /** Name of the output that is the vectors. */
  readonly output: string;
  readonly #runtime: OnnxRuntime;
  readonly #session: OnnxSession;
  readonly #running = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  private constructor(
    runtime: OnnxRuntime,
    session: OnnxSession,
    inputs: readonly OnnxInputSchema[],
    output: string,
  ) {
    this.#runtime = runtime;
    this.#session = session;
    this.inputs = inputs;
    this.output = output;
  }

  /**
   * Loads a model.
   * @throws ERR_LICHEN_MISSING_PACKAGE without onnxruntime-node, ERR_LICHEN_NOT_FOUND, ERR_LICHEN_FORMAT for what is no
   * model, ERR_LICHEN_UNSUPPORTED for inputs of other types than float32, int32 and int64, ERR_LICHEN_ARGUMENT for an
   * output that is not there, and where there are several and none is named.
   */
  static async open(path: string, options: OnnxTowerOptions = {}): Promise<OnnxTower> {
    const given = requireOptions(options, OPEN_OPTIONS);
    requirePath(path);
    const runtime = await loadOnnxRuntime(given.load ?? importPackage);
    await access(path).catch((error: unknown) => {
      throw fileError('read', path, error);
    });
    const { executionProviders } = given;
    const session = await runtime.InferenceSession.create(
      path,
      executionProviders === undefined ? {} : { executionProviders: [...executionProviders] },
    ).catch((cause: unknown) => {
      throw new LichenFileError(
        'ERR_LICHEN_FORMAT',
        `${path} is no ONNX model that can be loaded: ${reasonOf(cause)}`,
        { cause },
      );
    });
    try {
      const inputs = schemaOf(path, session);
      return new OnnxTower(runtime, session, inputs, outputOf(path, session, given.output));
    } catch (error) {
      await session.release();
      throw error;
    }
  }

  /**
   * The vectors of some rows, batch by batch. 32-bit integers are widened where the model wants 64-bit ones.
   * @throws ERR_LICHEN_ARGUMENT for a name, type or option that does not suit, ERR_LICHEN_DIMENSION for a shape,
   * ERR_LICHEN_EMPTY without rows, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_UNSUPPORTED when the model fails or gives something
   * else than vectors, ERR_LICHEN_ABORTED, ERR_LICHEN_CLOSED.
   */
  async encode(
    inputs: Readonly<Record<string, OnnxInput>>,
    options: OnnxEncodeOptions = {},
  ): Promise<Matrix> {
    const given = requireOptions(options, ENCODE_OPTIONS);
    const rows = requireInputs(this.inputs, inputs);
    if (rows === 0)
      throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'inputs must have at least one row');
    const batchSize = this.#batchSize(given.batchSize, rows);
    // The caller may do what he likes with his arrays meanwhile.
    const own = Object.fromEntries(
      Object.entries(inputs).map(([name, { data, shape }]) => [
        name,
        { data: data.slice(), shape: [...shape] },
      ]),
    );
    const encoding = this.#encode(own, rows, batchSize, given.signal);
    this.#running.add(encoding);
    try {
      return await encoding;
    } finally {
      this.#running.delete(encoding);
    }
  }

  /** Frees the model once what runs has ended: an encode stops after its batch with ERR_LICHEN_CLOSED. */
  close(): Promise<void> {
    this.#closing ??= Promise.allSettled([...this.#running]).then(() => this.#session.release());
    return this.#closing;
  }

  /** As `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #encode(
    inputs: Readonly<Record<string, OnnxInput>>,
    rows: number,
    batchSize: number,
    signal: AbortSignal | undefined,
  ): Promise<Matrix> {
    let vectors: Matrix | undefined;
    for (let from = 0; from < rows; from += batchSize) {
      if (this.#closing !== undefined)
        throw new LichenError('ERR_LICHEN_CLOSED', 'the tower was closed');
      throwIfAborted(signal, 'encoding');
      const to = Math.min(rows, from + batchSize);
      const batch = await this.#run(inputs, from, to);
      const dim = batch.length / (to - from);
      vectors ??= matrix(
        withinMemory(rows * dim * 4, () => new Float32Array(rows * dim)),
        dim,
      );
      if (dim !== vectors.dim) throw this.#wrongOutput(`${dim} values after ${vectors.dim}`);
      vectors.data.set(batch, from * dim);
    }
    requireFinite(vectors!, `the output ${JSON.stringify(this.output)}`);
    return vectors!;
  }

  async #run(
    inputs: Readonly<Record<string, OnnxInput>>,
    from: number,
    to: number,
  ): Promise<Float32Array> {
    const feeds: Record<string, OnnxTensor> = {};
    for (const input of this.inputs) {
      feeds[input.name] = tensorOf(this.#runtime, input, inputs[input.name]!, from, to);
    }
    const results = await this.#session.run(feeds, [this.output]).catch((cause: unknown) => {
      throw new LichenError('ERR_LICHEN_UNSUPPORTED', `the ONNX model failed: ${reasonOf(cause)}`, {
        cause,
      });
    });
    const { data, dims, type } = results[this.output]!;
    const isMatrix = dims.length === 2 && dims[0] === to - from && dims[1]! > 0;
    if (data instanceof Float32Array && isMatrix) return data;
    throw this.#wrongOutput(`${type} of shape [${dims.join(', ')}]`);
  }

  #wrongOutput(got: string): LichenError {
    return new LichenError(
      'ERR_LICHEN_UNSUPPORTED',
      `the output ${JSON.stringify(this.output)} must be vectors, float32 of shape [rows, dim], got ${got}`,
    );
  }

  /** A model may be made for one number of rows. */
  #batchSize(wanted: number | undefined, rows: number): number {
    const fixed = this.inputs.map(({ shape }) => shape[0]).find((size) => typeof size === 'number');
    if (fixed === undefined) return requireInteger('batchSize', wanted ?? 256, 1, MAX_ROWS);
    if (wanted !== undefined && wanted !== fixed) {
      throw new LichenArgumentError(
        'ERR_LICHEN_ARGUMENT',
        `batchSize must be ${fixed}, which the model is made for, got ${String(wanted)}`,
      );
    }
    if (rows % fixed === 0) return fixed;
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `inputs must have a multiple of ${fixed} rows, which the model is made for, got ${rows}`,
    );
  }
}

function outputOf(path: string, session: OnnxSession, wanted: string | undefined): string {
  const names = (session.outputMetadata ?? []).map(({ name }) => name);
  if (wanted === undefined && names.length === 1) return names[0]!;
  if (wanted !== undefined && names.includes(wanted)) return wanted;
  throw new LichenArgumentError(
    'ERR_LICHEN_ARGUMENT',
    `output must be one of the outputs of ${path}, ${names.join(', ')}, got ${JSON.stringify(wanted) ?? 'none'}`,
  );
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
