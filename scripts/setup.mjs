// Makes a checkout ready to run: installs the packages, builds the addon, compiles the TypeScript; each only if it is
// out of date. `npm start` and `npm test` run it first.

import { writeFileSync } from 'node:fs';
import { filesUnder, isStale } from './files.mjs';
import { run } from './run.mjs';

const ADDON = 'build/Release/lichen.node';
const COMPILED = 'dist/.compiled';
// node-gyp compiles on as many processors as there are.
const env = { JOBS: 'max' };

async function step(what, command, args) {
  const started = performance.now();
  process.stderr.write(`${what} …\n`);
  const { status, output } = await run(command, args, { env });
  if (status !== 0) {
    process.stderr.write(`${output}\n${what} failed; see README.md for what the build needs\n`);
    process.exit(1);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stderr.write(`${what} done in ${seconds} s\n`);
}

if (isStale('node_modules/.package-lock.json', ['package-lock.json'])) {
  // Its install script builds the addon.
  await step('installing packages and building the addon', 'npm', [
    'ci',
    '--no-audit',
    '--no-fund',
  ]);
}
const native = filesUnder('native', ['.cpp', '.hpp', '.gypi']).filter(
  (path) => !/native\/(test|bench)\//.test(path),
);
if (isStale(ADDON, [...native, 'binding.gyp'])) {
  await step('building the addon', 'npm', ['run', 'build:native']);
}
if (
  isStale(COMPILED, [
    ...filesUnder('src', ['.ts', '.html', '.js', '.css']),
    ...['tsconfig.json', 'tsconfig.build.json', 'package.json', 'scripts/module-entries.mjs'],
  ])
) {
  await step('compiling', 'npm', ['run', 'build']);
  writeFileSync(COMPILED, '');
}
