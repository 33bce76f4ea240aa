/** Bytes of a chunk; with its link, 68. */
export const CHUNK_BYTES = 64;
const CHUNK_WORDS = CHUNK_BYTES / 4;
/** Bytes of memory that a chunk takes. */
export const CHUNK_COST = CHUNK_BYTES + 4;
/** Chunks taken from the system at a time: 1 MiB. */
const SEGMENT_BITS = 14;
const SEGMENT_CHUNKS = 1 << SEGMENT_BITS;
const NONE = 0xffffffff;

/** How many chunks so many bytes need; a value without bytes needs none. */
export function chunksFor(bytes: number): number {
  return Math.ceil(bytes / CHUNK_BYTES);
}

/**
 * Bytes of many values in chunks of 64, linked. Memory is given back to no one, but a chunk that is free serves any
 * value of any length, so what is stored may change its sizes without leaving holes.
 */
export class ChunkStore {
  private readonly segments: Int32Array[] = [];
  private next = new Uint32Array(0);
  private firstFree = NONE;
  private freeChunks = 0;

  /** Bytes taken from the system. */
  get bytes(): number {
    return this.segments.length * SEGMENT_CHUNKS * CHUNK_BYTES + this.next.byteLength;
  }

  /** Stores bytes and gives the first chunk of them, 0xffffffff if there are none. */
  write(bytes: Uint8Array): number {
    const needed = chunksFor(bytes.length);
    if (needed === 0) return NONE;
    while (this.freeChunks < needed) this.addSegment();
    const words = wordsOf(bytes);
    const first = this.firstFree;
    let chunk = first;
    let last = first;
    for (let at = 0; at < words.length;) {
      const segment = this.segments[chunk >>> SEGMENT_BITS]!;
      let to = (chunk & (SEGMENT_CHUNKS - 1)) * CHUNK_WORDS;
      const end = Math.min(at + CHUNK_WORDS, words.length);
      while (at < end) segment[to++] = words[at++]!;
      last = chunk;
      chunk = this.next[chunk]!;
    }
    this.firstFree = chunk;
    this.next[last] = NONE;
    this.freeChunks -= needed;
    return first;
  }

  /** Copies the first `count` words of what {@link write} stored to `to`, from `start` on. */
  read(first: number, to: Int32Array, start: number, count: number): void {
    let chunk = first;
    const stop = start + count;
    for (let at = start; at < stop;) {
      const segment = this.segments[chunk >>> SEGMENT_BITS]!;
      let from = (chunk & (SEGMENT_CHUNKS - 1)) * CHUNK_WORDS;
      const end = at + CHUNK_WORDS < stop ? at + CHUNK_WORDS : stop;
      while (at < end) to[at++] = segment[from++]!;
      chunk = this.next[chunk]!;
    }
  }

  /** Frees all chunks of a value. */
  release(first: number): void {
    if (first === NONE) return;
    let last = first;
    let count = 1;
    while (this.next[last] !== NONE) {
      last = this.next[last]!;
      count++;
    }
    this.next[last] = this.firstFree;
    this.firstFree = first;
    this.freeChunks += count;
  }

  /** Frees all. */
  clear(): void {
    this.segments.length = 0;
    this.next = new Uint32Array(0);
    this.firstFree = NONE;
    this.freeChunks = 0;
  }

  private addSegment(): void {
    const begin = this.segments.length * SEGMENT_CHUNKS;
    this.segments.push(new Int32Array(SEGMENT_CHUNKS * CHUNK_WORDS));
    const next = new Uint32Array(begin + SEGMENT_CHUNKS);
    next.set(this.next);
    for (let chunk = begin; chunk < next.length; chunk++) next[chunk] = chunk + 1;
    next[next.length - 1] = this.firstFree;
    this.next = next;
    this.firstFree = begin;
    this.freeChunks += SEGMENT_CHUNKS;
  }
}

/** Bytes as words, the last of them filled up; copied only where they do not lie as words do. */
function wordsOf(bytes: Uint8Array): Int32Array {
  if (bytes.byteOffset % 4 === 0 && bytes.length % 4 === 0) {
    return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  }
  const words = new Int32Array(Math.ceil(bytes.length / 4));
  new Uint8Array(words.buffer).set(bytes);
  return words;
}
