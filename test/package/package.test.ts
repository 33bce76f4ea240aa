import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, posix } from 'node:path';
import ts from 'typescript';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { Application, ROOT, run, tarballIn, type Tarball } from './tarball.js';

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const { dependencies, peerDependencies, version } = JSON.parse(read('package.json')) as {
  readonly version: string;
  readonly dependencies: Record<string, string>;
  readonly peerDependencies: Record<string, string>;
};

/** What may be in the tarball. */
const BELONGS = [
  /^dist\/[\w./-]+\.(js|mjs|d\.ts|d\.mts|html|css)$/,
  /^native\/(addon|codecs|cuda|index|kernels|runtime|storage|tensor)\/(generic\/)?\w+\.(cpp|hpp|h|cu|cuh|map)$/,
  /^native\/(sources\.gypi|CMakeLists\.txt|package\.json|install\.js)$/,
  /^prebuilds\/linux-(x64|arm64)\/lichen\.glibc\.node$/,
  /^docs\/\w+\.md$/,
  /^(package\.json|binding\.gyp|LICENSE|THIRD_PARTY\.txt|(README|CHANGELOG|FORMAT|SECURITY)\.md)$/,
];
/** Bytes, unpacked and as they are downloaded. CONTRIBUTING.md tells the sizes: whoever raises a bound sets them right. */
const BUDGET = {
  addon: { unpacked: 5_000_000, packed: 1_900_000 },
  rest: { unpacked: 4_500_000, packed: 1_300_000 },
};
/** All that an installation brings along, but for one of several packages for different machines. */
const INSTALLED = [
  ...['@napi-rs/nice', 'ansi-regex', 'cli-progress', 'commander', 'csv-parse', 'emoji-regex'],
  ...['is-fullwidth-code-point', 'lichen', 'node-addon-api', 'node-gyp-build', 'piscina'],
  ...['string-width', 'strip-ansi'],
];
/** What npx runs. */
const COMMAND = 'node_modules/.bin/lichen';

const at = temporaryFolder();
let tarball: Tarball;
let app: Application;
let installSeconds: number;

beforeAll(() => {
  tarball = tarballIn(at('.'));
  app = new Application(at('.'));
  const started = performance.now();
  app.must(
    'npm',
    ...['install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error', tarball.path],
  );
  installSeconds = (performance.now() - started) / 1000;
});

