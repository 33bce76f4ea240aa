import type { FastifyInstance } from 'fastify';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LichenError } from '../errors.js';

/** What the page is made of: how it is called, where it lies, what it is. */
const FILES = [
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/assets/page.js', 'page.js', 'text/javascript; charset=utf-8'],
  ['/assets/charts.js', 'charts.js', 'text/javascript; charset=utf-8'],
  ['/assets/page.css', 'page.css', 'text/css; charset=utf-8'],
] as const;
const CHARTS = [
  ['/assets/uplot.js', 'uplot/dist/uPlot.iife.min.js', 'text/javascript; charset=utf-8'],
  ['/assets/uplot.css', 'uplot/dist/uPlot.min.css', 'text/css; charset=utf-8'],
] as const;
const HEADERS = {
  'content-security-policy':
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
} as const;

/** The page at /: all of it comes from this server. */
export async function addPage(app: FastifyInstance, needsKey: boolean): Promise<void> {
  const own = FILES.map(
    async ([url, name, type]) =>
      [url, type, await readFile(join(__dirname, 'page', name))] as const,
  );
  const charts = CHARTS.map(
    async ([url, path, type]) => [url, type, await readFile(resolveChart(path))] as const,
  );
  for (const [url, type, content] of await Promise.all([...own, ...charts])) {
    const etag = `"${createHash('sha256').update(content).digest('base64url').slice(0, 20)}"`;
    app.get(url, { schema: { hide: true } }, (request, reply) => {
      reply.headers(HEADERS).header('etag', etag);
      if (request.headers['if-none-match'] === etag) return reply.code(304).send();
      return reply.type(type).send(content);
    });
  }
  app.get('/assets/config.json', { schema: { hide: true } }, () => ({ needsKey }));
}

/** @throws ERR_LICHEN_MISSING_PACKAGE */
function resolveChart(path: string): string {
  try {
    return require.resolve(path);
  } catch (cause) {
    throw new LichenError(
      'ERR_LICHEN_MISSING_PACKAGE',
      'the page needs the package uplot: npm install uplot@1, or hasPage: false',
      { cause },
    );
  }
}
