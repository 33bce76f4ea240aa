import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import * as cpuPackage from '@tensorflow/tfjs-backend-cpu';
import * as core from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { notice } from '../../src/cli/backend-notice.js';
import {
  BACKEND_CHANNEL,
  loadTensorFlow,
  resumeBackend,
  type BackendChoice,
} from '../../src/tensorflow/tensorflow.js';
import { importer } from './stubs.js';

const GPU = '@tensorflow/tfjs-node-gpu';
const CORE = '@tensorflow/tfjs-core';
const WASM = '@tensorflow/tfjs-backend-wasm';
const CPU = '@tensorflow/tfjs-backend-cpu';

class FakeGpu extends cpuPackage.MathBackendCPU {
  constructor(readonly isUsingGpuDevice: boolean) {
    super();
  }
}

/** What the real package does when it is loaded: register `tensorflow`, and export tfjs-core with the rest. */
function gpuPackage({ device = true, starts = true } = {}) {
  return () => {
    core.registerBackend('tensorflow', () => {
      if (!starts) throw new Error('no driver');
      return new FakeGpu(device);
    });
    return { default: { ...core, isFake: true } };
  };
}

const broken = () => {
  throw new Error('libcudart.so.11.0: cannot open shared object file\n  at somewhere');
};

describe('loadTensorFlow', () => {
  beforeEach(() => {
    // TensorFlow.js tells of backends that do not start.
    vi.spyOn(console, 'warn').mockImplementation(() => {});
    vi.stubEnv('LICHEN_CUDA_MODULE', '/nowhere/lichen-cuda.so');
  });

  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
    if (core.findBackendFactory('tensorflow') !== null) core.removeBackend('tensorflow');
  });

  it('takes tfjs-node-gpu first, and the tfjs-core that comes with it', async () => {
    const load = importer({ [GPU]: gpuPackage() });
    const { tf, backend, choice } = await loadTensorFlow('auto', { load });
    expect(tf).toMatchObject({ isFake: true });
    expect(backend).toBe('tensorflow');
    expect(tf.getBackend()).toBe('tensorflow');
    expect(choice).toEqual({
      backend: 'gpu',
      reason: 'the first of gpu, lichen-cuda, lichen, wasm, cpu that starts',
      tried: [],
    });
    expect(load.asked).toEqual([GPU]);
  });

  it('says that tfjs-node-gpu found no device', async () => {
    const load = importer({ [GPU]: gpuPackage({ device: false }) });
    const { choice } = await loadTensorFlow('gpu', { load });
    expect(choice.reason).toMatch(/^asked for; .*tfjs-node-gpu finds no CUDA device/);
  });

  it.each([
    [
      'is not installed',
      undefined,
      'ERR_LICHEN_MISSING_PACKAGE',
      'npm install @tensorflow/tfjs-node-gpu@4',
    ],
    [
      'cannot be loaded',
      broken,
      'ERR_LICHEN_UNSUPPORTED',
      'cannot be loaded: libcudart.so.11.0: cannot open shared object file',
    ],
    [
      'does not start',
      gpuPackage({ starts: false }),
      'ERR_LICHEN_UNSUPPORTED',
      'the gpu backend of TensorFlow.js cannot start',
    ],
  ] as const)('falls back when tfjs-node-gpu %s', async (_, make, code, message) => {
    const load = importer({ [GPU]: make });
    const { tf, backend, choice } = await loadTensorFlow('auto', { load });
    expect(backend).not.toBe('tensorflow');
    expect(tf.getBackend()).toBe(backend);
    expect(choice.tried[0]!.backend).toBe('gpu');
    expect(choice.tried[0]!.error).toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
    expect(choice.tried[0]!.error.message).not.toContain('\n');
    await expect(loadTensorFlow('gpu', { load })).rejects.toMatchObject({ code });
  });

  it('falls back to cpu without lichen and wasm', async () => {
    const onlyCpu = importer({ [GPU]: undefined, [WASM]: undefined });
    const own = await loadTensorFlow('lichen').catch(() => undefined);
    const { backend, choice } = await loadTensorFlow('auto', { load: onlyCpu });
    expect(backend).toBe(own === undefined ? 'cpu' : 'lichen');
    const failed = choice.tried.map(({ backend: name }) => name);
    expect(failed).toEqual([
      'gpu',
      'lichen-cuda',
      ...(own === undefined ? ['lichen', 'wasm'] : []),
    ]);
  });

  it('takes wasm where the package of cpu, which lichen needs too, is missing', async () => {
    const load = importer({ [GPU]: undefined, [CPU]: undefined });
    const { tf, backend, choice } = await loadTensorFlow('auto', { load });
    expect([backend, tf.getBackend()]).toEqual(['wasm', 'wasm']);
    expect(choice.tried.map(({ backend: name }) => name)).toEqual(['gpu', 'lichen-cuda', 'lichen']);
  });

  it('says why lichen-cuda cannot start, and goes on without it', async () => {
    await expect(loadTensorFlow('lichen-cuda')).rejects.toMatchObject({
      code: 'ERR_LICHEN_NO_DEVICE',
      message: expect.stringContaining('/nowhere/lichen-cuda.so') as string,
    });
    const { choice } = await loadTensorFlow('auto', { load: importer({ [GPU]: undefined }) });
    expect(choice.tried.map(({ backend, error }) => [backend, error.code])).toEqual([
      ['gpu', 'ERR_LICHEN_MISSING_PACKAGE'],
      ['lichen-cuda', 'ERR_LICHEN_NO_DEVICE'],
    ]);
  });

  it.each(['wasm', 'cpu'] as const)('starts %s when asked for it', async (backend) => {
    const load = importer({ [GPU]: broken });
    const loaded = await loadTensorFlow(backend, { load });
    expect(loaded.backend).toBe(backend);
    expect(loaded.tf.getBackend()).toBe(backend);
    expect(loaded.choice).toEqual({ backend, reason: 'asked for', tried: [] });
    expect(load.asked).not.toContain(GPU);
  });

  it('refuses another name', async () => {
    await expect(loadTensorFlow('webgl' as never)).rejects.toMatchObject({
      code: 'ERR_LICHEN_ARGUMENT',
      message: 'backend must be one of auto, gpu, lichen-cuda, lichen, wasm, cpu, got "webgl"',
    });
  });

  it('says what to install when nothing is', async () => {
    await expect(loadTensorFlow('auto', { load: importer({}, false) })).rejects.toMatchObject({
      code: 'ERR_LICHEN_MISSING_PACKAGE',
      message: expect.stringMatching(
        /npm install @tensorflow\/tfjs-core@4 @tensorflow\/tfjs-backend-cpu@4/,
      ) as string,
    });
    const withoutCore = importer({ [CORE]: undefined });
    await expect(loadTensorFlow('wasm', { load: withoutCore })).rejects.toMatchObject({
      code: 'ERR_LICHEN_MISSING_PACKAGE',
      message: expect.stringContaining('npm install @tensorflow/tfjs-core@4') as string,
    });
  });

  it('says of each backend why it does not start', async () => {
    const load = importer({ [GPU]: undefined, [WASM]: broken, [CPU]: undefined });
    await expect(loadTensorFlow('auto', { load })).rejects.toMatchObject({
      code: 'ERR_LICHEN_UNSUPPORTED',
      message: expect.stringMatching(
        /gpu: .*not installed.*; lichen: .*; wasm: .*libcudart.*; cpu: .*not installed/,
      ) as string,
    });
  });

  it('takes for missing only what is itself not there', async () => {
    const wanting = () => {
      throw Object.assign(new Error("Cannot find module 'protobuf'"), { code: 'MODULE_NOT_FOUND' });
    };
    await expect(loadTensorFlow('gpu', { load: importer({ [GPU]: wanting }) })).rejects.toThrow(
      /is installed but cannot be loaded: Cannot find module 'protobuf'/,
    );
  });

  it('tells the choice to a callback and on a channel', async () => {
    const told: BackendChoice[] = [];
    const listener = (message: unknown): void => void told.push(message as BackendChoice);
    subscribe(BACKEND_CHANNEL, listener);
    try {
      await loadTensorFlow('cpu', { onBackend: listener });
    } finally {
      unsubscribe(BACKEND_CHANNEL, listener);
    }
    expect(told).toHaveLength(2);
    expect(told[0]).toBe(told[1]);
    expect(notice(told[0]!)).toBe('TensorFlow.js backend: cpu, asked for');
  });

  it('writes the notice of a fall-back in one line', async () => {
    const load = importer({ [GPU]: broken });
    const { choice } = await loadTensorFlow('auto', { load });
    expect(notice(choice)).toMatch(
      /^TensorFlow\.js backend: \w+, the first of .* that starts \(gpu: the package .*\)$/,
    );
  });

  it('starts backends one after the other when they are asked for at once', async () => {
    const both = await Promise.all([loadTensorFlow('wasm'), loadTensorFlow('cpu')]);
    expect(both.map(({ backend }) => backend)).toEqual(['wasm', 'cpu']);
    expect(core.getBackend()).toBe('cpu');
    expect(core.backend()).toBe(core.findBackend('cpu'));
  });

  it('makes a backend current again', async () => {
    const wasm = await loadTensorFlow('wasm');
    await loadTensorFlow('cpu');
    expect(core.getBackend()).toBe('cpu');
    await resumeBackend(wasm);
    expect(core.getBackend()).toBe('wasm');
  });
});
