// npm run docs: builds the site of the documentation into build/docs: README, the guides, and what each entry point of the
// package exports. A link that leads nowhere fails it.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { Application, Converter } from 'typedoc';

const OUTPUT = 'build/docs';
const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));

/** Sources of the entry points. The whole comes last: what a room exports is told there. */
const entryPoints = Object.keys(exports)
  .filter((entry) => entry !== './package.json')
  .map((entry) => (entry === '.' ? 'src/index.ts' : `src/${entry.slice(2)}/index.ts`))
  .sort((a, b) => Number(a === 'src/index.ts') - Number(b === 'src/index.ts'));

/** Pages in the order of the table of guides of README, then those about the house. */
const linked = [...readFileSync('README.md', 'utf8').matchAll(/^\| \[.*\]\((docs\/.*\.md)\)/gm)];
const pages = [
  ...linked.map(([, path]) => path),
  ...readdirSync('examples').map((name) => `examples/${name}/README.md`),
  ...['ARCHITECTURE', 'FORMAT', 'CONTRIBUTING', 'SECURITY', 'CHANGELOG'].map(
    (name) => `${name}.md`,
  ),
].filter((path) => existsSync(path));

const app = await Application.bootstrap({
  entryPoints,
  projectDocuments: pages,
  out: OUTPUT,
  tsconfig: 'tsconfig.build.json',
  name: 'lichen',
  readme: 'README.md',
  customCss: 'scripts/docs.css',
  includeVersion: true,
  excludeInternal: true,
  excludePrivate: true,
  excludeExternals: true,
  disableSources: true,
  hideGenerator: true,
  searchInDocuments: true,
  highlightLanguages: ['typescript', 'javascript', 'json', 'shellscript', 'docker'],
  navigation: { includeCategories: false, includeGroups: false, includeFolders: false },
  validation: { invalidLink: true, invalidPath: true, rewrittenLink: true, notExported: false },
  treatValidationWarningsAsErrors: true,
});
// A page is called what its first heading says, and an entry point what is imported.
app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_, page) => {
  const [first] = page.content;
  page.name = /^# (.+)$/m.exec(first.text)?.[1] ?? page.name;
});
const points = app.getEntryPoints();
if (points === undefined) process.exit(1);
for (const point of points) {
  const [, room] = /\/src\/(\w+)\/index\.ts$/.exec(point.sourceFile.fileName) ?? [];
  point.displayName = room === undefined ? 'lichen' : `lichen/${room}`;
}
const project = app.converter.convert(points);
app.validate(project);
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1);
await app.generateOutputs(project);
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1);
