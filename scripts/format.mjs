// Checks the format of all sources, or with --write sets it right: prettier for TypeScript, JavaScript, JSON and
// Markdown, clang-format for C++.

import { filesUnder } from './files.mjs';
import { run } from './run.mjs';

const write = process.argv.includes('--write');
const cpp = filesUnder('native', ['.cpp', '.hpp', '.cu', '.cuh', '.h']);
const steps = [
  ['prettier', ['.', write ? '--write' : '--check', '--log-level', 'warn']],
  ['clang-format', [...(write ? ['-i'] : ['--dry-run', '-Werror']), ...cpp]],
];
for (const [tool, args] of steps) {
  const { status, output } = await run('npx', ['--no-install', tool, ...args]);
  if (status === 0) continue;
  process.stderr.write(`${output}\n'npm run format' sets the format right\n`);
  process.exitCode = 1;
}
