import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type {
  OnnxInput,
  OnnxRuntime,
  OnnxSession,
  OnnxTensor,
  OnnxValue,
} from '../../src/towers/onnx-runtime.js';
import { OnnxTower, type OnnxTowerOptions } from '../../src/towers/onnx-tower.js';
import { importer } from '../tensorflow/stubs.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { onnxModel, type OnnxGraph } from './onnx-file.js';

const PACKAGE = 'onnxruntime-node';
/** A folder in whose node_modules the runtime is, if it is not among lichen's own packages. */
const FOLDER = process.env['LICHEN_ONNXRUNTIME'] ?? __dirname;

/** The real runtime, or why there is none. */
function realRuntime(): { runtime?: unknown; missing: boolean; note: string } {
  try {
    const runtime: unknown = createRequire(join(FOLDER, 'x.js'))(PACKAGE);
    return { runtime, missing: false, note: '' };
  } catch {
    return { missing: true, note: ` (skipped: ${PACKAGE} is not installed)` };
  }
}

const WEIGHTS = [0.5, -1, 2, 0.25, -0.75, 3];
const BIAS = [0.125, -8];
const TABLE = [10, 20, 30, 40, 50, 60];

/** y = x · W + b + T[ids], and without T: plain = x · W + b. */
const GRAPH: OnnxGraph = {
  nodes: [
    { type: 'MatMul', inputs: ['x', 'W'], output: 'product' },
    { type: 'Add', inputs: ['product', 'b'], output: 'plain' },
    { type: 'Gather', inputs: ['T', 'ids'], output: 'looked' },
    { type: 'Add', inputs: ['plain', 'looked'], output: 'y' },
  ],
  constants: [
    { name: 'W', shape: [3, 2], values: WEIGHTS },
    { name: 'b', shape: [2], values: BIAS },
    { name: 'T', shape: [3, 2], values: TABLE },
  ],
  inputs: [
    { name: 'x', type: 'float32', shape: ['rows', 3] },
    { name: 'ids', type: 'int64', shape: ['rows'] },
  ],
  outputs: [
    { name: 'y', type: 'float32', shape: ['rows', 2] },
    { name: 'plain', type: 'float32', shape: ['rows', 2] },
  ],
};

const rows = 7;
const x = {
  data: Float32Array.from({ length: rows * 3 }, (_, at) => (at % 5) - 1.5),
  shape: [rows, 3],
};
const ids = {
  data: BigInt64Array.from({ length: rows }, (_, at) => BigInt(at % 3)),
  shape: [rows],
};

/** The vectors from the definition; all numbers are exact in float32. */
function expected(output: 'y' | 'plain', from = 0, to = rows): number[] {
  const values: number[] = [];
  for (let row = from; row < to; row++) {
    for (let column = 0; column < 2; column++) {
      let sum = BIAS[column]!;
      for (let at = 0; at < 3; at++) sum += x.data[row * 3 + at]! * WEIGHTS[at * 2 + column]!;
      values.push(output === 'y' ? sum + TABLE[Number(ids.data[row]) * 2 + column]! : sum);
    }
  }
  return values;
}

const { runtime, missing, note } = realRuntime();

describe(`OnnxTower on the real runtime${note}`, () => {
  const at = temporaryFolder();
  const load = importer({ [PACKAGE]: () => runtime });
  const open = (options: OnnxTowerOptions = {}): Promise<OnnxTower> => {
    writeFileSync(at('tower.onnx'), onnxModel(GRAPH));
    return OnnxTower.open(at('tower.onnx'), { output: 'y', load, ...options });
  };

  it.skipIf(missing)('says what the model wants and gives its vectors', async () => {
    await using tower = await open();
    expect(tower.inputs).toEqual([
      { name: 'x', dtype: 'float32', shape: ['rows', 3] },
      { name: 'ids', dtype: 'int64', shape: ['rows'] },
    ]);
    for (const batchSize of [1, 3, 7, undefined]) {
      const vectors = await tower.encode({ x, ids }, { batchSize });
      expect([vectors.rows, vectors.dim]).toEqual([rows, 2]);
      expect([...vectors.data]).toEqual(expected('y'));
    }
    const widened = { data: Int32Array.from(ids.data, Number), shape: [rows] };
    expect([...(await tower.encode({ x, ids: widened })).data]).toEqual(expected('y'));
  });

  it.skipIf(missing)('gives the output that is named', async () => {
    await using tower = await open({ output: 'plain' });
    expect([...(await tower.encode({ x, ids })).data]).toEqual(expected('plain'));
    await expect(open({ output: 'z' })).rejects.toThrow(
      /output must be one of .* y, plain, got "z"/,
    );
  });

  it.skipIf(missing)('says that a model cannot be loaded or fails', async () => {
    writeFileSync(at('no.onnx'), 'no model');
    await expect(OnnxTower.open(at('no.onnx'), { load })).rejects.toMatchObject({
      code: 'ERR_LICHEN_FORMAT',
    });
    await using tower = await open();
    const beyond = { data: BigInt64Array.from({ length: rows }, () => 99n), shape: [rows] };
    await expect(tower.encode({ x, ids: beyond })).rejects.toMatchObject({
      code: 'ERR_LICHEN_UNSUPPORTED',
      message: expect.stringContaining('the ONNX model failed') as string,
    });
  });

  it.skipIf(missing)('waits for what runs before it is closed', async () => {
    const tower = await open();
    const encoding = tower.encode({ x, ids }, { batchSize: 1 });
    await Promise.all([
      expect(encoding).rejects.toMatchObject({ code: 'ERR_LICHEN_CLOSED' }),
      tower.close(),
    ]);
    await expect(tower.encode({ x, ids })).rejects.toMatchObject({ code: 'ERR_LICHEN_CLOSED' });
    await tower.close();
  });
});

