import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(__dirname, '..', '..');
const { exports: entries } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  exports: Record<string, string | { import: string; require: string }>;
};
const NAMES = Object.keys(entries)
  .filter((subpath) => subpath !== './package.json')
  .map((subpath) => subpath.replace(/^\./, 'lichen'));

/** What entry points give in a process of its own: of each, the names that `import` and `require` differ in. */
interface Loaded {
  readonly required: Record<string, string[]>;
  readonly imported: Record<string, string[]>;
  readonly different: string[];
  readonly foreign: string[];
}

function load(first: 'import' | 'require'): Loaded {
  const program = `
    import { createRequire } from 'node:module';
    const require = createRequire(process.cwd() + '/program.js');
    const names = ${JSON.stringify(NAMES)};
    const required = {};
    const imported = {};
    const ways = [
      async (name) => (imported[name] = await import(name)),
      (name) => (required[name] = require(name)),
    ];
    for (const way of ${first === 'import'} ? ways : ways.reverse()) {
      for (const name of names) await way(name);
    }
    const different = [];
    const foreign = [];
    for (const name of names) {
      for (const key of Object.keys(required[name])) {
        if (imported[name][key] !== required[name][key]) different.push(name + ' ' + key);
        const whole = required.lichen[key];
        if (name !== 'lichen/http' && whole !== required[name][key]) foreign.push(name + ' ' + key);
      }
    }
    const keys = (modules) =>
      Object.fromEntries(names.map((name) => [name, Object.keys(modules[name]).sort()]));
    console.log(JSON.stringify({ required: keys(required), imported: keys(imported), different, foreign }));`;
  const args = ['--input-type=module', '--eval', program];
  return JSON.parse(
    execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' }),
  ) as Loaded;
}

describe('entry points', () => {
  it.each(['import', 'require'] as const)('give the same objects, by %s first', (first) => {
    const { required, imported, different, foreign } = load(first);
    expect(Object.keys(required)).toEqual(NAMES);
    for (const name of NAMES) expect(required[name]!.length).toBeGreaterThan(0);
    expect(imported).toEqual(required);
    expect(different).toEqual([]);
    // A room's names are those of the whole.
    expect(foreign).toEqual([]);
  });

  it('are every room that says what it exports', () => {
    const rooms = readdirSync(join(ROOT, 'src')).filter((name) =>
      existsSync(join(ROOT, 'src', name, 'index.ts')),
    );
    expect(NAMES.map((name) => name.slice('lichen/'.length)).sort()).toEqual(['', ...rooms].sort());
  });
});
