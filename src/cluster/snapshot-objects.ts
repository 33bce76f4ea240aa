import { createReadStream, createWriteStream } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ObjectStore } from '@nats-io/obj';
import { LichenFileError } from '../errors.js';
import { natsError } from './connection.js';

const CHUNK_BYTES = 128 * 1024;
const STALL_MS = 5000;

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
    const stall = new Stall(STALL_MS);
    const [failure] = await Promise.all([
      Promise.race([found.error, stall.over]),
      pipeline(Readable.fromWeb(found.data), stall.watch, createWriteStream(path), {
        signal: stall.signal,
      }),
    ]).finally(() => stall.end());
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

/** Ends what waits for data of which nothing has come for a while: a consumer may have died with its server. */
class Stall {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly over: Promise<never>;
  /** A stage of a pipeline that data pass. */
  readonly watch: Transform;

  constructor(ms: number) {
    const { signal } = this.#controller;
    this.#timer = setTimeout(() => {
      this.#controller.abort(new Error(`nothing came for ${ms} ms`));
    }, ms);
    this.over = new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    this.over.catch(() => undefined);
    this.watch = new Transform({
      transform: (chunk, _, next) => {
        this.#timer.refresh();
        next(null, chunk);
      },
    });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}
