// Prints the suites of the benches and the commands of `lichen` with their options, as JSON.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Suite } from '../../bench/harness/suite.js';

/** A suite or a command. */
export interface Known {
  readonly name: string;
  /** Without the dashes. */
  readonly options: readonly string[];
  readonly commands: readonly Known[];
}

const ROOT = join(__dirname, '..', '..');
/** Modules that run when they are loaded. */
const PROGRAMS = ['main.ts'];

/** What the modules of a folder export under names with an ending. */
async function exportsOf<T>(folder: string, ending: string): Promise<T[]> {
  const found: T[] = [];
  for (const name of readdirSync(join(ROOT, folder))) {
    if (!name.endsWith('.ts') || PROGRAMS.includes(name)) continue;
    const exported = (await import(join(ROOT, folder, name))) as Record<string, T>;
    for (const key of Object.keys(exported)) if (key.endsWith(ending)) found.push(exported[key]!);
  }
  return found;
}

function knownOf(command: Command): Known {
  return {
    name: command.name(),
    options: command.options.map(({ long }) => long?.slice(2) ?? ''),
    commands: command.commands.map(knownOf),
  };
}

async function main(): Promise<void> {
  const suites = await exportsOf<Suite>('bench/suites', 'Suite');
  const commands = await exportsOf<() => Command>('src/cli', 'Command');
  const told = {
    suites: suites.map(({ name, options }) => ({
      name,
      options: Object.keys(options),
      commands: [],
    })),
    commands: commands.map((make) => knownOf(make())),
  };
  process.stdout.write(JSON.stringify(told));
}

void main();
