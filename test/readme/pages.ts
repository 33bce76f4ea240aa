import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

export const ROOT = join(__dirname, '..', '..');

/** README and the guides, whose blocks are run. */
export const GUIDES = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => `docs/${name}`),
];

/** A fenced block of a page. */
export interface Block {
  readonly page: string;
  /** Line of the page, from 1, of the first line of the block. */
  readonly line: number;
  readonly language: string;
  readonly text: string;
  /** The last line of text before it. */
  readonly before: string;
}

/** A Markdown page, as far as tests look at it. */
export interface Page {
  readonly path: string;
  readonly blocks: readonly Block[];
  /** What links can name: `#…`. */
  readonly anchors: ReadonlySet<string>;
  /** Targets of links and pictures. */
  readonly links: readonly string[];
  /** What stands in backticks in the text. */
  readonly spans: readonly string[];
}

/** The name of a page without folder and ending: where its blocks run. */
export function nameOf(path: string): string {
  return basename(path, '.md');
}

export function readPage(path: string): Page {
  const blocks: Block[] = [];
  const prose: string[] = [];
  let open: (Omit<Block, 'page' | 'text'> & { lines: string[] }) | undefined;
  readFileSync(join(ROOT, path), 'utf8')
    .split('\n')
    .forEach((line, at) => {
      const fence = /^ *```(.*)$/.exec(line);
      if (fence === null) {
        (open?.lines ?? prose).push(line);
      } else if (open === undefined) {
        const before = prose.findLast((text) => text !== '') ?? '';
        open = { line: at + 2, language: fence[1]!.trim(), before, lines: [] };
      } else {
        const { lines, ...rest } = open;
        blocks.push({ page: path, ...rest, text: lines.join('\n') });
        open = undefined;
      }
    });
  if (open !== undefined) throw new Error(`${path}:${open.line} is a block without an end`);
  const text = prose.join('\n');
  const spans = [...text.matchAll(/`([^`]+)`/g)].map(([, span]) => span!.replace(/\s+/g, ' '));
  const plain = text.replace(/`[^`]*`/g, 'code');
  const links = [...plain.matchAll(/\[[^[\]]*\]\(([^)\s]+)\)/g)].map(([, link]) => link!);
  return { path, blocks, anchors: anchorsOf(prose), links, spans };
}

/** As GitHub makes them of headings. */
function anchorsOf(lines: readonly string[]): Set<string> {
  const anchors = new Set<string>();
  for (const line of lines) {
    const heading = /^#{1,6} +(.*)$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
    let anchor = slug;
    for (let again = 1; anchors.has(anchor); again++) anchor = `${slug}-${again}`;
    anchors.add(anchor);
  }
  return anchors;
}