describe('the tarball', () => {
  const paths = (): string[] => tarball.files.map(({ path }) => path);
  const content = (path: string): string =>
    readFileSync(join(app.folder, 'node_modules', 'lichen', path), 'utf8');

  it('has nothing that does not belong there', () => {
    const strangers = paths().filter((path) => !BELONGS.some((pattern) => pattern.test(path)));
    expect(strangers).toEqual([]);
    expect(paths().filter((path) => path.startsWith('prebuilds/'))).not.toEqual([]);
  });

  it('has what the addon is built from', () => {
    const { variables } = JSON.parse(read('native/sources.gypi')) as {
      variables: Record<string, string[]>;
    };
    const lists = Object.entries(variables).filter(
      ([name]) => name.endsWith('_files') && !/^(test|bench|fuzz)_/.test(name),
    );
    const sources = lists.flatMap(([, files]) => files.map((file) => `native/${file}`));
    expect(sources.length).toBeGreaterThan(80);
    const native = paths().filter((path) => /\.(cpp|hpp|h|cu|cuh)$/.test(path));
    const included = native.flatMap((path) =>
      [...content(path).matchAll(/^#include "([^"]+)"/gm)].map(([, name]) => `native/${name}`),
    );
    const needed = new Set([...sources, ...included, 'binding.gyp', 'native/sources.gypi']);
    expect([...needed].filter((path) => !paths().includes(path))).toEqual([]);
  });

  it('has every module that another one requires, and what pages are made of', () => {
    const modules = paths().filter((path) => path.endsWith('.js') && path.startsWith('dist/'));
    expect(modules.length).toBeGreaterThan(300);
    const required = modules.flatMap((path) =>
      [...content(path).matchAll(/\b(?:require|import)\("(\.[^"]+)"\)/g)].map(([, name]) =>
        posix.join(posix.dirname(path), name!),
      ),
    );
    const pages = ['http/page', 'evaluation/report'].flatMap((folder) =>
      readdirSync(join(ROOT, 'src', folder)).map((name) => `dist/${folder}/${name}`),
    );
    expect(pages.length).toBeGreaterThan(5);
    const documents = ['README.md', 'CHANGELOG.md', 'FORMAT.md', 'SECURITY.md', 'LICENSE'];
    const needed = new Set([...required, ...pages, ...documents, 'THIRD_PARTY.txt']);
    expect([...needed].filter((path) => !paths().includes(path))).toEqual([]);
  });

  it('tells nothing of the folder that it was made in', () => {
    const telling = tarball.files.filter(({ path }) =>
      readFileSync(join(app.folder, 'node_modules', 'lichen', path)).includes(`${ROOT}/`),
    );
    expect(telling).toEqual([]);
  });

  it('keeps to its size', () => {
    const addons = tarball.files.filter(({ path }) => path.endsWith('.node'));
    expect(addons.length).toBeGreaterThan(0);
    for (const { size } of addons) expect(size).toBeLessThan(BUDGET.addon.unpacked);
    const rest = tarball.unpackedSize - addons.reduce((sum, { size }) => sum + size, 0);
    expect(rest).toBeLessThan(BUDGET.rest.unpacked);
    const packed = BUDGET.rest.packed + addons.length * BUDGET.addon.packed;
    expect(tarball.size).toBeLessThan(packed);
  });
});

describe('packages that come along', () => {
  const installed = (): string[] => {
    const { packages } = JSON.parse(
      readFileSync(join(app.folder, 'node_modules', '.package-lock.json'), 'utf8'),
    ) as { packages: Record<string, { os?: string[]; cpu?: string[] }> };
    return Object.entries(packages)
      .filter(([, { os, cpu }]) => os === undefined && cpu === undefined)
      .map(([path]) => path.slice('node_modules/'.length))
      .sort();
  };

  it('are few, and each is there for a reason that CONTRIBUTING.md gives', () => {
    expect(installed()).toEqual(INSTALLED);
    const contributing = read('CONTRIBUTING.md');
    const unexplained = Object.keys(dependencies).filter(
      (name) => !contributing.includes(`| \`${name}\``),
    );
    expect(unexplained).toEqual([]);
  });

  it('are told with their licences', () => {
    const { status, stderr } = run(process.execPath, ['scripts/third-party.mjs']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const told = read('THIRD_PARTY.txt');
    const others = installed().filter((name) => name !== 'lichen');
    for (const name of others) {
      const text = readFileSync(join(app.folder, 'node_modules', name, 'package.json'), 'utf8');
      const own = JSON.parse(text) as { version: string; license: string };
      expect(told).toContain(`\n${name} ${own.version}: ${own.license}\n`);
    }
  });
});

describe('lichen, installed where nothing can be compiled', () => {
  it('loads by require and by import, as the same objects', () => {
    process.stdout.write(`installed in ${installSeconds.toFixed(1)} s\n`);
    expect(existsSync(join(app.folder, 'node_modules', 'lichen', 'build'))).toBe(false);
    app.write(
      'both.mjs',
      `import { createRequire } from 'node:module';
      import { FlatIndex, machine } from 'lichen';
      const required = createRequire(import.meta.url)('lichen');
      const index = new required.FlatIndex({ dim: 2, metric: 'l2' });
      await index.add([[0, 0], [3, 4]]);
      const { keys, scores } = index.searchSync([3, 3], { k: 2 });
      console.log(JSON.stringify([index instanceof FlatIndex, machine().isa, [...keys], [...scores]]));`,
    );
    const [isSame, isa, keys, scores] = JSON.parse(app.must('node', 'both.mjs')) as unknown[];
    expect([isSame, keys, scores]).toEqual([true, [1, 0], [1, 18]]);
    expect(isa).toMatch(/^(avx|neon|scalar)/);
  });

  it('runs the first program of README', () => {
    const [, program] = /```ts\n(import \{ HnswIndex \} from 'lichen';\n[^]*?)```/.exec(
      read('README.md'),
    )!;
    const { outputText } = ts.transpileModule(
      `${program}\nconsole.log(JSON.stringify([keys, [...scores]]));`,
      { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext } },
    );
    app.write('first.mjs', outputText);
    const [keys, scores] = JSON.parse(app.must('node', 'first.mjs')) as [string[], number[]];
    expect(keys).toEqual(['east', 'north-east']);
    // Cosines with (0.9, 0.2).
    const length = Math.hypot(0.9, 0.2);
    expect(scores[0]).toBeCloseTo(0.9 / length, 5);
    expect(scores[1]).toBeCloseTo((0.9 + 0.2) / Math.SQRT2 / length, 5);
    expect(statSync(join(app.folder, 'directions.lichen')).size).toBeGreaterThan(0);
  });

  it('has a command line that builds an index and searches it', () => {
    expect(app.must('npx', '--no-install', 'lichen', '--help')).toMatch(/^ +build\b/m);
    const values = Array.from({ length: 200 }, (_, row) => [Math.cos(row), Math.sin(row)]).flat();
    app.write('vectors.npy', '');
    writeFileSync(join(app.folder, 'vectors.npy'), npy(Float32Array.from(values), 2));
    const lichen = (...args: string[]) => app.must('node', COMMAND, ...args);
    lichen('build', '--input', 'vectors.npy', '--metric', 'dot', '--output', 'v.lichen');
    const found = lichen(
      'search',
      '--index',
      'v.lichen',
      '--queries',
      'vectors.npy',
      '--k',
      '1',
      '--json',
    );
    const { results } = JSON.parse(found) as { results: [{ key: number }][] };
    expect(results.map(([{ key }]) => key)).toEqual(Array.from({ length: 200 }, (_, row) => row));
  });
});

/** Values as a .npy file, by the description of the format. */
function npy(values: Float32Array, dim: number): Buffer {
  const shape = `(${values.length / dim}, ${dim})`;
  const fields = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`;
  const header = `${fields.padEnd(128 - 10 - 1)}\n`;
  const head = Buffer.from(`\u0093NUMPY\u0001\u0000v\u0000${header}`, 'latin1');
  return Buffer.concat([head, Buffer.from(values.buffer)]);
}

describe('without an optional package', () => {
  /** By package the version that a message asks for, which must be one that lichen works with. */
  const asked = (message: string): Map<string, string> =>
    new Map(
      [...message.matchAll(/((?:@[\w-]+\/)?[\w-]+)@(\d+)/g)].map(([, name, major]) => [
        name!,
        major!,
      ]),
    );
  const majorOf = (range: string): string => /\d+/.exec(range)![0];

  it('what needs it says what to install', () => {
    app.write('optional.cjs', readFileSync(join(__dirname, 'optional-packages.cjs'), 'utf8'));
    const errors = JSON.parse(app.must('node', 'optional.cjs')) as Record<
      string,
      { code: string; message: string; isOwn: boolean }
    >;
    for (const [name, { code, message, isOwn }] of Object.entries(errors)) {
      expect([name, code, isOwn]).toEqual([name, 'ERR_LICHEN_MISSING_PACKAGE', true]);
      expect(message).toMatch(/npm install \S/);
      const range = peerDependencies[name]!;
      expect([name, asked(message).get(name)]).toEqual([name, majorOf(range)]);
    }
    // It is of use beside hyparquet alone; the program hands over the package itself.
    const others = ['hyparquet-compressors', '@opentelemetry/api'];
    expect([...Object.keys(errors), ...others].sort()).toEqual(
      Object.keys(peerDependencies).sort(),
    );
  });

  it.each([
    ['demo', ['demo', '--listeners', '50', '--tracks', '240'], '@tensorflow/tfjs-core@4'],
    [
      'vectors of parquet',
      ['build', '--input', 'vectors.parquet', '--metric', 'l2', '--output', 'x'],
      'hyparquet@1',
    ],
    [
      'a cluster',
      ['cluster', 'status', '--nats', 'nats://127.0.0.1:1', '--name', 'a'],
      '@nats-io/transport-node@3',
    ],
    ['a service, before it trains', ['serve', '--port', '0'], 'fastify@5'],
    [
      'a page, before it is measured for',
      ['sweep', '--input', 'none.npy', '--queries', 'none.npy', '--report', 'page.html'],
      'uplot@1',
    ],
  ])('the command line says it in one line: %s', (_, args, wanted) => {
    app.write('vectors.parquet', 'PAR1');
    const { status, stderr } = app.run('node', COMMAND, ...args);
    expect(status).toBe(1);
    const lines = stderr.trimEnd().split('\n');
    expect(lines.at(-1)).toMatch(/^lichen: .*npm install .*\(ERR_LICHEN_MISSING_PACKAGE\)$/);
    expect(lines.at(-1)).toContain(wanted);
  });
});

describe('without an addon', () => {
  const prebuilds = (): string => join(app.folder, 'node_modules', 'lichen', 'prebuilds');
  const firstUse = `
    const lichen = require('lichen');
    try { lichen.machine(); } catch ({ code, message }) { console.log(JSON.stringify([code, message])); }`;

  function withoutPrebuilds<T>(work: () => T): T {
    renameSync(prebuilds(), `${prebuilds()}.away`);
    try {
      return work();
    } finally {
      renameSync(`${prebuilds()}.away`, prebuilds());
    }
  }

  it('the first use says why, and what helps', () => {
    const [code, message] = JSON.parse(
      withoutPrebuilds(() => app.must('node', '-e', firstUse)),
    ) as string[];
    expect(code).toBe('ERR_LICHEN_ADDON');
    expect(message).toMatch(/^the native addon cannot be loaded \(No native build was found for /);
    expect(message).toMatch(/Linux x64 and arm64 .*npm rebuild lichen.* C\+\+20 compiler/);
  });

  it('an addon that is none is named', () => {
    const folder = `${process.platform}-${process.arch}`;
    const file = join(prebuilds(), folder, 'lichen.glibc.node');
    const whole = readFileSync(file);
    writeFileSync(file, whole.subarray(0, 100));
    try {
      const [code, message] = JSON.parse(app.must('node', '-e', firstUse)) as string[];
      expect(code).toBe('ERR_LICHEN_ADDON');
      expect(message).toContain('lichen.glibc.node');
    } finally {
      writeFileSync(file, whole);
    }
  });

  it('an installation that cannot build one fails and says what it needs', () => {
    const { status, stderr, stdout } = withoutPrebuilds(() => app.run('npm', 'rebuild', 'lichen'));
    expect(status).not.toBe(0);
    expect(stdout + stderr).toMatch(
      /lichen: no prebuilt addon loads .*C\+\+20 compiler, make and Python 3/,
    );
  });
});

it('the version is told', () => {
  expect(app.must('node', COMMAND, '--version').trim()).toBe(version);
});
