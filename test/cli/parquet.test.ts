import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { lichen, lichenJson } from './run.js';

describe('lichen build of a .parquet file', () => {
  const at = temporaryFolder();
  const vectors = Array.from({ length: 50 }, (_, row) => [row, 1, -row]);

  it('takes vectors and keys from columns', async () => {
    const { parquetWriteBuffer } = await import('hyparquet-writer');
    const list = (name: string) => [
      {
        name,
        repetition_type: 'REQUIRED' as const,
        converted_type: 'LIST' as const,
        num_children: 1,
      },
      { name: 'list', repetition_type: 'REPEATED' as const, num_children: 1 },
      { name: 'element', repetition_type: 'REQUIRED' as const, type: 'FLOAT' as const },
    ];
    const bytes = parquetWriteBuffer({
      columnData: [
        { name: 'title', data: vectors.map((_, row) => `t${row}`) },
        { name: 'vector', data: vectors },
        { name: 'other', data: vectors.map(([value]) => [value]) },
      ],
      schema: [
        { name: 'root', num_children: 3 },
        { name: 'title', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
        ...list('vector'),
        ...list('other'),
      ],
    });
    writeFileSync(at('v.parquet'), new Uint8Array(bytes));
    const build = ['build', '--metric', 'dot', '--index', 'flat', '--output', at('v.lichen')];
    const input = ['--input', at('v.parquet'), '--key-column', 'title'];
    const built = lichenJson(...build, ...input, '--column', 'vector');
    expect(built).toMatchObject({ rows: 50, dim: 3 });
    using index = await FlatIndex.open<string>(at('v.lichen'));
    expect(index.searchSync([1, 0, 0], { k: 2 }).keys).toEqual(['t49', 't48']);

    const several = lichen(...build, ...input);
    expect(several.status).toBe(1);
    expect(several.stderr).toMatch(/several columns of vectors: name one of vector, other/);
    const twice = lichen(...build, ...input, '--keys', at('keys.txt'));
    expect(twice.status).toBe(2);
    expect(twice.stderr).toMatch(/'--keys' and '--key-column' exclude each other/);
    const other = lichen(...build, '--input', at('v.npy'), '--key-column', 'title');
    expect(other.status).toBe(2);
    expect(other.stderr).toMatch(/'--key-column' wants a .parquet file/);
  });
});
