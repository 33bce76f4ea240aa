import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { SIMULATED_MODULE, SIMULATED_NOTE } from './simulated.js';

const ROOT = join(__dirname, '..', '..');
const execute = promisify(execFile);

interface System {
  readonly isa: string;
  readonly cuda: { module?: string; devices: { name: string }[]; reason?: string };
}

/** What the command line tells, in a process that has opened no module yet. */
async function inspect(module: string): Promise<{ system: System; text: string }> {
  const program = join(ROOT, 'dist', 'cli', 'main.js');
  const env = { ...process.env, LICHEN_CUDA_MODULE: module };
  const options = { env, cwd: ROOT };
  const { stdout } = await execute(
    process.execPath,
    [program, 'inspect', '--system', '--json'],
    options,
  );
  const { stdout: text } = await execute(
    process.execPath,
    [program, 'inspect', '--system'],
    options,
  );
  return { system: JSON.parse(stdout) as System, text };
}

describe('without a device', () => {
  it('says that there is no module, and goes on', async () => {
    const { system, text } = await inspect(join(ROOT, 'no-such-module.so'));
    expect(system.cuda.devices).toEqual([]);
    expect(system.cuda.reason).toMatch(/cannot be opened/);
    expect(system.isa).not.toBe('');
    expect(text).toMatch(/cuda +not used: the CUDA module cannot be opened/);
  });

  it('takes no other library for one', async () => {
    const other = join(ROOT, 'build', 'Release', 'lichen.node');
    if (!existsSync(other)) return;
    const { system } = await inspect(other);
    expect(system.cuda.devices).toEqual([]);
    expect(system.cuda.reason).toBeDefined();
  });

  it('says of the real module that there is no driver', async (context) => {
    const real = ['build', 'native/build']
      .map((folder) => join(ROOT, folder, 'cuda', 'lichen-cuda.so'))
      .find((path) => existsSync(path));
    if (real === undefined) return context.skip('the module is not built here');
    if (existsSync('/dev/nvidia0')) context.skip('there is a device');
    const { system } = await inspect(real);
    expect(system.cuda.devices).toEqual([]);
    expect(system.cuda.reason).toMatch(/no NVIDIA driver is installed/);
  });

  it.skipIf(SIMULATED_MODULE === undefined)(
    `tells what device there is, where there is one${SIMULATED_NOTE}`,
    async () => {
      const { system, text } = await inspect(SIMULATED_MODULE!);
      expect(system.cuda).toMatchObject({
        module: SIMULATED_MODULE,
        devices: [{ name: 'simulated device' }],
      });
      expect(text).toMatch(/cuda +simulated device, compute capability 9.0, 1.0 GiB of memory/);
    },
  );
});
