import { spawnSync } from 'node:child_process';

/** Runs a command in the project's folder; gives its status and all it wrote. */
export function run(command, args, { env = {} } = {}) {
  const result = spawnSync(command, args, {
    cwd: new URL('..', import.meta.url),
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    shell: process.platform === 'win32',
  });
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}`;
  if (result.error !== undefined) return { status: 127, output: result.error.message };
  return { status: result.status ?? 1, output };
}
