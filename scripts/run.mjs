import { spawn } from 'node:child_process';

/** Runs a command in the project's folder; gives its status and all it wrote. */
export function run(command, args, { env = {} } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: new URL('..', import.meta.url),
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
