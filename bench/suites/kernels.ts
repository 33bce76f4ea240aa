import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Result, Suite, SuiteContext } from '../harness/suite.js';

const ROOT = join(__dirname, '..', '..');
const BUILD = join('native', 'build', 'bench');

/** The native bench of the kernels, built by CMake, beside the limits of the machine. */
export const kernelsSuite: Suite = {
  name: 'kernels',
  description:
    'scoring kernels of each instruction set beside the limits of the machine (needs CMake)',
  options: {},
  run(context) {
    return Promise.resolve(run(context));
  },
};

function run(context: SuiteContext): Result[] {
  command('cmake', '-S', 'native', '-B', BUILD, '-DLICHEN_ADDON=OFF', '-DLICHEN_BENCHES=ON');
  command('cmake', '--build', BUILD, '--parallel', '--target', 'kernels_bench');
  context.say('one thread; medians of rounds in which limits and kernels take turns');
  return JSON.parse(command(join(BUILD, 'kernels_bench'))) as Result[];
}

function command(name: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(name, args, { cwd: ROOT, encoding: 'utf8' });
  if (status === 0) return stdout;
  throw new Error(`${name} ${args.join(' ')} failed: ${error?.message ?? `${stdout}${stderr}`}`);
}
