import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { Random } from '../../src/index.js';

/** Keys that a cache is asked for, in order. */
export interface Trace {
  readonly name: string;
  readonly requests: Int32Array;
  /** Sizes of caches to look at, in entries. */
  readonly entries: readonly number[];
}

/** A file of little-endian 32-bit integers, also gzipped. */
export function readTrace(name: string, path: string, entries: readonly number[]): Trace {
  const bytes = readFileSync(path);
  const plain = path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
  const whole = plain.buffer.slice(plain.byteOffset, plain.byteOffset + (plain.length & ~3));
  return { name, requests: new Int32Array(whole), entries };
}

export const MADE_REQUESTS = 1_000_000;

/** Requests made from a seed: few keys often (Zipf), what is often asked for changing slowly, scans in between. */
export function madeTrace(count = MADE_REQUESTS): Trace {
  const random = new Random(7);
  const keys = 100_000;
  const requests = new Int32Array(count);
  let scan = 0;
  let next = keys;
  for (let at = 0; at < requests.length; at++) {
    if (scan === 0 && random.below(50_000) === 0) scan = 5000;
    if (scan > 0) {
      scan--;
      requests[at] = next++;
      continue;
    }
    const rank = Math.floor(Math.exp(random.uniform() * Math.log(keys)));
    requests[at] = (rank + Math.floor(at / 100)) % keys;
  }
  return { name: 'made: Zipf with scans', requests, entries: [1000, 10_000] };
}

/** The hits of the best possible choice with knowledge of the future, keys not kept where that is best (Belady, 1966). */
export function optimalHits(requests: Int32Array, entries: number): number {
  const next = new Float64Array(requests.length).fill(Infinity);
  const last = new Map<number, number>();
  for (let at = requests.length - 1; at >= 0; at--) {
    next[at] = last.get(requests[at]!) ?? Infinity;
    last.set(requests[at]!, at);
  }
  // A heap of what is kept, the one that is needed latest on top; entries that were asked for since are passed over.
  const heap: [number, number][] = [];
  const due = new Map<number, number>();
  let hits = 0;
  for (let at = 0; at < requests.length; at++) {
    const key = requests[at]!;
    if (due.has(key)) hits++;
    else if (due.size >= entries) {
      while (heap.length > 0 && due.get(heap[0]![1]) !== heap[0]![0]) pop(heap);
      if (heap[0]![0] <= next[at]!) continue;
      due.delete(heap[0]![1]);
      pop(heap);
    }
    if (next[at] === Infinity) {
      due.delete(key);
      continue;
    }
    due.set(key, next[at]!);
    push(heap, [next[at]!, key]);
  }
  return hits;
}

function push(heap: [number, number][], entry: [number, number]): void {
  let at = heap.length;
  heap.push(entry);
  while (at > 0) {
    const above = (at - 1) >> 1;
    if (heap[above]![0] >= entry[0]) break;
    heap[at] = heap[above]!;
    at = above;
  }
  heap[at] = entry;
}

function pop(heap: [number, number][]): void {
  const entry = heap.pop()!;
  if (heap.length === 0) return;
  let at = 0;
  for (;;) {
    let below = 2 * at + 1;
    if (below >= heap.length) break;
    if (below + 1 < heap.length && heap[below + 1]![0] > heap[below]![0]) below++;
    if (heap[below]![0] <= entry[0]) break;
    heap[at] = heap[below]!;
    at = below;
  }
  heap[at] = entry;
}
