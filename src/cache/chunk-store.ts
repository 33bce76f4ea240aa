/** Bytes of a chunk; with its link, 68. */
export const CHUNK_BYTES = 64;
const CHUNK_WORDS = CHUNK_BYTES / 4;
/** Bytes of memory that a chunk takes. */
export const CHUNK_COST = CHUNK_BYTES + 4;
/** Chunks taken from the system at a time: 1 MiB of them, of a small store a 32nd of its limit. */
const MOST_SEGMENT_BITS = 14;
const LEAST_SEGMENT_BITS = 4;
const SEGMENTS = 32;
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
  /** The chunk that follows each chunk, by segment: none is copied as the store grows. */
  private readonly links: Uint32Array[] = [];
  private readonly bits: number;
  private readonly mask: number;
  private firstFree = NONE;
  private freeChunks = 0;

  /** @param limit about how many bytes it will hold. */
  constructor(limit: number) {
    const bits = Math.floor(Math.log2(limit / SEGMENTS / CHUNK_BYTES));
    this.bits = Math.min(MOST_SEGMENT_BITS, Math.max(LEAST_SEGMENT_BITS, bits));
    this.mask = (1 << this.bits) - 1;
  }

  /** Bytes taken from the system. */
  get bytes(): number {
    return (this.segments.length << this.bits) * CHUNK_COST;
  }

  /** Chunks that hold values. */
  get used(): number {
    return (this.segments.length << this.bits) - this.freeChunks;
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
      const segment = this.segments[chunk >>> this.bits]!;
      let to = (chunk & this.mask) * CHUNK_WORDS;
      const end = Math.min(at + CHUNK_WORDS, words.length);
      while (at < end) segment[to++] = words[at++]!;
      last = chunk;
      chunk = this.links[chunk >>> this.bits]![chunk & this.mask]!;
    }
    this.firstFree = chunk;
    this.link(last, NONE);
    this.freeChunks -= needed;
    return first;
  }

  /** Copies the first `count` words of what {@link write} stored to `to`, from `start` on. */
  read(first: number, to: Int32Array, start: number, count: number): void {
    let chunk = first;
    const stop = start + count;
    for (let at = start; at < stop;) {
      const segment = this.segments[chunk >>> this.bits]!;
      let from = (chunk & this.mask) * CHUNK_WORDS;
      const end = at + CHUNK_WORDS < stop ? at + CHUNK_WORDS : stop;
      while (at < end) to[at++] = segment[from++]!;
      chunk = this.links[chunk >>> this.bits]![chunk & this.mask]!;
    }
  }

  /** Frees all chunks of a value. */
  release(first: number): void {
    if (first === NONE) return;
    let last = first;
    let count = 1;
    for (;;) {
      const next = this.links[last >>> this.bits]![last & this.mask]!;
      if (next === NONE) break;
      last = next;
      count++;
    }
    this.link(last, this.firstFree);
    this.firstFree = first;
    this.freeChunks += count;
  }

  /** Frees all. */
  clear(): void {
    this.segments.length = 0;
    this.links.length = 0;
    this.firstFree = NONE;
    this.freeChunks = 0;
  }

  private link(chunk: number, next: number): void {
    this.links[chunk >>> this.bits]![chunk & this.mask] = next;
  }

  private addSegment(): void {
    const count = 1 << this.bits;
    const begin = this.segments.length << this.bits;
    this.segments.push(new Int32Array(count * CHUNK_WORDS));
    const links = Uint32Array.from({ length: count }, (_, at) => begin + at + 1);
    links[count - 1] = this.firstFree;
    this.links.push(links);
    this.firstFree = begin;
    this.freeChunks += count;
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
