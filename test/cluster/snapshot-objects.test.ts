import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ObjectInfo, ObjectStore } from '@nats-io/obj';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { putFile } from '../../src/cluster/snapshot-objects.js';

let folder: string;
let path: string;
const content = Buffer.alloc(300_000, 'lichen');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lichen-objects-'));
  path = join(folder, 'shard.lichen');
  await writeFile(path, content);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** An object store that takes what comes, but fails some times before, after a part of it. */
function failing(times: number) {
  const kept = new Map<string, Buffer>();
  let puts = 0;
  const put = async ({ name }: { name: string }, from: ReadableStream<Uint8Array>) => {
    const chunks: Uint8Array[] = [];
    const reader = from.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (value !== undefined) chunks.push(value);
      if (puts < times) {
        puts++;
        throw new Error('JetStream system temporarily unavailable');
      }
      if (done) break;
    }
    puts++;
    kept.set(name, Buffer.concat(chunks));
    return { size: kept.get(name)!.length } as ObjectInfo;
  };
  return { kept, puts: () => puts, store: { put } as Pick<ObjectStore, 'put'> };
}

describe('putting a file into the object store', () => {
  it('is tried again while NATS has no leader, from the beginning of the file', async () => {
    const { kept, puts, store } = failing(2);
    expect(await putFile(store, 'shard', path, 1)).toBe(content.length);
    expect(puts()).toBe(3);
    expect(kept.get('shard')!.equals(content)).toBe(true);
  });

  it('tells what NATS says when that does not end', async () => {
    const { puts, store } = failing(Infinity);
    await expect(putFile(store, 'shard', path, 1)).rejects.toMatchObject({
      code: 'ERR_LICHEN_IO',
      message: expect.stringMatching(/shard .*temporarily unavailable/) as string,
    });
    expect(puts()).toBe(6);
  });

  it('is not tried again for a file that is not there', async () => {
    const { puts, store } = failing(0);
    await expect(putFile(store, 'shard', join(folder, 'none'), 1)).rejects.toMatchObject({
      code: 'ERR_LICHEN_IO',
      message: expect.stringContaining('ENOENT') as string,
    });
    expect(puts()).toBe(0);
  });
});
