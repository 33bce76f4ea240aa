import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { openIndex } from '../../src/index/open.js';
import { inspectSnapshot } from '../../src/index/snapshot.js';
import type { Key } from '../../src/index/types.js';
import { METRICS } from '../../src/vectors/metric.js';
import { STORAGE_TYPES } from '../../src/vectors/storage-type.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { clustered } from './data.js';
import { wayName, WAYS } from './storage-data.js';

const DIM = 20;
const ROWS = 330;
const vectors = clustered(101, ROWS + 100, DIM);
const first = vectors.subarray(0, ROWS * DIM);
const queries = clustered(102, 30, DIM);
const names = Array.from({ length: ROWS + 100 }, (_, row) => `é-${row}`);

// Where the header (native/storage/snapshot.hpp) holds what concerns storage.
const AT = { dim: 40, metric: 48, storage: 52, sections: 60, rerank: 88, subspaces: 92, pca: 120 };
const HEADER_BYTES = 128;
const SECTION_BYTES = 32;

/** CRC-32C, bit by bit. */
function crc32c(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

/** The file with a field of the header changed and the header's checksum made right again. */
function forged(file: Buffer, field: keyof typeof AT, value: number): Buffer {
  const copy = Buffer.from(file);
  copy.writeUInt32LE(value, AT[field]);
  copy.writeUInt32LE(0, HEADER_BYTES - 4);
  const end = HEADER_BYTES + SECTION_BYTES * file.readUInt32LE(AT.sections);
  copy.writeUInt32LE(crc32c(copy.subarray(0, end)), HEADER_BYTES - 4);
  return copy;
}

describe.each(METRICS.flatMap((metric) => WAYS.map((way) => [wayName(way), metric, way] as const)))(
  'a snapshot of %s under %s',
  (_, metric, way) => {
    const at = temporaryFolder();

    it('brings the index back bit for bit, and it can be added to', async () => {
      const index = new FlatIndex<Key>({ dim: DIM, metric, seed: 5, ...way });
      await index.add(first, { keys: names.slice(0, ROWS) as never });
      const path = at('whole.lichen');
      const bytes = await index.save(path);
      const report = await inspectSnapshot(path);
      expect(report).toMatchObject({ index: 'flat', rows: ROWS, dim: DIM, metric, bytes, ...way });
      expect(report.rerank).toBe(way.rerank);
      expect(report.subspaces).toBe(index.subspaces);
      expect([report.pca, index.pca]).toEqual([way.pca, way.pca]);
      expect(report.sections.every(({ ok }) => ok)).toBe(true);

      const again = await openIndex<Key>(path);
      expect(again).toBeInstanceOf(FlatIndex);
      expect([again.storage, again.rerank]).toEqual([index.storage, index.rerank]);
      expect((again as FlatIndex).subspaces).toBe(index.subspaces);
      expect((again as FlatIndex).pca).toBe(way.pca);
      const filter = again.filter((key) => String(key).endsWith('7'));
      for (const options of [
        { k: 9 },
        { k: 9, exact: true },
        { k: 9, oversample: 3 },
        { filter },
      ]) {
        expect(await again.searchBatch(queries, options)).toEqual(
          await index.searchBatch(queries, options),
        );
      }
      expect(again.get('é-77')).toEqual(index.get('é-77'));
      await again.save(at('again.lichen'));
      expect(readFileSync(at('again.lichen')).equals(readFileSync(path))).toBe(true);
      for (const one of [index, again]) {
        await one.add(vectors.subarray(ROWS * DIM), { keys: names.slice(ROWS) as never });
      }
      expect(await again.searchBatch(queries, { k: 20 })).toEqual(
        await index.searchBatch(queries, { k: 20 }),
      );
    });

    it('is refused when it is damaged', async () => {
      const index = new FlatIndex({ dim: DIM, metric, ...way });
      await index.add(first);
      await index.save(at('sound.lichen'));
      const file = readFileSync(at('sound.lichen'));
      const { sections } = await inspectSnapshot(at('sound.lichen'));
      const refused = { code: 'ERR_LICHEN_FORMAT' };
      for (const { name, offset, bytes } of sections) {
        for (const place of [0, bytes >> 1, bytes - 1]) {
          const flipped = Buffer.from(file);
          flipped[offset + place]! ^= 1;
          writeFileSync(at('damaged'), flipped);
          await expect(openIndex(at('damaged')), `${name} ${place}`).rejects.toMatchObject({
            ...refused,
            message: expect.stringMatching(`checksum of section ${name} does not match`) as string,
          });
        }
      }
      writeFileSync(at('same'), forged(file, 'dim', DIM));
      expect((await openIndex(at('same'))).size).toBe(ROWS);
      const outsiders = [7, 8, 255, 0xffffffff];
      const kinds = STORAGE_TYPES.map((_, number) => number);
      const ours = STORAGE_TYPES.indexOf(way.storage!);
      const fine = way.rerank === undefined ? 0 : 1 + STORAGE_TYPES.indexOf(way.rerank);
      const forgeries: [keyof typeof AT, number][] = [
        ...[...kinds, ...outsiders]
          .filter((number) => number !== ours)
          .map((number): [keyof typeof AT, number] => ['storage', number]),
        // A rerank of 0 leaves sections over, which is no damage to what is read.
        ...[...kinds.map((number) => number + 1), ...outsiders]
          .filter((number) => number !== fine)
          .map((number): [keyof typeof AT, number] => ['rerank', number]),
        ['dim', 1],
        ['dim', 65536],
        ['subspaces', 1_000_000],
        ...[0, 1, 11, DIM, DIM + 1, 65536, 0xffffffff]
          .filter((number) => number !== way.pca)
          .map((number): [keyof typeof AT, number] => ['pca', number]),
      ];
      for (const [field, value] of forgeries) {
        if (field === 'subspaces' && way.storage !== 'pq') continue;
        writeFileSync(at('forged'), forged(file, field, value));
        await opensSoundOrNot(at('forged'));
      }
    });

    /** Types of like layout cannot be told apart; but what opens must answer without harm. */
    async function opensSoundOrNot(path: string): Promise<void> {
      let index;
      try {
        index = await openIndex(path);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_LICHEN_FORMAT' });
        return;
      }
      const query = new Float32Array(index.dim).fill(0.5);
      expect(index.searchSync(query, { k: ROWS }).keys.length).toBeGreaterThan(0);
      expect(index.size).toBe(ROWS);
    }
  },
);

const at = temporaryFolder();

it('the header of a type that does not fit its sections is refused', async () => {
  const index = new FlatIndex({ dim: DIM, metric: 'dot', storage: 'i8', rerank: 'f32' });
  await index.add(first);
  await index.save(at('sound'));
  const file = readFileSync(at('sound'));
  const cases: [keyof typeof AT, number][] = [
    ['storage', STORAGE_TYPES.indexOf('f32')],
    ['storage', STORAGE_TYPES.indexOf('i4')],
    ['storage', STORAGE_TYPES.indexOf('b1')],
    ['storage', STORAGE_TYPES.indexOf('pq')],
    ['storage', STORAGE_TYPES.length],
    ['rerank', 1 + STORAGE_TYPES.indexOf('f16')],
    ['rerank', 1 + STORAGE_TYPES.indexOf('i8')],
    ['rerank', 1 + STORAGE_TYPES.length],
    ['dim', 500],
  ];
  for (const [field, value] of cases) {
    writeFileSync(at('forged'), forged(file, field, value));
    await expect(openIndex(at('forged')), `${field} ${value}`).rejects.toMatchObject({
      code: 'ERR_LICHEN_FORMAT',
    });
  }
});

it('an empty index keeps its options', async () => {
  for (const way of WAYS) {
    const index = new FlatIndex({ dim: DIM, metric: 'l2', seed: 11, ...way });
    await index.save(at('empty'));
    const again = await FlatIndex.open(at('empty'));
    expect([again.size, again.storage, again.rerank]).toEqual([0, way.storage, way.rerank]);
    for (const one of [index, again]) one.addSync(first);
    expect(await again.searchBatch(queries)).toEqual(await index.searchBatch(queries));
  }
});
