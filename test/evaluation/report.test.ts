import { existsSync, readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reportHtml, writeReport, type Report } from '../../src/evaluation/report.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

// What functions that run in the page see.
declare const window: { readonly harmed?: boolean };

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => existsSync(path),
);
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
];
const HOSTILE =
  '</script><script>window.harmed = true</script><img src=x onerror="window.harmed=true">';

const report: Report = {
  title: 'Speed & recall <of all>',
  summary: ['Two series.', HOSTILE],
  facts: { vectors: 1000, [HOSTILE]: HOSTILE },
  axes: [
    { key: 'recall', label: 'recall@10', better: 'higher', digits: 4 },
    { key: 'qps', label: 'queries a second', better: 'higher', log: true, digits: 0 },
    { key: 'bytes', label: 'bytes', better: 'lower' },
  ],
  ...{ x: 'recall', y: 'qps' },
  points: [
    ...[10, 20, 40].map((ef, at) => ({
      ...{ series: 'graph', label: `graph ef ${ef}` },
      values: { recall: 0.9 + 0.04 * at, qps: 100_000 / (at + 1), bytes: 500 },
      ranges: { qps: [90_000 / (at + 1), 110_000 / (at + 1)] as const },
      texts: { why: at === 1 ? HOSTILE : '' },
      isChosen: at === 1,
    })),
    { series: 'scan', label: 'scan', values: { recall: 1, qps: 5000, bytes: 256 } },
    { series: 'scan', label: 'worse scan', values: { recall: 0.95, qps: 4000, bytes: 256 } },
  ],
  notes: ['Made up.'],
  tables: [
    {
      title: 'More',
      rows: [
        ['a', 'b'],
        ['1', HOSTILE],
      ],
    },
  ],
};

describe('reportHtml', () => {
  it('has all of it in one document, which fetches nothing', async () => {
    const page = await reportHtml(report);
    expect(page).toContain("default-src 'none'");
    expect(page).not.toMatch(/<(script|link|img|iframe)[^>]*\s(src|href)=/i);
    expect(page).toContain('<title>Speed &amp; recall &lt;of all></title>');
    expect(page).not.toContain('{{');
    expect(page.match(/<script/g)!.length).toBe(3);
  });

  it('is written whole', async () => {
    const at = temporaryFolder();
    await writeReport(at('page.html'), report);
    expect(readFileSync(at('page.html'), 'utf8')).toMatch(/<\/html>\s*$/);
    await expect(writeReport(at('none/page.html'), report)).rejects.toMatchObject({
      code: 'ERR_LICHEN_NOT_FOUND',
    });
  });
});

describe.skipIf(CHROMIUM === undefined)('a report in a browser', () => {
  const at = temporaryFolder();
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];
  beforeAll(async () => {
    await writeReport(at('report.html'), report);
    browser = await chromium.launch({ executablePath: CHROMIUM!, args: FLAGS });
    page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith('file:')) complaints.push(request.url());
    });
    await page.goto(pathToFileURL(at('report.html')).href);
  });
  afterAll(() => browser.close());

  const rows = () => page.locator('#table tbody tr').allInnerTexts();

  it('shows title, facts, table and picture, and takes no text for a program', async () => {
    expect(await page.locator('h1').innerText()).toBe('Speed & recall <of all>');
    expect((await rows()).length).toBe(5);
    expect(await page.locator('#chart canvas').count()).toBe(1);
    expect(await page.locator('#legend button').allInnerTexts()).toEqual(['graph', 'scan']);
    expect(await page.locator('#tables td').last().innerText()).toBe(HOSTILE);
    expect(await page.locator('dl').innerText()).toContain('lichen');
    expect(await page.locator('tr.chosen').innerText()).toContain('graph ef 20');
    expect(await page.evaluate(() => window.harmed)).toBeUndefined();
    expect(complaints).toEqual([]);
  });

  it('sorts by a column, both ways, and shows rows with a text', async () => {
    const head = page.locator('#table th button', { hasText: 'queries a second' });
    await head.click();
    expect((await rows())[0]).toContain('worse scan');
    await head.click();
    expect((await rows())[0]).toContain('graph ef 10');
    await page.fill('#filter', 'scan');
    expect((await rows()).length).toBe(2);
    expect(await page.locator('#count').innerText()).toBe('2 of 5');
    await page.fill('#filter', '');
  });

  it('draws by other quantities, hides series, and tells of the point below the pointer', async () => {
    const picture = () => page.locator('#chart canvas').screenshot();
    const first = await picture();
    await page.selectOption('#x', 'bytes');
    const second = await picture();
    expect(second.equals(first)).toBe(false);
    await page.locator('#legend button', { hasText: 'scan' }).click();
    expect(await page.locator('#legend button[aria-pressed="false"]').innerText()).toBe('scan');
    expect((await picture()).equals(second)).toBe(false);
    await page.locator('#legend button', { hasText: 'scan' }).click();
    await page.selectOption('#x', 'recall');
    await page.check('#front');
    expect((await picture()).equals(first)).toBe(false);
    await page.uncheck('#front');
    const over = page.locator('#chart .u-over');
    const box = (await over.boundingBox())!;
    // The exact scan has most recall and little speed: to the right, low.
    let told = '';
    for (let step = 0; step <= 60 && !told.startsWith('scan'); step++) {
      await page.mouse.move(box.x + box.width * 0.94, box.y + (box.height * step) / 60);
      const tip = page.locator('#tip');
      told = (await tip.isVisible()) ? await tip.innerText() : '';
    }
    expect(told).toContain('scan');
    expect(told).toContain('queries a second: 5,000');
    expect(complaints).toEqual([]);
  });
});
