import { afterEach, describe, expect, it, vi } from 'vitest';
import { cudaDevices, cudaStatus, openCuda } from '../../src/cuda.js';
import { native } from '../../src/native.js';
import { describeSimulated, SIMULATED_MODULE } from './simulated.js';

const MODULE = 'LICHEN_CUDA_MODULE';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('openCuda without a module', () => {
  it('says which file cannot be opened', () => {
    vi.stubEnv(MODULE, '/nowhere/lichen-cuda.so');
    const missing = expect.objectContaining({
      code: 'ERR_LICHEN_NO_DEVICE',
      message: expect.stringMatching(/cannot be opened: .*\/nowhere\/lichen-cuda\.so/) as string,
    }) as Error;
    expect(openCuda).toThrow(missing);
    expect(cudaDevices).toThrow(missing);
    expect(cudaStatus()).toMatchObject({
      module: '/nowhere/lichen-cuda.so',
      devices: [],
      reason: expect.stringContaining('cannot be opened') as string,
    });
  });

  it('has no devices, nor tensors on them', () => {
    const nothing = expect.objectContaining({ code: 'ERR_LICHEN_NO_DEVICE' }) as Error;
    expect(() => native().cudaDevices()).toThrow(nothing);
    expect(() => native().cudaTensor(0, 1)).toThrow(nothing);
  });
});

describeSimulated('openCuda', () => {
  it('opens the module that the variable names, once', () => {
    vi.stubEnv(MODULE, SIMULATED_MODULE);
    openCuda();
    openCuda();
    expect(cudaDevices()).toHaveLength(1);
    expect(cudaStatus()).toEqual({ module: SIMULATED_MODULE, devices: cudaDevices() });
    expect(cudaDevices()[0]).toMatchObject({ name: 'simulated device', computeCapability: '9.0' });
    expect(() => native().cudaOpen('/nowhere/other.so')).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }) as Error,
    );
  });
});
