// Looks at the package as npm would publish it: whether every way of resolving finds each entry point, and types that are
// true of what is loaded. Nothing may be wrong.

import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { PACKAGE } from './entries.mjs';
import { run } from './run.mjs';

const FOLDER = 'build/package';
// Rooms are all made alike, and publint and test/modules look at every one; --all does so with types as well.
const ENTRY_POINTS = process.argv.includes('--all') ? undefined : ['.', './http', './index'];

async function pack() {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const options = ['--ignore-scripts', '--pack-destination', FOLDER];
  const { status, output } = await run('npm', ['pack', ...options]);
  if (status !== 0) throw new Error(output);
  return readFileSync(join(FOLDER, readdirSync(FOLDER)[0]));
}

const packed = await pack();
const { entrypoints, problems } = await checkPackage(createPackageFromTarballData(packed), {
  entrypoints: ENTRY_POINTS,
});
const { messages } = await publint({
  ...{ level: 'suggestion', strict: true },
  pack: { tarball: packed.buffer.slice(packed.byteOffset, packed.byteOffset + packed.byteLength) },
});

const faults = [
  ...problems.map((problem) => `attw: ${JSON.stringify(problem)}`),
  ...messages.map((message) => `publint: ${formatMessage(message, PACKAGE)}`),
];
for (const fault of faults) process.stdout.write(`${fault}\n`);
if (faults.length > 0) process.exitCode = 1;
const entries = Object.keys(entrypoints).length;
process.stdout.write(`${entries} entry points, ${faults.length} faults\n`);
