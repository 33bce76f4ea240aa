import { createReadStream } from 'node:fs';
import { open, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { fileError, LichenError, LichenFileError, throwIfAborted } from '../errors.js';
import { writeAtomically } from './atomic.js';

/** Options of everything that reads or writes a whole file. */
export interface FileOptions {
  /** Gives up with ERR_LICHEN_ABORTED when it fires. */
  signal?: AbortSignal | undefined;
  /** Called now and then with bytes of the file (as stored) done and in all. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** The bytes of a file at rest, uncompressed, with their number known before anything is allocated for them. */
export interface ByteSource {
  /** The file's name, for messages. */
  readonly path: string;
  /** Number of bytes (after decompression). */
  readonly length: number;
  /** Fills `target` with the bytes from `position` on; they must all be there. */
  read(target: Uint8Array, position: number): Promise<void>;
}

const CHUNK_BYTES = 1 << 20;

/** Whether the name says that the file is compressed with gzip. */
export function isGzip(path: string): boolean {
  return path.toLowerCase().endsWith('.gz');
}

/**
 * Yields the bytes of a file in order, decompressed if its name ends in .gz.
 * @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_ABORTED, and ERR_LICHEN_FORMAT for corrupt gzip data.
 */
export async function* byteChunks(
  path: string,
  options: FileOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  const what = `reading ${path}`;
  throwIfAborted(options.signal, what);
  try {
    const status = await stat(path);
    if (status.isDirectory()) throw new Error('it is a folder, expected a file');
    const file = createReadStream(path, { highWaterMark: CHUNK_BYTES });
    const stream: Readable = isGzip(path)
      ? file.pipe(createGunzip({ chunkSize: CHUNK_BYTES }))
      : file;
    // pipe() does not pass errors on; without this the reader of the unzipped bytes would wait for ever.
    if (stream !== file) file.once('error', (error) => stream.destroy(error));
    try {
      for await (const chunk of stream) {
        throwIfAborted(options.signal, what);
        options.onProgress?.(file.bytesRead, status.size);
        yield chunk as Buffer;
      }
    } finally {
      file.destroy();
    }
  } catch (error) {
    throw readError(path, error);
  }
}

/**
 * Calls `use` with the bytes of a file, decompressed if its name ends in .gz, and closes the file afterwards.
 * @throws as {@link byteChunks}, and what `use` throws.
 */
export async function withBytes<T>(
  path: string,
  options: FileOptions,
  use: (source: ByteSource) => Promise<T>,
): Promise<T> {
  if (isGzip(path)) {
    // The length is known only after unzipping, and nobody may allocate on the word of a header alone.
    const chunks: Buffer[] = [];
    for await (const chunk of byteChunks(path, options)) chunks.push(chunk);
    return use(memorySource(path, chunks));
  }
  throwIfAborted(options.signal, `reading ${path}`);
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    const status = await handle.stat();
    if (!status.isFile()) throw new Error('it is not a regular file');
    return await use(fileSource(path, handle, status.size, options));
  } catch (error) {
    throw readError(path, error);
  } finally {
    await handle?.close();
  }
}

/** Writes the chunks that `encode` yields as a file, atomically, compressed if its name ends in .gz. */
export async function writeChunks(
  path: string,
  encode: () => Iterable<Uint8Array>,
  options: FileOptions = {},
): Promise<void> {
  throwIfAborted(options.signal, `writing ${path}`);
  await writeAtomically(path, async (handle) => {
    const source = Readable.from(checked(encode(), path, options.signal));
    // Not a write stream on the handle: one that is destroyed half-way keeps the handle from ever closing.
    const sink = (chunks: AsyncIterable<Uint8Array>): Promise<void> => writeFile(handle, chunks);
    if (isGzip(path)) await pipeline(source, createGzip(), sink);
    else await pipeline(source, sink);
  });
}

function* checked(
  chunks: Iterable<Uint8Array>,
  path: string,
  signal: AbortSignal | undefined,
): Generator<Uint8Array> {
  for (const chunk of chunks) {
    throwIfAborted(signal, `writing ${path}`);
    yield chunk;
  }
}

function readError(path: string, error: unknown): Error {
  if (error instanceof LichenError) return error;
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
  if (code.startsWith('Z_')) {
    const reason = (error as Error).message;
    return new LichenFileError('ERR_LICHEN_FORMAT', `${path} is not a whole gzip file: ${reason}`, {
      cause: error,
    });
  }
  if (error instanceof RangeError && /array|allocation/i.test(error.message)) {
    return new LichenFileError('ERR_LICHEN_MEMORY', `cannot hold ${path}: ${error.message}`, {
      cause: error,
    });
  }
  return fileError('read', path, error);
}

function fileSource(
  path: string,
  handle: FileHandle,
  length: number,
  options: FileOptions,
): ByteSource {
  return {
    path,
    length,
    async read(target, position) {
      let done = 0;
      while (done < target.length) {
        throwIfAborted(options.signal, `reading ${path}`);
        const part = target.subarray(done, done + CHUNK_BYTES);
        const { bytesRead } = await handle.read(part, 0, part.length, position + done);
        if (bytesRead === 0) throw endsEarly(path, position + done);
        done += bytesRead;
        options.onProgress?.(position + done, length);
      }
    },
  };
}

function memorySource(path: string, chunks: Buffer[]): ByteSource {
  const starts: number[] = [];
  let length = 0;
  for (const chunk of chunks) {
    starts.push(length);
    length += chunk.length;
  }
  // Readers go forward, so the chunk of the last call is the first to try.
  let at = 0;
  return {
    path,
    length,
    read(target, position) {
      if (position + target.length > length) return Promise.reject(endsEarly(path, length));
      if (at >= chunks.length || position < starts[at]!) at = 0;
      for (let done = 0; done < target.length;) {
        while (position + done >= starts[at]! + chunks[at]!.length) at++;
        const from = position + done - starts[at]!;
        const part = chunks[at]!.subarray(from, from + target.length - done);
        target.set(part, done);
        done += part.length;
      }
      return Promise.resolve();
    },
  };
}

function endsEarly(path: string, position: number): LichenFileError {
  return new LichenFileError('ERR_LICHEN_FORMAT', `${path} ends unexpectedly at byte ${position}`);
}
