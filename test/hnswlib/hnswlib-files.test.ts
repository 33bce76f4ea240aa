import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { HierarchicalNSW } from 'hnswlib-node';
import { describe, expect, it } from 'vitest';
import { LichenError } from '../../src/errors.js';
import { HnswlibIndex } from '../../src/hnswlib/hnswlib-index.js';
import type { Key } from '../../src/index/types.js';
import { clustered } from '../index/data.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { error, line } from './line.js';

const DIM = 16;
const ROWS = 1500;

const drawn = clustered(5, ROWS + 10, DIM);
const vectors = drawn.subarray(0, ROWS * DIM);
const vectorAt = (row: number): Float32Array => drawn.subarray(row * DIM, (row + 1) * DIM);
const queryAt = (q: number): Float32Array => vectorAt(ROWS + q);

const file = temporaryFolder();

describe('files of an hnswlib index', () => {
  it.each([
    ['row', undefined],
    ['integer', [5, 1, 9, 4294967295]],
    ['string', ['x', 'ü', '\ud83d', '"']],
  ] as const)('come back with what was removed and updated: %s keys', async (kind, keys) => {
    const path = file(`round-${kind}.hnsw`);
    const index = new HnswlibIndex<Key>({ dim: 2, metric: 'cosine', m: 5, efConstruction: 30 });
    const add = { ...(keys !== undefined && { keys: keys as never }) };
    index.addSync(
      [
        [1, 0],
        [0, 1],
        [1, 1],
        [-1, 0.5],
      ],
      add,
    );
    const names = [...(index.keys() as unknown as Iterable<Key>)];
    index.remove(names[1]!);
    index.update(names[2]!, [1, 2]);
    const progress: number[] = [];
    const bytes = await index.save(path, { onProgress: (done) => progress.push(done) });
    expect(bytes).toBe(readFileSync(path).length);
    expect(progress).toEqual([0, bytes]);
    const opened = await HnswlibIndex.open<Key>(path);
    expect([opened.dim, opened.metric, opened.m, opened.efConstruction]).toEqual([
      2,
      'cosine',
      5,
      30,
    ]);
    expect([opened.size, opened.keyKind]).toEqual([3, kind]);
    expect(opened.keys()).toEqual(index.keys());
    expect(opened.searchSync([1, 1], { k: 3 })).toEqual(index.searchSync([1, 1], { k: 3 }));
    expect(opened.has(names[1]!)).toBe(false);
    if (keys !== undefined) {
      opened.addSync([[0, -1]], { keys: [names[1]!] as never });
      expect(opened.searchSync([0, -1], { k: 1 }).keys[0]).toBe(names[1]);
    } else {
      opened.addSync([[0, -1]]);
      expect(opened.searchSync([0, -1], { k: 1 }).keys[0]).toBe(4);
    }
  });

  it('leaves out what an aborted add left behind', async () => {
    const index = line();
    const onProgress = (done: number): void => {
      if (done > 0) throw new Error('stop');
    };
    await expect(index.add([[50, 1]], { onProgress })).rejects.toThrow('stop');
    await index.save(file('aborted.hnsw'));
    const opened = await HnswlibIndex.open(file('aborted.hnsw'));
    expect(opened.size).toBe(10);
    opened.addSync([[70, 1]]);
    expect([...opened.searchSync([50, 1], { k: 1 }).keys]).toEqual([10]);
  });

  it('are read whoever wrote them, and read by hnswlib-node', async () => {
    const path = file('theirs.hnsw');
    const theirs = new HierarchicalNSW('ip', DIM);
    theirs.initIndex(ROWS + 5, 8, 50, 3);
    for (let row = 0; row < ROWS; row++) theirs.addPoint([...vectorAt(row)], 3 * row + 1);
    theirs.markDelete(31);
    theirs.writeIndexSync(path);
    await expect(HnswlibIndex.open(path)).rejects.toThrow(
      error('ERR_LICHEN_ARGUMENT', /dim and metric must be given/),
    );
    await expect(HnswlibIndex.open(path, { dim: DIM + 1, metric: 'dot' })).rejects.toThrow(
      error(
        'ERR_LICHEN_DIMENSION',
        /dim is 17, so a vector has 68 bytes, but in the file it has 64/,
      ),
    );
    const index = await HnswlibIndex.open(path, { dim: DIM, metric: 'dot' });
    expect([index.size, index.m, index.efConstruction]).toEqual([ROWS - 1, 8, 50]);
    expect([index.has(31), index.has(34), index.keys()[10]]).toEqual([false, true, 34]);
    theirs.setEf(80);
    const found = theirs.searchKnn([...queryAt(1)], 10);
    const ours = index.searchSync(queryAt(1), { k: 10, ef: 80 });
    expect([...ours.keys]).toEqual(found.neighbors);
    expect(ours.scores).toEqual(Float32Array.from(found.distances, (distance) => 1 - distance));
    index.addSync(vectors.subarray(0, 100 * DIM), {
      keys: Array.from({ length: 100 }, (_, at) => 9000 + at),
    });

    await index.save(file('ours.hnsw'));
    const again = new HierarchicalNSW('ip', DIM);
    again.readIndexSync(file('ours.hnsw'));
    again.setEf(80);
    expect(again.searchKnn([...queryAt(1)], 10).neighbors).toEqual([
      ...index.searchSync(queryAt(1), { k: 10, ef: 80 }).keys,
    ]);
  });

  it('come back without rows', async () => {
    await new HnswlibIndex<string>({ dim: 3, metric: 'dot' }).save(file('empty.hnsw'));
    const opened = await HnswlibIndex.open<string>(file('empty.hnsw'));
    expect(opened.size).toBe(0);
    opened.addSync([[1, 2, 3]], { keys: ['one'] });
    expect(opened.searchSync([1, 2, 3], { k: 1 }).keys).toEqual(['one']);
  });

  it('are refused when they are damaged', async () => {
    const path = file('damaged.hnsw');
    const index = line();
    await index.save(path);
    const whole = readFileSync(path);
    const open = (): Promise<unknown> => HnswlibIndex.open(path, { dim: 2, metric: 'l2' });
    await expect(HnswlibIndex.open(path, { dim: 3 })).rejects.toThrow(
      error('ERR_LICHEN_DIMENSION', /has dim 2, got dim 3/),
    );
    await expect(HnswlibIndex.open(path, { metric: 'dot' })).rejects.toThrow(
      error('ERR_LICHEN_ARGUMENT', /has metric l2, got metric dot/),
    );
    writeFileSync(path, whole.subarray(0, whole.length - 1));
    await expect(open()).rejects.toThrow(error('ERR_LICHEN_FORMAT', /one of the two was changed/));
    writeFileSync(`${path}.json`, '{"format":"lichen-hnswlib","version":2}');
    await expect(open()).rejects.toThrow(error('ERR_LICHEN_UNSUPPORTED', /another version/));
    for (const content of ['', 'null', '{}', '{"format":"lichen-hnswlib","version":1,"dim":2}']) {
      writeFileSync(`${path}.json`, content);
      await expect(open()).rejects.toThrow(error('ERR_LICHEN_FORMAT', /does not describe/));
    }
    rmSync(`${path}.json`);
    await expect(open()).rejects.toThrow(error('ERR_LICHEN_FORMAT', /not a sound hnswlib file/));
    // A link of the first row that leads out of the index, which hnswlib would follow.
    const astray = Buffer.from(whole);
    astray.writeUInt32LE(1 << 30, 96 + 4);
    writeFileSync(path, astray);
    await expect(open()).rejects.toThrow(error('ERR_LICHEN_FORMAT', /leads nowhere/));
    // Room for more rows than there is memory.
    const large = Buffer.from(whole);
    large.writeBigUInt64LE(2n ** 40n, 8);
    writeFileSync(path, large);
    await expect(open()).rejects.toThrow(error('ERR_LICHEN_MEMORY', /no memory for/));
    await expect(HnswlibIndex.open(file('none.hnsw'))).rejects.toThrow(
      error('ERR_LICHEN_NOT_FOUND', /none\.hnsw/),
    );
  });

  it('are refused where hnswlib-node cannot hold their labels', async () => {
    const index = line();
    await index.save(file('label.hnsw'));
    rmSync(file('label.hnsw.json'));
    const content = readFileSync(file('label.hnsw'));
    // The label of the first row: behind the header, 1 + 32 words and two values.
    content.writeBigUInt64LE(2n ** 32n, 96 + 4 * 33 + 8);
    writeFileSync(file('label.hnsw'), content);
    await expect(HnswlibIndex.open(file('label.hnsw'), { dim: 2, metric: 'l2' })).rejects.toThrow(
      error('ERR_LICHEN_UNSUPPORTED', /the label 4294967296/),
    );
  });

  it('are refused or safe to use, whatever byte is damaged', async () => {
    const path = file('flipped.hnsw');
    const index = new HnswlibIndex({ dim: 2, metric: 'l2', m: 2, efConstruction: 10 });
    index.addSync(Array.from({ length: 12 }, (_, at) => [at, at % 3]));
    await index.save(path);
    rmSync(`${path}.json`);
    const whole = readFileSync(path);
    let refused = 0;
    for (let at = 0; at < whole.length; at++) {
      // Room for more rows is no damage, but takes memory.
      if (at >= 8 && at < 16) continue;
      const content = Buffer.from(whole);
      content[at]! ^= 1 << (at % 8);
      writeFileSync(path, content);
      try {
        const opened = await HnswlibIndex.open(path, { dim: 2, metric: 'l2' });
        opened.addSync([[3, 3]], { keys: [99] });
        expect(opened.searchSync([3, 3], { k: 1 }).keys).toHaveLength(1);
        opened.close();
      } catch (failure) {
        if (!(failure instanceof LichenError)) throw failure;
        expect(failure.code).not.toBe('ERR_LICHEN_INTERNAL');
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(88);
  });

  it('are not written half', async () => {
    const index = line();
    await expect(index.save(file('no-folder/x.hnsw'))).rejects.toThrow(
      error('ERR_LICHEN_NOT_FOUND', /no-folder/),
    );
    await expect(index.save(file('a.hnsw'), { signal: AbortSignal.abort() })).rejects.toThrow(
      error('ERR_LICHEN_ABORTED', /was aborted/),
    );
    const saving = index.save(file('b.hnsw'));
    expect(() => index.addSync([[1, 2]])).toThrow(error('ERR_LICHEN_BUSY', /another add/));
    await expect(index.save(file('c.hnsw'))).rejects.toThrow(error('ERR_LICHEN_BUSY', /save/));
    expect(index.searchSync([0, 1], { k: 1 }).keys[0]).toBe(0);
    index.close();
    expect(await saving).toBe(readFileSync(file('b.hnsw')).length);
    expect([existsSync(file('a.hnsw')), existsSync(file('c.hnsw'))]).toEqual([false, false]);
    await expect(index.add([[1, 2]])).rejects.toThrow(error('ERR_LICHEN_CLOSED', /closed/));
    index.close();
  });
});
