// Commands and options that are looked up rather than run.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { wordsOf } from './commands.js';
import type { Known } from './known-main.js';
import { ROOT } from './pages.js';

const PACKAGE = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
  peerDependencies: Record<string, string>;
};

/** Suites of the benches and commands of `lichen`. */
export interface All {
  readonly suites: readonly Known[];
  readonly commands: readonly Known[];
}

/** In a process of its own, which loads all of them in a third of the time. */
export function loadKnown(): All {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', join(__dirname, 'known-main.ts')],
    { encoding: 'utf8', cwd: ROOT },
  );
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as All;
}

/** Options of every suite, and of all of them together. */
const KEEPING = ['help', 'quick', 'json', 'html'];
const ALL_SUITES: Known = { name: 'all', options: ['suites'], commands: [] };

/** What is wrong with `npm run bench -- SUITE --option value …`. */
export function benchFault(text: string, { suites }: All): string | undefined {
  const [name, ...words] = wordsOf(text.replace(/^npm run (?:-s )?bench(?: --)?/, ''));
  if (name === undefined) return undefined;
  const suite = [...suites, ALL_SUITES].find((one) => one.name === name);
  if (suite === undefined) return `there is no suite ${name}`;
  const other = unknownOption(words, [...KEEPING, ...suite.options]);
  return other && `suite ${name} has no option ${other}`;
}

/** What is wrong with `lichen COMMAND … --option …`, as far as it names any. */
export function lichenFault(text: string, { commands }: All): string | undefined {
  const [, ...words] = wordsOf(text.replace(/^npx /, '').replace(/[[\]…|]/g, ' '));
  let command: Known | undefined;
  for (const word of words) {
    const next = (command?.commands ?? commands).find((one) => one.name === word);
    if (next === undefined) break;
    command = next;
  }
  const [first] = words;
  if (command === undefined) {
    return first === undefined || first.startsWith('--') ? undefined : `no command ${first}`;
  }
  const options = [command, ...command.commands].flatMap((one) => one.options);
  const other = unknownOption(words, ['help', ...options]);
  return other && `lichen ${command.name} has no option ${other}`;
}

function unknownOption(words: readonly string[], known: readonly string[]): string | undefined {
  return words.find((word) => word.startsWith('--') && !known.includes(word.slice(2)));
}

/** What is wrong with `npm install PACKAGE …`. */
export function installFault(text: string): string | undefined {
  const names = wordsOf(text)
    .slice(2)
    .filter((word) => !word.startsWith('-'));
  const other = names.find((name) => name !== 'lichen' && !(name in PACKAGE.peerDependencies));
  return other && `${other} is no package that lichen knows`;
}

/** What is wrong with `npm run SCRIPT …`. */
export function scriptFault(text: string): string | undefined {
  const script = /^npm run (?:-s )?([\w:-]+)/.exec(text)?.[1];
  return script === undefined || script in PACKAGE.scripts ? undefined : `no script ${script}`;
}