/** A runtime whose model is the graph above, computed here. */
class StubSession implements OnnxSession {
  readonly seen: [string, number][] = [];
  released = 0;
  inputMetadata: OnnxValue[] = GRAPH.inputs.map((input) => ({ ...input, isTensor: true }));
  outputMetadata: OnnxValue[] = GRAPH.outputs.map((output) => ({ ...output, isTensor: true }));
  answer: ((rows: number) => OnnxTensor) | undefined;
  private done = 0;

  async run(feeds: Record<string, OnnxTensor>): Promise<Record<string, OnnxTensor>> {
    const size = feeds['x']!.dims[0]!;
    for (const [name, { type }] of Object.entries(feeds)) this.seen.push([`${name}:${type}`, size]);
    await new Promise((resolve) => setImmediate(resolve));
    const data = Float32Array.from(expected('y', this.done, this.done + size));
    this.done += size;
    return { y: this.answer?.(size) ?? { type: 'float32', dims: [size, 2], data } };
  }

  release(): Promise<void> {
    this.released++;
    return Promise.resolve();
  }
}

describe('OnnxTower', () => {
  const at = temporaryFolder();

  async function openStub(session = new StubSession(), options: OnnxTowerOptions = {}) {
    class Tensor implements OnnxTensor {
      constructor(
        readonly type: string,
        readonly data: unknown,
        readonly dims: readonly number[],
      ) {}
    }
    const stub: OnnxRuntime = {
      Tensor,
      InferenceSession: { create: () => Promise.resolve(session) },
    };
    writeFileSync(at('x.onnx'), '');
    const load = importer({ [PACKAGE]: () => ({ default: stub }) });
    const tower = await OnnxTower.open(at('x.onnx'), { output: 'y', load, ...options });
    return { tower, session };
  }

  it('cuts rows into batches of the types that the model wants', async () => {
    const { tower, session } = await openStub();
    const narrow = { data: Int32Array.from(ids.data, Number), shape: [rows] };
    const { data, dim } = await tower.encode({ x, ids: narrow }, { batchSize: 3 });
    expect(dim).toBe(2);
    expect([...data]).toEqual(expected('y'));
    expect(session.seen).toEqual(
      [3, 3, 1].flatMap((size) => [['x:float32', size], ['ids:int64', size]]), // prettier-ignore
    );
  });

  it('takes the number of rows that a model is made for', async () => {
    const session = new StubSession();
    session.inputMetadata[0] = { ...session.inputMetadata[0]!, shape: [7, 3] };
    const { tower } = await openStub(session);
    await expect(tower.encode({ x, ids }, { batchSize: 3 })).rejects.toThrow(/batchSize must be 7/);
    const short = {
      x: { data: x.data.subarray(0, 9), shape: [3, 3] },
      ids: { data: ids.data.subarray(0, 3), shape: [3] },
    };
    await expect(tower.encode(short)).rejects.toThrow(/a multiple of 7 rows.*, got 3/);
    expect((await tower.encode({ x, ids })).rows).toBe(rows);
    expect(session.seen.map(([, size]) => size)).toEqual([7, 7]);
  });

  const floats = (shape: number[], length = shape.reduce((a, b) => a * b, 1)): OnnxInput => ({
    data: new Float32Array(length),
    shape,
  });

  it.each([
    ['a name', { x, ids, z: x }, 'ARGUMENT', /no input "z", expected x, ids/],
    [
      'an input that is missing',
      { x },
      'ARGUMENT',
      /input "ids" must be \{ data, shape \} with data of int64/,
    ],
    ['a plain array', { x, ids: { data: [1], shape: [1] } }, 'ARGUMENT', /input "ids" must be/],
    ['a type', { x, ids: floats([rows]) }, 'ARGUMENT', /input "ids" must be of int64, got float32/],
    [
      'a rank',
      { x: floats([rows]), ids },
      'DIMENSION',
      /input "x" must be of shape \[rows, 3\], got \[7\]/,
    ],
    [
      'a size',
      { x: floats([rows, 4]), ids },
      'DIMENSION',
      /must be of shape \[rows, 3\], got \[7, 4\]/,
    ],
    ['a size that is none', { x: floats([1.5, 3], 4), ids }, 'DIMENSION', /got \[1.5, 3\]/],
    ['a length', { x: floats([rows, 3], 20), ids }, 'DIMENSION', /must have 21 values, got 20/],
    ['rows', { x: floats([2, 3]), ids }, 'DIMENSION', /as many rows each, got 2 and 7/],
    [
      'no rows',
      { x: floats([0, 3]), ids: { data: new BigInt64Array(0), shape: [0] } },
      'EMPTY',
      /at least one row/,
    ],
  ])('refuses %s', async (_, inputs, code, message) => {
    const { tower, session } = await openStub();
    const encoding = tower.encode(inputs as unknown as Record<string, OnnxInput>);
    await expect(encoding).rejects.toMatchObject({ code: `ERR_LICHEN_${code}` });
    await expect(encoding).rejects.toThrow(message);
    expect(session.seen).toEqual([]);
  });

  it.each([
    [
      'three axes',
      { type: 'float32', dims: [rows, 1, 2], data: new Float32Array(14) },
      /got float32 of shape \[7, 1, 2\]/,
    ],
    ['integers', { type: 'int64', dims: [rows, 2], data: new BigInt64Array(14) }, /got int64/],
    [
      'other rows',
      { type: 'float32', dims: [1, 14], data: new Float32Array(14) },
      /got float32 of shape \[1, 14\]/,
    ],
    [
      'NaN',
      { type: 'float32', dims: [rows, 2], data: new Float32Array(14).fill(NaN) },
      /row 0, column 0 is NaN/,
    ],
  ])('refuses an output of %s', async (_, answer, message) => {
    const session = new StubSession();
    session.answer = () => answer;
    const { tower } = await openStub(session);
    await expect(tower.encode({ x, ids })).rejects.toThrow(message);
  });

  it('stops when aborted or closed', async () => {
    const { tower, session } = await openStub();
    const controller = new AbortController();
    const encoding = tower.encode({ x, ids }, { batchSize: 1, signal: controller.signal });
    controller.abort();
    await expect(encoding).rejects.toMatchObject({ code: 'ERR_LICHEN_ABORTED' });
    const other = tower.encode({ x, ids }, { batchSize: 1 });
    const closing = tower.close();
    expect(session.released).toBe(0);
    await expect(other).rejects.toMatchObject({ code: 'ERR_LICHEN_CLOSED' });
    await closing;
    await tower.close();
    expect(session.released).toBe(1);
  });

  it('refuses models and options that do not suit', async () => {
    const session = new StubSession();
    await expect(openStub(session, { output: undefined })).rejects.toThrow(
      /output must be one of the outputs of .*, y, plain, got none/,
    );
    expect(session.released).toBe(1);
    session.inputMetadata[1] = { ...session.inputMetadata[1]!, type: 'string' };
    await expect(openStub(session)).rejects.toMatchObject({
      code: 'ERR_LICHEN_UNSUPPORTED',
      message: expect.stringMatching(/input "ids" is of type string/) as string,
    });
    await expect(openStub(session, { outputs: 'y' } as object)).rejects.toThrow(/unknown option/);
  });

  it('says what is missing', async () => {
    const without = importer({ [PACKAGE]: undefined });
    await expect(OnnxTower.open(at('x.onnx'), { load: without })).rejects.toMatchObject({
      code: 'ERR_LICHEN_MISSING_PACKAGE',
      message: expect.stringContaining('npm install onnxruntime-node@1') as string,
    });
    const load = importer({ [PACKAGE]: () => ({}) });
    await expect(OnnxTower.open(at('nowhere.onnx'), { load })).rejects.toMatchObject({
      code: 'ERR_LICHEN_NOT_FOUND',
    });
  });
});
