import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { machine } from '../src/native.js';

const ADDON = join(__dirname, '..', 'dist', 'native.js');

/** What `machine()` gives in a process of its own, or the code of its error. */
function machineWith(isa: string): string {
  const program = `
    try { console.log(require(${JSON.stringify(ADDON)}).machine().isa); }
    catch (error) { console.log(error.code + ': ' + error.message); }`;
  const env = { ...process.env, LICHEN_ISA: isa };
  return execFileSync(process.execPath, ['-e', program], { env, encoding: 'utf8' }).trim();
}

describe('the instruction set', () => {
  it('is the widest, or the one that LICHEN_ISA names', () => {
    const { isa, runnable, threads } = machine();
    expect(runnable[0]).toBe('scalar');
    expect(isa).toBe(process.env['LICHEN_ISA'] ?? runnable.at(-1));
    expect(threads).toBeGreaterThanOrEqual(1);
    for (const name of runnable) expect(machineWith(name)).toBe(name);
    expect(machineWith('')).toBe(runnable.at(-1));
  });

  it('is an error when it is none that can run here', () => {
    expect(machineWith('avx1024')).toMatch(
      /^ERR_LICHEN_UNSUPPORTED: LICHEN_ISA is 'avx1024', but this processor runs only: scalar/,
    );
  });
});
