import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { CacheTable } from '../../src/cache/cache-table.js';
import { Random } from '../../src/vectors/random.js';
import { sharedData } from '../vectors/shared-data.js';
import { Lru } from './helpers.js';

/** A table asked as a cache asks it: a key that is not there is admitted, or not. */
class Replay {
  private readonly table: CacheTable;
  hits = 0;

  constructor(maxEntries: number) {
    this.table = new CacheTable({ maxEntries, maxWeight: Infinity, now: () => 0 });
  }

  ask(key: number): boolean {
    const isHit = this.table.ask(key) >= 0;
    if (isHit) this.hits++;
    else this.table.admit(key, 1, Infinity);
    return isHit;
  }
}

const trace = sharedData('trace-scarab-recs', 'requests.1245184.i32.gz');

describe.skipIf(trace.missing)(`CacheTable on a trace of recommendations${trace.note}`, () => {
  it('has many more hits than LRU', () => {
    const bytes = gunzipSync(readFileSync(trace.path));
    const requests = new Int32Array(bytes.buffer, bytes.byteOffset, 300_000);
    const table = new Replay(2583);
    const lru = new Lru(2583);
    for (const key of requests) {
      table.ask(key);
      lru.ask(key);
    }
    const [ours, theirs] = [table.hits / requests.length, lru.hits / requests.length];
    expect(theirs).toBeGreaterThan(0.3);
    expect(ours - theirs, `${ours} against ${theirs}`).toBeGreaterThan(0.07);
  });
});

/** Keys 0 to 999, the first of them most often (Zipf's law). */
function hotKeys(random: Random): () => number {
  const sums: number[] = [];
  let sum = 0;
  for (let rank = 1; rank <= 1000; rank++) sums.push((sum += 1 / rank ** 0.8));
  return () => {
    const target = random.uniform() * sum;
    let [low, high] = [0, 999];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sums[middle]! > target) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}

describe('CacheTable and scans', () => {
  it('keeps what is in use while scans pass through, as LRU does not', () => {
    const random = new Random(12);
    const nextHot = hotKeys(random);
    const table = new Replay(1000);
    const lru = new Lru(1000);
    let scanned = 1_000_000;
    const counts = { asked: 0, table: 0, lru: 0 };
    // Of every 7000 requests 2000 are of hot keys; then 4000 keys are asked for once, among 1000 hot ones.
    for (let round = 0; round < 60; round++) {
      for (let at = 0; at < 7000; at++) {
        const isHot = at < 2000 || at % 5 === 0;
        const key = isHot ? nextHot() : scanned++;
        const [ours, theirs] = [table.ask(key), lru.ask(key)];
        // The first rounds fill the caches and teach.
        if (!isHot || round < 20) continue;
        counts.asked++;
        if (ours) counts.table++;
        if (theirs) counts.lru++;
      }
    }
    const ours = counts.table / counts.asked;
    const theirs = counts.lru / counts.asked;
    expect(theirs, 'LRU').toBeLessThan(0.7);
    expect(ours, 'the table').toBeGreaterThan(0.98);
  });

  it('learns new keys when what is in use changes', () => {
    const nextHot = hotKeys(new Random(3));
    const table = new Replay(1000);
    for (let at = 0; at < 100_000; at++) table.ask(nextHot());
    let hits = 0;
    for (let at = 0; at < 100_000; at++) {
      const isHit = table.ask(50_000 + nextHot());
      if (isHit && at >= 80_000) hits++;
    }
    expect(hits / 20_000).toBeGreaterThan(0.98);
  });
});
