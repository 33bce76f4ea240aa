// Checks that THIRD_PARTY.txt tells the packages that an installation of lichen brings along, as package-lock.json has
// them, and their licences; `npm run third-party` writes it anew.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const FILE = 'THIRD_PARTY.txt';
/** Licences that ask no more than that they be told. */
const FREE = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT'];
const RULE = '-'.repeat(80);

const ABOUT = `Packages that an installation of lichen brings along, with their licences. Made by
\`npm run third-party\`.

The prebuilt addons (prebuilds/) contain code of the headers of node-addon-api, and
of GCC's libstdc++, which is licensed under GPL-3.0 with the GCC Runtime Library
Exception 3.1: programs that are compiled with it may be given on under any terms.
`;

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));

/** Where the package that `from` gets by a name lies: the nearest folder that has it, as Node.js looks for it. */
function resolve(name, from) {
  for (let folder = from; ; folder = dirname(folder)) {
    const path = join(folder, 'node_modules', name).replaceAll('\\', '/');
    if (path in packages) return path;
    if (folder === '.' || folder === '') throw new Error(`package-lock.json has no ${name}`);
  }
}

/** Paths of what a package needs, and what that needs. */
function neededBy(path, found) {
  const { dependencies, optionalDependencies } = packages[path];
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
    const needed = resolve(name, path);
    if (found.has(needed)) continue;
    found.add(needed);
    neededBy(needed, found);
  }
  return found;
}

function textOf(path) {
  const file = readdirSync(path).find((name) => /^(licen[sc]e|copying)\b/i.test(name));
  if (file === undefined) throw new Error(`${path} has no file of its licence`);
  return readFileSync(join(path, file), 'utf8').replaceAll('\r\n', '\n').trim();
}

function entry(path) {
  const { version, license, os, cpu } = packages[path];
  const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
  if (!FREE.includes(license)) throw new Error(`${name} is licensed by ${license}`);
  const head = `${name} ${version}: ${license}`;
  // One of several for different machines, of which at most one is installed: the package that wants them has the text.
  if (os !== undefined || cpu !== undefined) return { head };
  return { head, text: textOf(path) };
}

const entries = [...neededBy('', new Set())].sort().map(entry);
const heads = entries.map(({ head }) => head);
const texts = entries
  .filter(({ text }) => text !== undefined)
  .map(({ head, text }) => `${RULE}\n${head}\n\n${text}\n`);
const whole = [ABOUT, `${heads.join('\n')}\n`, ...texts].join('\n');

if (process.argv.includes('--write')) writeFileSync(FILE, whole);
else if (readFileSync(FILE, 'utf8') !== whole) {
  process.stderr.write(`${FILE} is not as the packages are; 'npm run third-party' writes it\n`);
  process.exitCode = 1;
}
