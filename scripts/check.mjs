// What `npm test` runs: static checks and native tests, two steps at a time, then the tests of TypeScript by themselves, then
// those of indexes on narrower instruction sets. A failing step shows its output, and no further one is begun. The last line counts the tests.

import { mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { run } from './run.mjs';

const PROCESSORS = String(availableParallelism());
// A unity build reads each header once for many sources; `npm ci` has compiled them one by one.
const UNITY = '-DCMAKE_UNITY_BUILD=ON';
const cmake = (folder, ...options) => ['cmake', ['-S', 'native', '-B', folder, UNITY, ...options]];
const compile = (folder) => ['cmake', ['--build', folder, '--parallel', PROCESSORS]];
const ctest = (folder, ...options) => [
  'ctest',
  ['--test-dir', folder, '--verbose', '--parallel', PROCESSORS, ...options],
];
const npx = (...args) => ['npx', ['--no-install', ...args]];
const sanitized = (folder, sanitizers, options, ...tests) => [
  cmake(
    folder,
    ...['-DLICHEN_ADDON=OFF', '-DLICHEN_TESTS=ON', `-DLICHEN_SANITIZE=${sanitizers}`, ...options],
  ),
  compile(folder),
  ctest(folder, ...tests),
];

const ARM_COMPILER = 'aarch64-linux-gnu-g++';
const ARM_EMULATOR = 'qemu-aarch64';
/** Why the kernels of other processors cannot be tested here, or undefined if they can. */
async function lackOfEmulation() {
  const missing = [];
  for (const tool of [ARM_COMPILER, ARM_EMULATOR]) {
    if ((await run(tool, ['--version'])).status !== 0) missing.push(tool);
  }
  return missing.length === 0 ? undefined : `${missing.join(' and ')} not found`;
}

async function lackOfCuda() {
  return (await run('nvcc', ['--version'])).status === 0 ? undefined : 'nvcc not found';
}

const counts = { passed: 0, failed: 0, skipped: 0 };

function countNative(output) {
  for (const [, passed, failed] of output.matchAll(/(\d+) passed, (\d+) failed/g)) {
    counts.passed += Number(passed);
    counts.failed += Number(failed);
  }
  for (const [line] of output.matchAll(/skipped: .*/g)) process.stdout.write(`  ${line}\n`);
}

const countVitest = (name) => () => {
  const report = JSON.parse(readFileSync(reportOf(name), 'utf8'));
  counts.passed += report.numPassedTests;
  counts.failed += report.numFailedTests;
  counts.skipped += report.numPendingTests;
  for (const file of report.testResults) {
    for (const { status, fullName } of file.assertionResults) {
      if (status === 'skipped' || status === 'pending') {
        process.stdout.write(`  skipped: ${fullName}\n`);
      }
    }
  }
};

const reportOf = (name) => `build/vitest-${name}.json`;
const vitest = (name, ...args) =>
  npx(
    ...['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile=${reportOf(name)}`],
    ...args,
  );

// The longest stands first, so that the others fill the time beside it.
const SIDE_BY_SIDE = [
  {
    name: 'native tests, address and undefined-behaviour sanitizers',
    commands: sanitized(
      'native/build/asan',
      'address,undefined',
      [],
      ...['-E', '^native_threads$'],
    ),
    count: countNative,
  },
  { name: 'format', commands: [['node', ['scripts/format.mjs']]] },
  { name: 'lint', commands: [npx('eslint', '.', '--max-warnings', '0')] },
  { name: 'types', commands: [npx('tsc', '-p', 'tsconfig.json')] },
  {
    name: 'package and public API',
    commands: [
      ['node', ['scripts/check-package.mjs']],
      ['node', ['scripts/api-report.mjs', '--check']],
      ['node', ['scripts/check-docs.mjs']],
    ],
  },
  {
    name: 'native tests, thread sanitizer',
    // Threads are the same on every instruction set.
    commands: sanitized(
      ...['native/build/tsan', 'thread', ['-DLICHEN_NARROW=ON']],
      ...['-R', '^native_threads$'],
    ),
    count: countNative,
  },
  {
    name: 'native tests on 64-bit ARM, emulated',
    lack: lackOfEmulation,
    commands: [
      cmake(
        'native/build/arm',
        ...['-DLICHEN_ADDON=OFF', '-DLICHEN_TESTS=ON'],
        ...['-DCMAKE_SYSTEM_NAME=Linux', '-DCMAKE_SYSTEM_PROCESSOR=aarch64'],
        ...[`-DCMAKE_CXX_COMPILER=${ARM_COMPILER}`, '-DCMAKE_EXE_LINKER_FLAGS=-static'],
        `-DCMAKE_CROSSCOMPILING_EMULATOR=${ARM_EMULATOR};-cpu;max`,
      ),
      compile('native/build/arm'),
      // Once with dot products of bytes and once without.
      ctest('native/build/arm', '-R', 'neon'),
    ],
    count: countNative,
  },
  {
    name: 'CUDA module',
    // That it compiles: there is no device to run it on; its kernels run on a simulated one in test/cuda.
    lack: lackOfCuda,
    commands: [
      [
        'cmake',
        [
          ...['-S', 'native', '-B', 'native/build/cuda', '-DLICHEN_ADDON=OFF', '-DLICHEN_CUDA=ON'],
          '-DCMAKE_CUDA_ARCHITECTURES=90',
        ],
      ],
      ['cmake', ['--build', 'native/build/cuda', '--target', 'lichen_cuda']],
    ],
  },
  { name: 'CUDA module, simulated', commands: [['node', ['scripts/simulated-cuda.mjs']]] },
  {
    name: 'addon by cmake-js',
    // That it builds, and not how well: not optimized, it compiles faster. The benches too, so that they cannot rot.
    commands: [
      [
        'npm',
        [
          ...['run', 'build:cmake', '--', '--CDCMAKE_UNITY_BUILD=ON', '--CDLICHEN_BENCHES=ON'],
          '--CDLICHEN_FLAGS=-O0',
        ],
      ],
    ],
  },
];

const ALONE = [{ name: 'tests', commands: [vitest('main')], count: countVitest('main') }];

// What rests on the kernels, once more on each narrower instruction set.
const ON_KERNELS = [
  ...['batch-sync', 'components', 'embedding-store', 'flat', 'graph-filter', 'hnsw'],
  ...['search-within', 'storage'],
].map((name) => `test/index/${name}`);
const LAST = ['avx2', 'scalar'].map((isa) => ({
  name: `index tests, LICHEN_ISA=${isa}`,
  commands: [vitest(isa, ...ON_KERNELS)],
  env: { LICHEN_ISA: isa },
  count: countVitest(isa),
}));

let failed = false;

async function perform({ name, commands, env, count, lack }) {
  const started = performance.now();
  const reason = await lack?.();
  if (reason !== undefined) {
    process.stdout.write(`  skipped: ${name}: ${reason}\n`);
    return;
  }
  for (const [command, args] of commands) {
    const { status, output } = await run(command, args, { env });
    if (status !== 0) {
      failed = true;
      process.stdout.write(`${output}\nFAILED: ${name}\n`);
      return;
    }
    count?.(output);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`ok  ${name} (${seconds} s)\n`);
}

/** Performs steps in order, so many at a time, until one fails; those at work then are waited for. */
async function performAll(steps, atATime) {
  const queue = [...steps];
  const lane = async () => {
    while (!failed && queue.length > 0) await perform(queue.shift());
  };
  await Promise.all(Array.from({ length: atATime }, lane));
}

mkdirSync('build', { recursive: true });
await performAll(SIDE_BY_SIDE, 2);
await performAll(ALONE, 1);
await performAll(LAST, 2);
if (failed) {
  counts.failed = Math.max(1, counts.failed);
  process.exitCode = 1;
}
process.stdout.write(
  `tests: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`,
);
