// npm run fuzz [-- SECONDS [TARGET …]]: builds the libFuzzer targets with Clang, with address and undefined-behaviour
// sanitizers, and runs each so long (default 60 s) from its seeds, what fuzzing found before, and the corpus of runs
// before. An input that does harm is left in the build folder; it belongs into native/fuzz/cases/TARGET once mended.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

const BUILD = join('native', 'build', 'fuzz');
const TARGETS = ['snapshot', 'journal', 'hnswlib'];

function must(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (status === 0) return;
  process.stderr.write(`${command} failed${error === undefined ? '' : `: ${error.message}`}\n`);
  process.exit(1);
}

const [seconds = '60', ...named] = process.argv.slice(2);
const chosen = named.length > 0 ? named : TARGETS;
const unknown = chosen.find((name) => !TARGETS.includes(name));
if (!(Number.isInteger(Number(seconds)) && Number(seconds) > 0) || unknown !== undefined) {
  process.stderr.write(`usage: npm run fuzz -- [SECONDS [${TARGETS.join(' | ')} …]]\n`);
  process.exit(2);
}

must('cmake', [
  ...['-S', 'native', '-B', BUILD, '-DCMAKE_CXX_COMPILER=clang++', '-DLICHEN_ADDON=OFF'],
  ...['-DLICHEN_FUZZERS=ON', '-DLICHEN_SANITIZE=address,undefined'],
]);
must('cmake', ['--build', BUILD, '--parallel', String(availableParallelism())]);
const seeds = join(BUILD, 'seeds');
must(join(BUILD, 'fuzz_seeds'), [seeds]);
for (const target of chosen) {
  const corpus = join(BUILD, 'corpus', target);
  mkdirSync(corpus, { recursive: true });
  const cases = join('native', 'fuzz', 'cases', target);
  must(join(BUILD, `fuzz_${target}`), [
    ...[corpus, join(seeds, target), ...(existsSync(cases) ? [cases] : [])],
    ...[`-max_total_time=${seconds}`, '-max_len=65536', '-timeout=20', '-print_final_stats=1'],
    `-artifact_prefix=${join(BUILD, `found-${target}-`)}`,
  ]);
}
