import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { StoredMsg } from '@nats-io/jetstream';
import type { ObjectStore } from '@nats-io/obj';
import { LichenFileError } from '../errors.js';
import { natsError, type Cluster } from './connection.js';
import { pause } from './pause.js';

const CHUNK_BYTES = 128 * 1024;

/** How often an object is put before its failure is told, and milliseconds between; NATS elects a leader in 4 to 10 s. */
const PUTS = 6;
const PUT_AGAIN_MS = 2000;

/**
 * Puts a file into the object store, in chunks; it is there whole or not at all. While NATS elects a leader it takes none,
 * so what failed there is tried again: nobody wants to build shards anew for that.
 * @throws ERR_LICHEN_IO.
 */
export async function putFile(
  store: Pick<ObjectStore, 'put'>,
  name: string,
  path: string,
  againMs = PUT_AGAIN_MS,
): Promise<number> {
  for (let puts = 1; ; puts++) {
    try {
      return await putOnce(store, name, path);
    } catch (cause) {
      const isOfTheFile = (cause as NodeJS.ErrnoException).syscall !== undefined;
      if (puts === PUTS || isOfTheFile) {
        throw natsError(`putting ${name} into the object store`, cause);
      }
      await pause(againMs);
    }
  }
}

async function putOnce(store: Pick<ObjectStore, 'put'>, name: string, path: string) {
  const { size } = await stat(path);
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  try {
    const info = await store.put(
      { name, options: { max_chunk_size: CHUNK_BYTES } },
      Readable.toWeb(file) as ReadableStream<Uint8Array>,
    );
    if (info.size !== size) throw new Error(`${info.size} bytes of ${size} arrived`);
    return size;
  } finally {
    file.destroy();
  }
}

/**
 * Gets an object as a file, and compares the digest of what came with that of what was put. Each chunk is asked for by itself:
 * a consumer, as NATS's client makes one, may be lost with its server, or never hear that it is asked, and then nothing
 * comes for half a minute.
 * @throws ERR_LICHEN_IO, ERR_LICHEN_FORMAT for what came otherwise than it was put; no file is left then.
 */
export async function getFile(cluster: Cluster, name: string, path: string): Promise<void> {
  try {
    const store = await cluster.snapshots();
    const info = await store.info(name);
    if (info === null || info.deleted) throw new Error('there is no such object');
    const { bucket, nuid, size, digest } = info;
    const chunks: Chunks = { stream: `OBJ_${bucket}`, subject: `$O.${bucket}.C.${nuid}`, size };
    const isWhole = (given: string) => given === digest.replace(/^SHA-256=|=+$/g, '');
    // Any server gives a chunk out, but one that is behind may not have it.
    if (isWhole(await writeChunks(directly(cluster), chunks, path).catch(() => ''))) return;
    if (isWhole(await writeChunks(ofLeader(cluster), chunks, path))) return;
    const message = `the object ${name} is not what was put into the object store`;
    throw new LichenFileError('ERR_LICHEN_FORMAT', message);
  } catch (cause) {
    await rm(path, { force: true });
    throw natsError(`getting ${name} from the object store`, cause);
  }
}

/** Where the chunks of an object are, and how many bytes they come to. */
interface Chunks {
  readonly stream: string;
  readonly subject: string;
  readonly size: number;
}

/** The first message of a subject from some number on. */
type NextOf = (stream: string, subject: string, seq: number) => Promise<StoredMsg | null>;

function directly({ manager }: Cluster): NextOf {
  return (stream, subject, seq) =>
    manager.direct.getMessage(stream, { seq, next_by_subj: subject });
}

function ofLeader({ manager }: Cluster): NextOf {
  return (stream, subject, seq) =>
    // Servers take this question too; the client's types have it for the other kind alone.
    manager.streams.getMessage(stream, { seq, next_by_subj: subject } as { seq: number });
}

/** Writes as many chunks as there are, up to the size; gives the SHA-256 of them. */
async function writeChunks(
  next: NextOf,
  { stream, subject, size }: Chunks,
  path: string,
): Promise<string> {
  const hash = createHash('sha256');
  const handle = await open(path, 'w');
  try {
    for (let at = 0, seq = 1; at < size;) {
      const chunk = await next(stream, subject, seq);
      if (chunk === null || chunk.data.length === 0) throw new Error('some of it is missing');
      hash.update(chunk.data);
      await handle.writeFile(chunk.data);
      at += chunk.data.length;
      seq = chunk.seq + 1;
    }
    await handle.sync();
    return hash.digest('base64url');
  } finally {
    await handle.close();
  }
}
