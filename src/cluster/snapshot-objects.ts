import { createHash, randomBytes } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import type { StoredMsg } from '@nats-io/jetstream';
import { LichenFileError } from '../errors.js';
import { natsError, type Cluster } from './connection.js';
import { padded } from './names.js';
import { pause } from './pause.js';
import { removeChunks } from './snapshot-removal.js';
import { kindOf } from './writer.js';

const CHUNK_BYTES = 128 * 1024;
/** Chunks that are on their way at a time: NATS acknowledges each one when most of its servers have it. */
const AT_ONCE = 8;
const CHUNK_MS = 10_000;

/** How often an object is put before its failure is told, and milliseconds between; NATS elects a leader in 4 to 10 s. */
const PUTS = 6;
const PUT_AGAIN_MS = 2000;

/**
 * Puts a file into the object store, in chunks; it is there whole or not at all. While NATS elects a leader it takes none,
 * and is tried again: nobody wants to build shards anew for that. Objects are as NATS's own tools make and read them
 * (ADR-20). The client of NATS waits for every chunk before it sends the next, and tells of a failure what tidying up after
 * it met: of servers that are full, that they have no leader.
 * @returns its bytes.
 * @throws ERR_LICHEN_IO.
 */
export async function putFile(
  cluster: Cluster,
  name: string,
  path: string,
  againMs = PUT_AGAIN_MS,
): Promise<number> {
  for (let puts = 1; ; puts++) {
    try {
      return await putOnce(cluster, name, path, againMs);
    } catch (cause) {
      if (puts === PUTS || !isPassing(cause)) {
        throw natsError(`putting ${name} into the object store`, cause);
      }
      await pause(againMs);
    }
  }
}

/** A file that cannot be read, and what NATS refuses, stays so. */
function isPassing(cause: unknown): boolean {
  if ((cause as NodeJS.ErrnoException).syscall !== undefined) return false;
  const kind = kindOf(cause);
  return kind === 'absent' || kind === 'unknown';
}

async function putOnce(
  cluster: Cluster,
  name: string,
  path: string,
  againMs: number,
): Promise<number> {
  const store = await cluster.snapshots();
  const before = await store.info(name);
  const bucket = cluster.names.snapshots;
  const nuid = randomBytes(11).toString('hex');
  const file = await open(path, 'r');
  try {
    const { size, chunks, digest } = await publishChunks(
      cluster,
      file,
      cluster.names.snapshotChunks(nuid),
    );
    const told = { name, options: { max_chunk_size: CHUNK_BYTES }, bucket, nuid };
    const mtime = new Date().toISOString();
    const info = JSON.stringify({ ...told, size, chunks, digest, mtime, deleted: false });
    const headers = cluster.packages.transport.headers();
    headers.set('Nats-Rollup', 'sub');
    await publish(cluster, cluster.names.snapshotMeta(name), Buffer.from(info), headers);
    if (before !== null) await removeChunks(cluster, before.nuid).catch(() => undefined);
    return size;
  } catch (cause) {
    await dropChunks(cluster, nuid, againMs);
    throw cause;
  } finally {
    await file.close();
  }
}

/** A server that has no room gives up leading, and then is asked in vain for a while; what is left of all is the next checkpoint's. */
async function dropChunks(cluster: Cluster, nuid: string, againMs: number): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await removeChunks(cluster, nuid);
    } catch (error) {
      if (tries === PUTS || !isPassing(error)) return;
      await pause(againMs);
    }
  }
}

async function publishChunks(
  cluster: Cluster,
  file: Awaited<ReturnType<typeof open>>,
  subject: string,
) {
  const most = Math.min(CHUNK_BYTES, cluster.connection.info?.max_payload ?? CHUNK_BYTES);
  const hash = createHash('sha256');
  const underWay: Promise<unknown>[] = [];
  let size = 0;
  let chunks = 0;
  try {
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(most), 0, most);
      if (bytesRead === 0) break;
      const chunk = buffer.subarray(0, bytesRead);
      hash.update(chunk);
      size += bytesRead;
      chunks++;
      if (underWay.length === AT_ONCE) await underWay.shift();
      const published = publish(cluster, subject, chunk);
      // Whichever fails first is awaited; the others must not end the process.
      published.catch(() => undefined);
      underWay.push(published);
    }
    await Promise.all(underWay);
  } finally {
    await Promise.allSettled(underWay);
  }
  return { size, chunks, digest: `SHA-256=${padded(hash.digest('base64url'))}` };
}

/** Once: what is sent again comes behind what was sent after it. */
function publish(
  { jetstream }: Cluster,
  subject: string,
  data: Uint8Array,
  headers?: ReturnType<Cluster['packages']['transport']['headers']>,
): Promise<unknown> {
  return jetstream.publish(subject, data, {
    ...{ timeout: CHUNK_MS, retries: 1 },
    ...(headers && { headers }),
  });
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
    const { nuid, size, digest } = info;
    const { names } = cluster;
    const chunks: Chunks = {
      ...{ stream: names.snapshotStream, subject: names.snapshotChunks(nuid), size },
    };
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
