import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { benchPage } from '../../bench/harness/page.js';
import { runBench } from '../../bench/program.js';
import type { SuiteReport } from '../../bench/harness/run-suite.js';
import { SUITES } from '../../bench/suites.js';
import { describeMachine } from '../../src/evaluation/machine.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => existsSync(path),
);
const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run'];

/** What a call of `npm run bench` with arguments comes to. */
async function bench(...args: string[]) {
  const [out, complaints]: [string[], string[]] = [[], []];
  const status = await runBench(
    args,
    (line) => out.push(line),
    (line) => complaints.push(line),
  );
  return { status, out: out.join('\n'), complaints };
}

describe('npm run bench', () => {
  it('is a menu: a line a suite, within 80 columns', async () => {
    const { status, out } = await bench();
    expect(status).toBe(0);
    expect((await bench('--help')).out).toBe(out);
    const suites = out.slice(out.indexOf('Suites:'), out.indexOf('Examples:'));
    const lines = suites.split('\n').filter((line) => line.startsWith(' '));
    expect(lines.map((line) => line.trim().split(' ')[0])).toEqual([
      ...SUITES.map(({ name }) => name),
      'all',
    ]);
    for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  it('tells the options of each suite, and what quick is', async () => {
    for (const { name, options, quick } of SUITES) {
      const { status, out } = await bench(name, '--help');
      expect(status).toBe(0);
      for (const option of [...Object.keys(options), 'quick', 'json', 'html']) {
        expect(out).toMatch(new RegExp(`^ {2}--${option} `, 'm'));
      }
      expect(
        Object.keys(quick).filter((option) => !(option in options)),
        name,
      ).toEqual([]);
    }
  });

  const wrong: [string[], RegExp][] = [
    [['hnswlb'], /^bench: unknown suite 'hnswlb' \(Did you mean hnswlib\?\)$/],
    [['exact', '--row', '5'], /unknown option '--row' \(Did you mean --rows\?\)/],
    [['exact', '--rows'], /option '--rows <value>' argument missing/],
    [['exact', 'more'], /too many arguments/],
    [['exact', '--rows', '0'], /--rows must be a whole number of at least 1, got 0/],
    [['calls', '--seconds=none'], /--seconds must be a number above 0, got none/],
    [['serve', '--shares', '1,-1'], /--shares must be numbers above 0/],
    [['storage', '--rows=9', '--limit=1', '--storage=i9'], /--storage is one of f32, .*got "i9"/],
    [
      ['storage', '--rows=9', '--storage', 'i4+f16'],
      /--storage is storage\[\/pca\] here, got i4\+f16/,
    ],
    [['filter', '--data', 'nothing'], /no data set nothing, expected gowalla-ials64/],
    [['cache', '--input', 'x'], /--input needs --entries/],
    [['all', '--suites', 'calls,nothing'], /--suites must be of calls, .*got nothing/],
    [['all', '--html', '/no/folder/page.html'], /There is no folder \/no\/folder/],
  ];
  it.each(wrong)('refuses %j with status 2', async (args, message) => {
    const { status, complaints } = await bench(...args);
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toMatch(message);
    expect(status).toBe(2);
  });

  const at = temporaryFolder();
  it('runs suites one after the other, in processes of their own, and writes a page', async () => {
    const files = ['--html', at('all.html'), '--json', at('all.json')];
    const { status, out, complaints } = await bench('all', '--quick', '--suites=calls', ...files);
    expect(complaints).toEqual([]);
    expect(status).toBe(0);
    expect(out).toMatch(/^calls +[\d.]+ s$/m);
    const { suites } = JSON.parse(readFileSync(at('all.json'), 'utf8')) as {
      suites: SuiteReport[];
    };
    expect(suites.map(({ suite, options }) => [suite, options])).toEqual([
      ['calls', { seconds: SUITES[0]!.quick['seconds'] }],
    ]);
    expect(suites[0]!.results).toHaveLength(7);
    expect(readFileSync(at('all.html'), 'utf8')).toContain('searchSync, integer keys');
  }, 60_000);
});

describe('the page of a bench', () => {
  const at = temporaryFolder();
  const HOSTILE = '</section><script>document.title = "harmed"</script>';
  const suite = (name: string) => SUITES.find((one) => one.name === name)!;
  const { isa, ...machine } = describeMachine();
  const report = (name: string, more: Partial<SuiteReport>): SuiteReport => ({
    ...{ suite: name, machine, isa, options: { rows: '5' }, seconds: 1.25 },
    ...{ said: [HOSTILE], results: [], pictures: [], ...more },
  });
  const picture =
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h9"/></svg>';
  const page = benchPage([
    { suite: suite('calls'), report: report('calls', { results: [{ name: HOSTILE, us: 1.5 }] }) },
    {
      suite: suite('pool'),
      report: report('pool', {
        results: [{ name: 'a', section: 'one', median: 2, min: 1, max: 3, unit: 's' }],
        pictures: [picture],
      }),
    },
    { suite: suite('gpu'), report: report('gpu', { skipped: 'no device' }) },
    { suite: suite('train'), failure: `first\n${HOSTILE}` },
  ]);

  it.skipIf(CHROMIUM === undefined)(
    'has tables and pictures, and runs and fetches nothing',
    async () => {
      writeFileSync(at('page.html'), page);
      const browser = await chromium.launch({ executablePath: CHROMIUM!, args: FLAGS });
      try {
        const tab = await browser.newPage();
        const complaints: string[] = [];
        tab.on('console', (message) => complaints.push(message.text()));
        tab.on('pageerror', (error) => complaints.push(error.message));
        tab.on('request', (request) => {
          if (!request.url().startsWith('file:')) complaints.push(request.url());
        });
        await tab.goto(pathToFileURL(at('page.html')).href);
        expect(await tab.title()).toBe('lichen, measured');
        const cells = (id: string) => tab.locator(`#${id} td`).allInnerTexts();
        expect(await cells('calls')).toEqual([HOSTILE, '1.500']);
        expect(await cells('pool')).toEqual(['a', '2', '1', '3', 's']);
        expect(await tab.locator('#pool h3').innerText()).toBe('one');
        expect((await tab.locator('#pool svg').boundingBox())!.width).toBeGreaterThan(0);
        expect(await tab.locator('#calls code').innerText()).toBe(
          'npm run bench -- calls --rows 5',
        );
        expect(await tab.locator('nav li').allInnerTexts()).toEqual([
          ...['calls 1.3 s', 'pool 1.3 s', 'gpu skipped: no device'],
          `train failed: ${HOSTILE}`,
        ]);
        expect(await tab.locator('.failure').innerText()).toBe(`first\n${HOSTILE}`);
        expect(complaints).toEqual([]);
      } finally {
        await browser.close();
      }
    },
  );
});
