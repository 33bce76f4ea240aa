// `npm run prebuilds [-- TARGET …]`: builds the addons that the package ships (by default all of them), as
// prebuilds/TARGET/lichen.glibc.node, and checks what they need of a system. The same sources and compiler give the same
// bytes, wherever they lie.

import { copyFileSync, mkdirSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { must } from './run.mjs';

/** By node-gyp-build's names; tools by the names that Debian's packages give them. */
const TARGETS = {
  'linux-x64': { processor: 'x86_64', tools: 'x86_64-linux-gnu-' },
  'linux-arm64': { processor: 'aarch64', tools: 'aarch64-linux-gnu-' },
};
/** The name tells node-gyp-build that systems of musl cannot take it. */
const FILE = 'lichen.glibc.node';
/** What Node.js 20 itself needs. */
const GLIBC = [2, 28];
/** Libraries that Node.js has loaded before. */
const LIBRARIES =
  /^(libc|libm|libgcc_s|libpthread|libdl|ld-linux-x86-64|ld-linux-aarch64)\.so\.\d+$/;

async function build(target, { processor, tools }) {
  const folder = join('build', 'prebuild', target);
  await must('cmake', [
    ...['-S', 'native', '-B', folder, '-DLICHEN_PREBUILT=ON'],
    ...['-DCMAKE_SYSTEM_NAME=Linux', `-DCMAKE_SYSTEM_PROCESSOR=${processor}`],
    `-DCMAKE_CXX_COMPILER=${tools}g++`,
    `-DLICHEN_FLAGS=-ffile-prefix-map=${process.cwd()}=.`,
  ]);
  const parallel = String(availableParallelism());
  await must('cmake', ['--build', folder, '--target', 'addon', '--parallel', parallel]);
  const prebuilt = join('prebuilds', target, FILE);
  mkdirSync(join('prebuilds', target), { recursive: true });
  copyFileSync(join(folder, 'lichen.node'), prebuilt);
  await must(`${tools}strip`, ['--strip-all', prebuilt]);
  return prebuilt;
}

/** The newest version of the C library that is needed; throws if that, or what else is needed, is more than Node.js needs. */
async function needs(file, { tools }) {
  const headers = await must(`${tools}objdump`, ['-p', '-T', file]);
  const libraries = [...headers.matchAll(/NEEDED\s+(\S+)/g)].map(([, name]) => name);
  const strangers = libraries.filter((name) => !LIBRARIES.test(name));
  if (strangers.length > 0) throw new Error(`${file} needs ${strangers.join(', ')}`);
  const symbols = [...headers.matchAll(/GLIBC_(\d+)\.(\d+)(?:\.\d+)?\)?\s+(\S+)$/gm)].map(
    ([, major, minor, name]) => ({ name, version: [Number(major), Number(minor)] }),
  );
  const newer = symbols.filter(({ version }) => compare(version, GLIBC) > 0);
  if (newer.length > 0) {
    const names = newer.map(({ name, version }) => `${name} (${version.join('.')})`).join(', ');
    throw new Error(
      `${file} needs more than glibc ${GLIBC.join('.')}: ${names}; see native/addon/older_glibc.cpp`,
    );
  }
  return symbols
    .map(({ version }) => version)
    .sort(compare)
    .at(-1);
}

const compare = (a, b) => a[0] - b[0] || a[1] - b[1];

const named = process.argv.slice(2);
const unknown = named.find((target) => !(target in TARGETS));
if (unknown !== undefined) {
  process.stderr.write(
    `usage: npm run prebuilds [-- ${Object.keys(TARGETS).join(' | ')} …]; there is no ${unknown}\n`,
  );
  process.exit(2);
}
for (const target of named.length > 0 ? named : Object.keys(TARGETS)) {
  try {
    const file = await build(target, TARGETS[target]);
    const glibc = (await needs(file, TARGETS[target])).join('.');
    process.stdout.write(`${file}: ${statSync(file).size} bytes, needs glibc ${glibc}\n`);
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}
