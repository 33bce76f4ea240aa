// `npm run release -- VERSION [--dry-run]`: makes the package of the last commit, and tries it. All of it happens in a
// copy in build/release, so that nothing that is not committed comes in. Publishes nothing.

import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { closedChangelog } from './release/changelog.mjs';
import { checkArm, checkFallback, install } from './release/checks.mjs';
import { must } from './run.mjs';

const USAGE = 'usage: npm run release -- VERSION [--dry-run]\n';
const VERSION = /^\d+\.\d+\.\d+(-[\w.]+)?$/;
/** What the version stands in. */
const CHANGED = ['package.json', 'package-lock.json', 'CHANGELOG.md'];

function argumentsOf() {
  try {
    const { values, positionals } = parseArgs({
      options: { 'dry-run': { type: 'boolean', default: false } },
      allowPositionals: true,
    });
    if (positionals.length === 1 && VERSION.test(positionals[0])) {
      return { version: positionals[0], isDry: values['dry-run'] };
    }
  } catch {
    // An unknown option.
  }
  process.stderr.write(USAGE);
  process.exit(2);
}

async function step(what, work) {
  const started = performance.now();
  const result = await work();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`ok  ${what} (${seconds} s)\n`);
  return result;
}

/** The last commit as a folder of its own, with the packages of the checkout. */
async function copyOf(commit, folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const archive = `${folder}.tar`;
  await must('git', ['archive', '--output', archive, commit]);
  await must('tar', ['-xf', archive, '-C', folder]);
  rmSync(archive);
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
}

function setVersion(folder, version, day) {
  for (const name of ['package.json', 'package-lock.json']) {
    const path = join(folder, name);
    const content = JSON.parse(readFileSync(path, 'utf8'));
    content.version = version;
    if (content.packages !== undefined) content.packages[''].version = version;
    writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`);
  }
  const changelog = join(folder, 'CHANGELOG.md');
  writeFileSync(changelog, closedChangelog(readFileSync(changelog, 'utf8'), version, day));
}

async function pack(folder, destination) {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', resolve(destination)];
  const [{ filename, size, unpackedSize, entryCount }] = JSON.parse(
    await must('npm', args, { cwd: folder, env: { npm_config_loglevel: 'silent' } }),
  );
  return { path: join(destination, filename), size, unpackedSize, entryCount };
}

async function release({ version, isDry }) {
  if ((await must('git', ['status', '--porcelain'])) !== '') {
    throw new Error('the tree is not clean: commit, or put away, what git status shows');
  }
  const [commit, day] = (await must('git', ['log', '-1', '--format=%H %cs'])).trim().split(' ');
  const folder = join('build', 'release');
  const copy = join(folder, 'package');
  await step(`copy of ${commit.slice(0, 12)}, version ${version}`, async () => {
    await copyOf(commit, copy);
    // The day of the commit: the same commit makes the same package on any day.
    setVersion(copy, version, day);
  });
  await step('TypeScript', () => must('npm', ['run', 'build'], { cwd: copy }));
  const prebuilds = await step('prebuilt addons', () =>
    must('node', ['scripts/prebuilds.mjs'], { cwd: copy }),
  );
  process.stdout.write(prebuilds.replace(/^/gm, '    ').trimEnd() + '\n');
  const tarball = await step('tarball', () => pack(copy, folder));
  await step('contents, size, installation without a compiler', () =>
    must('npx', ['--no-install', 'vitest', 'run', 'test/package'], {
      cwd: copy,
      env: { LICHEN_TARBALL: resolve(tarball.path) },
    }),
  );
  await step('64-bit ARM, emulated: neondot, neon, scalar', async () =>
    checkArm(await install(tarball.path, join(folder, 'arm')), join('build', 'cache')),
  );
  await step('installation that builds the addon', () =>
    checkFallback(tarball.path, join(folder, 'fallback')),
  );
  if (!isDry) for (const name of CHANGED) copyFileSync(join(copy, name), name);
  const bytes = readFileSync(tarball.path);
  process.stdout.write(
    `${tarball.path}\n  ${tarball.size} bytes packed, ${tarball.unpackedSize} unpacked, ${tarball.entryCount} files\n` +
      `  sha256 ${createHash('sha256').update(bytes).digest('hex')}\n` +
      (isDry
        ? '  a dry run: the checkout is as it was\n'
        : `next: git commit -am 'Release ${version}' && git tag v${version}, and npm publish ${tarball.path}\n`),
  );
}

// Modes of files are part of the tarball.
process.umask(0o022);
try {
  await release(argumentsOf());
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
