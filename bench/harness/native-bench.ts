import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { machine } from '../../src/index.js';
import { listOption, type Options, type Result } from './suite.js';

const ROOT = join(__dirname, '..', '..');
const BUILD = join('native', 'build', 'bench');
const MOST_OUTPUT = 64 << 20;

/** What this machine can do, one thread, as native code measures it. */
export interface Limits {
  /** Reading memory in order, on huge pages, in GB/s. */
  readonly read: number;
  /** Multiply-adds of f32 by the widest instructions, in GFLOP/s. */
  readonly multiplyAdd: number;
  /** Products of bytes, summed, in GOP/s; undefined where no instruction does them. */
  readonly byteProducts: number | undefined;
}

const KERNELS = 'kernels_bench';

/** Of suites that need the bench of the kernels. */
export const COMPILE_OPTION = {
  compile: 'yes, or no: only with a native bench that is compiled already (default yes)',
};

/** Why the bench of the kernels cannot be had here; undefined if it can. */
export function kernelsBenchMissing({ options }: Options): string | undefined {
  if (listOption({ options }, 'compile', ['yes', 'no'])[0] === 'no') {
    const isThere = existsSync(join(ROOT, BUILD, KERNELS));
    return isThere
      ? undefined
      : 'the native bench is not compiled: npm run bench -- kernels does it';
  }
  return spawnSync('cmake', ['--version']).status === 0 ? undefined : 'CMake is not installed';
}

/** Builds the bench of the kernels with CMake, if it may be. @throws if it cannot be had. */
export function buildKernelsBench(context: Options): void {
  const missing = kernelsBenchMissing(context);
  if (missing !== undefined) throw new Error(missing);
  if (context.options.get('compile') !== 'no') build(KERNELS);
}

/** Builds hnswlib's bench from the headers that hnswlib-node brings; the program's path. */
export function buildHnswlibBench(): string {
  build('hnswlib_bench');
  return join(ROOT, BUILD, 'hnswlib_bench');
}

function build(target: string): void {
  command('cmake', '-S', 'native', '-B', BUILD, '-DLICHEN_ADDON=OFF', '-DLICHEN_BENCHES=ON');
  command('cmake', '--build', BUILD, '--parallel', String(machine().threads), '--target', target);
}

/** Runs it: what it measured. */
export function runKernelsBench(...args: string[]): Result[] {
  return JSON.parse(command(join(BUILD, KERNELS), ...args)) as Result[];
}

/** Measures the limits alone; {@link buildKernelsBench} comes first. */
export function measureLimits(): Limits {
  const results = runKernelsBench('--limits');
  const most = (prefix: string): number | undefined => {
    const rates = results
      .filter(({ name }) => name.startsWith(prefix))
      .map((r) => Number(r.median));
    return rates.length === 0 ? undefined : Math.max(...rates);
  };
  return {
    read: most('read, huge pages')!,
    multiplyAdd: most('multiply-add')!,
    byteProducts: most('byte products'),
  };
}

function command(name: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(name, args, {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: MOST_OUTPUT,
  });
  if (status === 0) return stdout;
  throw new Error(`${name} ${args.join(' ')} failed: ${error?.message ?? `${stdout}${stderr}`}`);
}
