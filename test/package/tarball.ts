import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

export const ROOT = resolve(__dirname, '..', '..');

/** A package as it is published. */
export interface Tarball {
  readonly path: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  /** Besides the variables of this process; undefined: without it. */
  readonly env?: NodeJS.ProcessEnv;
}

export function run(
  command: string,
  args: readonly string[],
  { cwd = ROOT, env }: RunOptions = {},
): Ran {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    ...{ cwd, encoding: 'utf8', timeout: 120_000, maxBuffer: 2 ** 26 },
    env: { ...process.env, ...env },
  });
  if (error !== undefined) throw error;
  return { status, stdout, stderr };
}

/** Runs what must succeed; gives its stdout. */
export function must(command: string, args: readonly string[], options?: RunOptions): string {
  const { status, stdout, stderr } = run(command, args, options);
  if (status === 0) return stdout;
  throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stdout}\n${stderr}`);
}

function pack(cwd: string, ...args: string[]): Omit<Tarball, 'path'> & { filename: string } {
  const text = must('npm', ['pack', '--json', '--ignore-scripts', ...args], { cwd });
  return (JSON.parse(text) as [ReturnType<typeof pack>])[0];
}

/**
 * The tarball under test: the one that LICHEN_TARBALL names, else one of this checkout, made in a folder. The addon in it
 * is then the one that the checkout runs by, stripped: building one as it is published takes minutes.
 */
export function tarballIn(folder: string): Tarball {
  const given = process.env['LICHEN_TARBALL'];
  if (given !== undefined) return { ...pack(folder, '--dry-run', given), path: given };
  const stage = join(folder, 'stage');
  for (const { path } of pack(ROOT, '--dry-run').files) {
    if (path.startsWith('prebuilds/')) continue;
    mkdirSync(dirname(join(stage, path)), { recursive: true });
    copyFileSync(join(ROOT, path), join(stage, path));
  }
  const prebuilt = join(stage, 'prebuilds', `${process.platform}-${process.arch}`);
  mkdirSync(prebuilt, { recursive: true });
  const addon = join(prebuilt, 'lichen.glibc.node');
  must('strip', ['--strip-all', '-o', addon, join(ROOT, 'build', 'Release', 'lichen.node')]);
  const packed = pack(stage, '--pack-destination', folder);
  return { ...packed, path: join(folder, packed.filename) };
}

/** An application that lichen is installed into, on a machine that has Node.js and npm, and nothing to compile with. */
export class Application {
  readonly folder: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(parent: string) {
    this.folder = join(parent, 'application');
    const bin = join(parent, 'bin');
    mkdirSync(this.folder);
    mkdirSync(bin);
    // npm runs scripts by a shell.
    for (const tool of ['npm', 'npx', 'sh']) {
      symlinkSync(must('sh', ['-c', `command -v ${tool}`]).trim(), join(bin, tool));
    }
    symlinkSync(process.execPath, join(bin, 'node'));
    this.#env = { ...withoutNpm(), PATH: bin, NODE_PATH: undefined, NODE_OPTIONS: undefined };
    this.write('package.json', '{ "name": "application", "private": true }');
  }

  write(name: string, content: string): void {
    writeFileSync(join(this.folder, name), content);
  }

  run(command: string, ...args: string[]): Ran {
    return run(command, args, { cwd: this.folder, env: this.#env });
  }

  must(command: string, ...args: string[]): string {
    return must(command, args, { cwd: this.folder, env: this.#env });
  }
}

/** What npm tells the scripts that it runs is not for another npm. */
function withoutNpm(): NodeJS.ProcessEnv {
  const names = Object.keys(process.env).filter((name) => /^(npm_|INIT_CWD$)/i.test(name));
  return Object.fromEntries(names.map((name) => [name, undefined]));
}
