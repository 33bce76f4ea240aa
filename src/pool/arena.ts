import { withinMemory } from '../vectors/memory.js';

/** What stands in an arena, the widest numbers first so that all of them are aligned. */
const SECTIONS = {
  keys: Float64Array,
  exclude: Float64Array,
  scores: Float32Array,
  counts: Uint32Array,
  ends: Uint32Array,
  users: Int32Array,
  offsets: Uint32Array,
  history: Uint32Array,
  weights: Float32Array,
  vectors: Float32Array,
  filter: Uint8Array,
} as const;

type SectionName = keyof typeof SECTIONS;
const NAMES = Object.keys(SECTIONS) as SectionName[];
const HEADER_WORDS = 1 + NAMES.length;
const HEADER_BYTES = 8 * HEADER_WORDS;
const LEAST_BYTES = 2 ** 16;
/** Arenas that wait for another use hold at most so much memory. */
const MOST_SPARE_BYTES = 2 ** 26;

/** The parts of an arena; those that it does not have are undefined. */
export type ArenaViews = {
  readonly [name in SectionName]?: InstanceType<(typeof SECTIONS)[name]>;
};

/** How many values each section is to have. */
export type ArenaLengths = { readonly [name in SectionName]?: number | undefined };

/**
 * Memory that the thread of a pool and its workers share for one request: what is asked, and where results go. So
 * nothing is copied on its way to a worker, a worker's results need not be joined, and what a crashed worker was asked
 * is still there for another.
 */
export class Arena {
  readonly memory: SharedArrayBuffer;
  readonly views: ArenaViews;

  /** @param memory of at least {@link arenaBytes} */
  constructor(memory: SharedArrayBuffer, lengths: ArenaLengths) {
    const header = new Float64Array(memory, 0, HEADER_WORDS);
    // The sign to stop is no more set.
    header[0] = 0;
    NAMES.forEach((name, at) => (header[1 + at] = lengths[name] ?? -1));
    this.memory = memory;
    this.views = arenaViews(memory);
  }

  /** Tells whoever works for the request that nobody waits for it any more. */
  stop(): void {
    Atomics.store(new Int32Array(this.memory, 0, 1), 0, 1);
  }
}

/** Whether the request is wanted no more. */
export function isStopped(memory: SharedArrayBuffer): boolean {
  return Atomics.load(new Int32Array(memory, 0, 1), 0) !== 0;
}

/** The sections, by what the memory says of itself. */
export function arenaViews(memory: SharedArrayBuffer): ArenaViews {
  const header = new Float64Array(memory, 0, HEADER_WORDS);
  const views: Record<string, ArrayBufferView> = {};
  let offset = HEADER_BYTES;
  NAMES.forEach((name, at) => {
    const length = header[1 + at]!;
    if (length < 0) return;
    const type = SECTIONS[name];
    // The declared types know no constructor for memory of either kind.
    views[name] = new type(memory as unknown as ArrayBuffer, offset, length);
    offset += length * type.BYTES_PER_ELEMENT;
  });
  return views;
}

/** Memory that an arena takes. */
export function arenaBytes(lengths: ArenaLengths): number {
  return NAMES.reduce(
    (sum, name) => sum + (lengths[name] ?? 0) * SECTIONS[name].BYTES_PER_ELEMENT,
    HEADER_BYTES,
  );
}

/**
 * Memory of arenas, used again and again: an engine does not count shared memory among what a thread holds, and so
 * collects it late.
 */
export class ArenaStore {
  /** By the power of two that is their size. */
  readonly #spare = new Map<number, SharedArrayBuffer[]>();
  #spareBytes = 0;

  /** ERR_LICHEN_MEMORY if there is no room for it. */
  take(lengths: ArenaLengths): Arena {
    const wanted = Math.max(LEAST_BYTES, arenaBytes(lengths));
    const size = 2 ** Math.ceil(Math.log2(wanted));
    const spare = this.#spare.get(size)?.pop();
    if (spare !== undefined) {
      this.#spareBytes -= size;
      return new Arena(spare, lengths);
    }
    return new Arena(
      withinMemory(size, () => new SharedArrayBuffer(size)),
      lengths,
    );
  }

  /** Nobody else may use the arena any more. */
  giveBack({ memory }: Arena): void {
    const size = memory.byteLength;
    if (this.#spareBytes + size > MOST_SPARE_BYTES) return;
    this.#spareBytes += size;
    const spare = this.#spare.get(size);
    if (spare === undefined) this.#spare.set(size, [memory]);
    else spare.push(memory);
  }
}
