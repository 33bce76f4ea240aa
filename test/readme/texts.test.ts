import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  benchFault,
  installFault,
  lichenFault,
  loadKnown,
  scriptFault,
  type All,
} from './checked.js';
import { commandsOf, wordsOf } from './commands.js';
import { GUIDES, readPage, ROOT } from './pages.js';
import { isTold, withChecks } from './told.js';

let known: All;
beforeAll(() => {
  known = loadKnown();
});

/** What is wrong with a command that a text names. */
function fault(span: string): string | undefined {
  if (/^npm run (?:-s )?bench\b/.test(span)) return benchFault(span, known);
  if (/^npm run /.test(span)) return scriptFault(span);
  if (/^npm install \S/.test(span) && !span.includes('--no-save')) return installFault(span);
  if (/^(?:npx )?lichen /.test(span)) return lichenFault(span, known);
  return undefined;
}

describe('texts of README and the guides', () => {
  it.each(GUIDES)('of %s name commands and options that there are', (path) => {
    const { spans, blocks } = readPage(path);
    const commands = blocks.filter(({ language }) => language === 'sh').flatMap(commandsOf);
    const faults = [...spans, ...commands.map(({ text }) => text)].flatMap((span) => {
      const what = fault(span);
      return what === undefined ? [] : [`${span}: ${what}`];
    });
    expect(faults).toEqual([]);
  });

  it('would be found to be wrong', () => {
    expect(fault('npm run bench -- nothing')).toBe('there is no suite nothing');
    expect(fault('npm run bench -- ann --nothing 1')).toBe('suite ann has no option --nothing');
    expect(fault('npm run nothing')).toBe('no script nothing');
    expect(fault('npm install nothing')).toMatch(/^nothing is no package/);
    expect(fault('lichen nothing')).toBe('no command nothing');
    expect(fault('lichen build --nothing')).toBe('lichen build has no option --nothing');
    expect(fault('lichen cluster publish --shard 3')).toMatch(/has no option --shard$/);
    expect(fault('lichen cluster publish --shards 3')).toBeUndefined();
  });

  it('have every command in the table of README', () => {
    const { spans } = readPage('README.md');
    const named = spans.flatMap((span) => /^lichen (\w+)$/.exec(span)?.[1] ?? []);
    expect([...new Set(named)].sort()).toEqual(known.commands.map(({ name }) => name).sort());
  });

  it('have every code of errors in README', () => {
    const { spans } = readPage('README.md');
    const named = spans.flatMap((span) => /^(?:ERR_LICHEN)?(_[A-Z_]+)$/.exec(span)?.[1] ?? []);
    const errors = readFileSync(join(ROOT, 'src', 'errors.ts'), 'utf8');
    const codes = [...errors.matchAll(/\| 'ERR_LICHEN(_\w+)'/g)].map(([, code]) => code!);
    expect([...new Set(named)].sort()).toEqual(codes.sort());
  });
});

describe('what tests make of blocks', () => {
  it('is one command of lines that go on, without comments', () => {
    const text = '# a\nlichen build --a 1 \\\n  --b "x y"   # why\n\nnpm start';
    const block = { page: 'p', line: 5, language: 'sh', before: '', text };
    expect(commandsOf(block)).toEqual([
      { line: 6, text: 'lichen build --a 1 --b "x y"' },
      { line: 9, text: 'npm start' },
    ]);
    expect(wordsOf('a \'b c\' "d e" f')).toEqual(['a', 'b c', 'd e', 'f']);
  });

  it('is a check of what a comment tells, and of nothing else', () => {
    const checked = (line: string): string => withChecks(line);
    expect(checked("// keys: ['a']")).toBe('told("keys", keys, "[\'a\']");');
    expect(checked('  a.b(7); // 1.5')).toBe('  told("a.b(7)", a.b(7), "1.5");');
    for (const line of ['// keys: those of the first', 'const a = 1; // 2', 'a.b; // a matrix']) {
      expect(checked(line)).toBe(line);
    }
    expect(isTold("[ 'a', 'b' ]", "['a', 'b']")).toBe(true);
    expect(isTold('Float32Array(2) [ 0.976, 1 ]', 'Float32Array [0.97…, 1]')).toBe(true);
    expect(isTold('Float32Array(2) [ 0.976, 1 ]', 'Float32Array [0.98…, 1]')).toBe(false);
    expect(isTold('12', '1')).toBe(false);
  });
});
