import { spawn } from 'node:child_process';

/** Runs a command in a folder (by default the project's); gives its status and all it wrote. */
export function run(command, args, { env = {}, cwd = new URL('..', import.meta.url) } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32',
    });
    const written = [];
    child.stdout.on('data', (bytes) => written.push(bytes));
    child.stderr.on('data', (bytes) => written.push(bytes));
    child.on('error', (error) => resolve({ status: 127, output: error.message }));
    child.on('close', (status) =>
      resolve({ status: status ?? 1, output: Buffer.concat(written).toString() }),
    );
  });
}

/** Runs what must succeed; gives all it wrote. */
export async function must(command, args, options) {
  const { status, output } = await run(command, args, options);
  if (status === 0) return output;
  throw new Error(`${output}\n${command} ${args.join(' ')} failed (${status})`);
}
