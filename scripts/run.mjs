import { spawnSync } from 'node:child_process';

/**
 * Runs a command in the project's folder and gives its output and status. `show` passes the output on as it comes;
 * otherwise it is collected.
 */
export function run(command, args, { env = {}, show = false } = {}) {
  const result = spawnSync(command, args, {
    cwd: new URL('..', import.meta.url),
    env: { ...process.env, ...env },
    stdio: ['ignore', show ? 'inherit' : 'pipe', show ? 'inherit' : 'pipe'],
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    shell: process.platform === 'win32',
  });
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}`;
  if (result.error !== undefined) return { status: 127, output: result.error.message };
  return { status: result.status ?? 1, output };
}
