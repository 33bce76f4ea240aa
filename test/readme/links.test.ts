import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GUIDES, readPage, ROOT } from './pages.js';

const PAGES = [
  ...GUIDES,
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md') && name !== 'README.md'),
  ...readdirSync(join(ROOT, 'examples'))
    .map((name) => `examples/${name}/README.md`)
    .filter((path) => existsSync(join(ROOT, path))),
];

/** What is wrong with a link of a page. */
function fault(path: string, link: string): string | undefined {
  if (/^https?:/.test(link)) return undefined;
  const [file = '', anchor] = link.split('#');
  const target = file === '' ? path : normalize(join(dirname(path), file));
  if (target.startsWith('..') || !existsSync(join(ROOT, target))) return 'leads nowhere';
  if (anchor === undefined) return undefined;
  if (!statSync(join(ROOT, target)).isFile()) return 'has an anchor in a folder';
  return readPage(target).anchors.has(anchor) ? undefined : 'has no such heading';
}

describe('links', () => {
  it.each(PAGES)('of %s lead somewhere', (path) => {
    const faults = readPage(path).links.flatMap((link) => {
      const what = fault(path, link);
      return what === undefined ? [] : [`${link} ${what}`];
    });
    expect(faults).toEqual([]);
  });

  it('are found, with their faults', () => {
    expect(readPage('README.md').links.length).toBeGreaterThan(30);
    expect(fault('README.md', 'docs/nothing.md')).toBe('leads nowhere');
    expect(fault('README.md', 'docs/caches.md#nothing')).toBe('has no such heading');
    expect(fault('docs/caches.md', '../../elsewhere')).toBe('leads nowhere');
    expect(fault('docs/caches.md', '#memory')).toBeUndefined();
  });

  it('lead from README to every guide', () => {
    const { links } = readPage('README.md');
    for (const guide of GUIDES.slice(1)) expect(links).toContain(guide);
  });
});
