import { createReadStream, createWriteStream } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ObjectStore } from '@nats-io/obj';
import { LichenFileError } from '../errors.js';
import { natsError } from './connection.js';

const CHUNK_BYTES = 128 * 1024;

/** Puts a file into the object store, in chunks; it is there whole or not at all. @throws ERR_LICHEN_IO. */
export async function putFile(store: ObjectStore, name: string, path: string): Promise<number> {
  try {
    const { size } = await stat(path);
    const stream = Readable.toWeb(createReadStream(path, { highWaterMark: CHUNK_BYTES }));
    const info = await store.put(
      { name, options: { max_chunk_size: CHUNK_BYTES } },
      stream as ReadableStream<Uint8Array>,
    );
    if (info.size !== size) throw new Error(`${info.size} bytes of ${size} arrived`);
    return size;
  } catch (cause) {
    throw natsError(`putting ${name} into the object store`, cause);
  }
}

/**
 * Gets an object as a file. The client compares the digest of what came with that of what was put.
 * @throws ERR_LICHEN_IO, ERR_LICHEN_FORMAT for what came otherwise than it was put; no file is left then.
 */
export async function getFile(store: ObjectStore, name: string, path: string): Promise<void> {
  try {
    const found = await store.get(name);
    if (found === null) throw new Error('there is no such object');
    const [failure] = await Promise.all([
      found.error,
      pipeline(Readable.fromWeb(found.data), createWriteStream(path)),
    ]);
    // Of the two ways to say that all is well the client takes either.
    if (failure instanceof Error) {
      throw new LichenFileError('ERR_LICHEN_FORMAT', `the object ${name}: ${failure.message}`);
    }
    const handle = await open(path, 'r+');
    await handle.sync().finally(() => handle.close());
  } catch (cause) {
    await rm(path, { force: true });
    throw natsError(`getting ${name} from the object store`, cause);
  }
}
