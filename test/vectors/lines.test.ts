import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { forEachLine } from '../../src/vectors/lines.js';
import { temporaryFolder } from './temporary-folder.js';

describe('forEachLine', () => {
  const at = temporaryFolder();
  const linesOf = async (text: string): Promise<string[]> => {
    writeFileSync(at('lines.txt'), text);
    const lines: string[] = [];
    await forEachLine(at('lines.txt'), (bytes, start, end, line) => {
      lines.push(bytes.toString('utf8', start, end));
      expect(line).toBe(lines.length);
    });
    return lines;
  };

  it('takes line ends and the byte order mark away', async () => {
    expect(await linesOf('\ufeffa\r\n\r\nb\nc')).toEqual(['a', '', 'b', 'c']);
    expect(await linesOf('a\n')).toEqual(['a']);
    expect(await linesOf('')).toEqual([]);
    expect(await linesOf('\n')).toEqual(['']);
  });

  it('puts lines together that span chunks', async () => {
    const lines = ['x'.repeat(3_000_000), 'y', 'z'.repeat(1_100_000), ''.padEnd(5, 'ä')];
    expect(await linesOf(lines.join('\n'))).toEqual(lines);
  });
});
