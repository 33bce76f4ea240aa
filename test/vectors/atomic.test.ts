import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LichenAbortError } from '../../src/errors.js';
import { writeAtomically } from '../../src/vectors/atomic.js';
import { temporaryFolder } from './temporary-folder.js';

describe('writeAtomically', () => {
  const at = temporaryFolder();
  const names = (): string[] => readdirSync(dirname(at('x'))).sort();

  it('writes and replaces', async () => {
    await writeAtomically(at('a'), (handle) => handle.writeFile('one'));
    await writeAtomically(at('a'), async (handle) => {
      await handle.writeFile('two');
      expect(readFileSync(at('a'), 'utf8')).toBe('one');
    });
    expect(readFileSync(at('a'), 'utf8')).toBe('two');
    expect(names()).toEqual(['a']);
  });

  it('leaves the old content and no other file when writing fails', async () => {
    const abort = new LichenAbortError('aborted');
    const writing = writeAtomically(at('a'), async (handle) => {
      await handle.writeFile('half');
      throw abort;
    });
    await expect(writing).rejects.toBe(abort);
    await expect(
      writeAtomically(at('new'), () => Promise.reject(new Error('disk on fire'))),
    ).rejects.toMatchObject({
      code: 'ERR_LICHEN_IO',
      message: `cannot write ${at('new')}: disk on fire`,
    });
    expect(readFileSync(at('a'), 'utf8')).toBe('two');
    expect(names()).toEqual(['a']);
  });

  it('says which folder is missing and refuses what is no file', async () => {
    const write = (path: string): Promise<void> => writeAtomically(path, (h) => h.writeFile('x'));
    await expect(write(at('no/such/file'))).rejects.toMatchObject({ code: 'ERR_LICHEN_NOT_FOUND' });
    mkdirSync(at('folder'));
    await expect(write(at('folder'))).rejects.toMatchObject({ code: 'ERR_LICHEN_IO' });
    await expect(write('/dev/null')).rejects.toThrow(/not a regular file/);
  });

  it.skipIf(process.platform === 'win32')('follows a symbolic link', async () => {
    writeFileSync(at('target'), 'old');
    symlinkSync(at('target'), at('link'));
    await writeAtomically(at('link'), (handle) => handle.writeFile('new'));
    expect(readFileSync(at('target'), 'utf8')).toBe('new');
  });
});
