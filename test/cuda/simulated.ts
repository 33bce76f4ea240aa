import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, describe } from 'vitest';

const ROOT = join(__dirname, '..', '..');

/** The CUDA module whose device is simulated, by which its kernels run on any processor; undefined where it cannot be built. */
export const SIMULATED_MODULE = built();

/** For names of tests. */
export const SIMULATED_NOTE =
  SIMULATED_MODULE === undefined ? ' (skipped: CMake or a C++ compiler is missing)' : '';

if (SIMULATED_MODULE !== undefined) process.env['LICHEN_CUDA_MODULE'] = SIMULATED_MODULE;

function built(): string | undefined {
  const { status, stdout } = spawnSync(process.execPath, ['scripts/simulated-cuda.mjs'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  return status === 0 ? stdout.trim() : undefined;
}

/** What statuses of the module are called in native/cuda/lichen_cuda.h. */
export const STATUS = { memory: 5, lost: 6 } as const;

/**
 * Tells the simulated device how much memory it has, and that calls fail after some.
 * @param calls that may fail, before each fails with `status`; −1: none does.
 */
export function simulate(memory = 2 ** 30, calls = -1, status: number = STATUS.lost): void {
  process.env['LICHEN_SIMULATED_DEVICE'] = `${memory} ${calls} ${status} ${count++}`;
}

let count = 0;

/** A describe whose tests run on the simulated device, which is well again after each. */
export function describeSimulated(name: string, tests: () => void): void {
  describe.skipIf(SIMULATED_MODULE === undefined)(`${name}${SIMULATED_NOTE}`, () => {
    afterEach(() => simulate());
    tests();
  });
}
