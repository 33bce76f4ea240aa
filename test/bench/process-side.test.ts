import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { AnnTask } from '../../bench/harness/ann-sides.js';
import { hasPeer } from '../../bench/harness/peers.js';
import { processSide, writeVectorFiles } from '../../bench/harness/process-side.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

// Answers each command with what it was asked, and finds row 1, then nothing.
const PROGRAM = `
  const { createInterface } = require('node:readline');
  const { writeFileSync } = require('node:fs');
  const say = (answer) => console.log(JSON.stringify(answer));
  say({ buildSeconds: 1.5, bytes: 40, bytesBy: 'guess' });
  createInterface({ input: process.stdin }).on('line', (line) => {
    const [command, ef, argument] = line.split(' ');
    if (command === 'keys') writeFileSync(argument, Int32Array.of(1, -1));
    if (command === 'latency') say({ p50us: Number(ef), p99us: 2 });
    else if (command === 'batch') say({ queries: Number(ef) * Number(argument) });
    else say({ queries: Number(ef) });
  });`;

describe('a side in a process of its own', () => {
  const at = temporaryFolder();
  const task = (): AnnTask => ({
    seconds: 0.2,
    base: { data: Float32Array.of(1, 2, 3, 4), rows: 2, dim: 2 },
    queries: { data: Float32Array.of(5, 6), rows: 1, dim: 2 },
    metric: 'l2',
    m: 4,
    efConstruction: 8,
    k: 2,
    folder: at('.'),
  });
  const open = (program: string, how = {}) =>
    processSide('other', process.execPath, ['-e', program], task(), how);

  it('is asked by lines, with the beam that was set last', async () => {
    const side = await open(PROGRAM);
    expect(side).toMatchObject({ name: 'other', buildSeconds: 1.5, bytesBy: 'guess' });
    expect(side.bytesAVector).toBe(20);
    expect(await side.work()).toBe(2);
    await side.aim(7);
    expect(await side.work()).toBe(7);
    expect(await side.latency()).toEqual({ p50us: 7, p99us: 2 });
    expect(Array.from(await side.keys(), Number)).toEqual([1, -1]);
    await side.close!();
    await expect(side.work()).rejects.toThrow('the process of other has ended');
  });

  it('is asked for batches where it has them', async () => {
    const without = await open(PROGRAM);
    expect(without.batch).toBeUndefined();
    await without.close!();
    const side = await open(PROGRAM, { batches: true });
    await side.aim(7);
    expect(JSON.parse(String(await side.batch!(3)))).toEqual({ queries: 21 });
    await side.close!();
  });

  it('tells why nothing was built', async () => {
    await expect(open(`console.log('{"error":"no room"}')`)).rejects.toThrow('no room');
    await expect(open('')).rejects.toThrow('the process of other has ended');
    const missing = processSide('other', at('no-such-program'), [], task());
    await expect(missing).rejects.toThrow('ENOENT');
  });

  it('gets the vectors as raw f32', () => {
    const [base, queries] = writeVectorFiles(task()).map((file) => {
      const bytes = readFileSync(file);
      return [...new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)];
    });
    expect(base).toEqual([1, 2, 3, 4]);
    expect(queries).toEqual([5, 6]);
  });

  it('is looked for without being loaded', () => {
    expect(hasPeer('typescript')).toBe(true);
    expect(hasPeer('no-such-package-there')).toBe(false);
  });
});
