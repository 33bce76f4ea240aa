import { existsSync } from 'node:fs';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { get, indexOf, post, served } from './helpers.js';

// What functions that run in the page see.
declare const document: {
  getElementById(id: string): { readonly textContent: string };
  querySelectorAll(selector: string): { readonly length: number };
};
declare const window: { readonly harmed?: boolean };

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => existsSync(path),
);
const FLAGS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
  ...['--disable-background-networking', '--disable-component-update'],
];

describe('files of the page', () => {
  it('come from this server alone, and are kept by browsers until they change', async () => {
    const { url } = await served();
    const page = await get<string>(`${url}/`);
    expect(page.headers.get('content-type')).toMatch(/^text\/html/);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    const links = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link!);
    for (const link of links.filter((one) => !one.startsWith('data:'))) {
      expect(link).not.toMatch(/^(https?:)?\/\//);
      const file = await fetch(`${url}/${link}`);
      expect([link, file.status]).toEqual([link, 200]);
      await file.arrayBuffer();
      const again = await fetch(`${url}/${link}`, {
        headers: { 'if-none-match': file.headers.get('etag')! },
      });
      expect(again.status).toBe(304);
    }
  });

  it('can be left out', async () => {
    const { url } = await served({ hasPage: false });
    expect((await get(`${url}/`)).status).toBe(404);
  });
});

describe.skipIf(CHROMIUM === undefined)('the page in a browser', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM!, args: FLAGS });
  });
  afterAll(() => browser.close());

  /** The page of a service, and what the browser complained of. */
  async function open(url: string): Promise<{ page: Page; complaints: string[] }> {
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(url) && !request.url().startsWith('data:')) {
        complaints.push(`asked ${request.url()}`);
      }
    });
    await page.goto(url);
    return { page, complaints };
  }

  const text = (page: Page, id: string) => page.locator(`#${id}`).innerText();

  it('shows what the service does, and recommends with an explanation', async () => {
    const { url } = await served({}, { canaryShare: 1 }, { index: await indexOf(undefined, true) });
    const { page, complaints } = await open(url);
    await page.waitForFunction(() => document.getElementById('status').textContent === 'ready');
    for (let user = 0; user < 30; user++) await post(`${url}/v1/recommend`, { user });
    await page.waitForFunction(() => document.querySelectorAll('#batches .bar').length > 0);
    expect(await text(page, 'version')).toBe('model v1');
    await page.waitForFunction(() => document.querySelectorAll('.chart canvas').length === 3);
    await page.waitForFunction(() => document.getElementById('recall').textContent === '1.000');

    await page.fill('#user', 'u9');
    await page.fill('#where', '{"kind": "odd"}');
    await page.fill('#k', '3');
    await page.click('#ask button');
    await page.waitForSelector('#items li');
    expect(await page.locator('#items li').count()).toBe(3);
    expect(await page.locator('#items li').first().innerText()).toMatch(
      /^odd\s*\d+, .* by retrieval$/,
    );
    expect(await text(page, 'how')).toMatch(/^Model v1, [\d.]+ ms$/);
    const steps = await page.locator('#steps .step p').allInnerTexts();
    expect(steps.map((step) => step.split(',')[0])).toEqual(['encode: full', 'retrieval: full']);
    expect(await page.locator('#key-form').isVisible()).toBe(false);
    expect(complaints).toEqual([]);
    await page.close();
  });

  it('tells what is wrong with a question, and that nothing answers', async () => {
    const { url, server } = await served();
    const { page } = await open(url);
    await page.fill('#where', '{"year": 1}');
    await page.click('#ask button');
    await page.waitForSelector('#answer-problem:not([hidden])');
    expect(await text(page, 'answer-problem')).toContain('ERR_LICHEN_ARGUMENT');
    await server.close();
    await page.waitForFunction(() => document.getElementById('status').textContent === 'no answer');
    await page.close();
  });

  it('shows names that are code as text', async () => {
    const evil = '<img src=x onerror="window.harmed = true">';
    const keys = Array.from({ length: 30 }, (_, at) => `${evil}${at}`);
    const { url } = await served({}, {}, { index: await indexOf<string>(keys) });
    const { page, complaints } = await open(url);
    await page.fill('#user', evil);
    await page.click('#ask button');
    await page.waitForSelector('#items li');
    expect(await page.locator('#items li').first().innerText()).toContain('<img src=x');
    expect(await page.evaluate(() => window.harmed)).toBeUndefined();
    expect(complaints).toEqual([]);
    await page.close();
  });

  it('asks for a key where one is needed', async () => {
    const key = '0123456789abcdef';
    const { url } = await served({ keys: [{ id: 'page', key, allows: ['read', 'observe'] }] });
    const { page } = await open(url);
    await page.waitForSelector('#key-form:not([hidden])');
    await page.waitForFunction(() => document.getElementById('status').textContent === 'no answer');
    await page.fill('#key', key);
    await page.click('#key-form button');
    await page.waitForFunction(() => document.getElementById('status').textContent === 'ready');
    await page.close();
  });
});
