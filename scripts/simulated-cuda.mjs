// Builds the CUDA module with a simulated device, for tests, if it is not there as its sources are now, and prints its path.
// Several may ask at once: one builds, the others wait. Where there is no CMake or compiler it prints nothing but why.

import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from './run.mjs';

const FOLDER = join('build', 'simulated');
const LOCK = join('build', 'simulated.lock');
const WAIT_MS = 100;
/** A build that died leaves its lock behind. */
const STALE_MS = 120_000;

async function locked(work) {
  mkdirSync('build', { recursive: true });
  for (;;) {
    try {
      mkdirSync(LOCK);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const since = statSync(LOCK, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - since > STALE_MS) rmSync(LOCK, { recursive: true, force: true });
    else await sleep(WAIT_MS);
  }
  try {
    return await work();
  } finally {
    rmSync(LOCK, { recursive: true, force: true });
  }
}

async function build() {
  const steps = [
    ['-S', 'native', '-B', FOLDER, '-DLICHEN_ADDON=OFF', '-DLICHEN_CUDA_SIMULATED=ON'],
    ['--build', FOLDER, '--target', 'lichen_cuda_simulated', '--parallel', '2'],
  ];
  for (const step of steps) {
    const { status, output } = await run('cmake', step);
    if (status !== 0) throw new Error(output);
  }
}

try {
  await locked(build);
  process.stdout.write(`${join(process.cwd(), FOLDER, 'lichen-cuda-simulated.so')}\n`);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
