// Fills a ByteCache and prints what memory that took, as JSON. Arguments: megabytes, kind of keys.
import { ByteCache } from '../../src/cache/byte-cache.js';

const [megabytes, kind] = process.argv.slice(2);
const maxBytes = Number(megabytes) * 1e6;
const keyOf = (at: number): number | string => (kind === 'texts' ? `user:${at}` : at);

function fill(bytes: number): ByteCache<number | string, Float32Array> {
  const cache = new ByteCache<number | string, Float32Array>({ maxBytes: bytes });
  const value = new Float32Array(64);
  // An entry takes 64 · 4 bytes at least, so this is more than twice as many as fit.
  const count = Math.ceil((2 * bytes) / 400);
  for (let at = 0; at < count; at++) {
    const key = keyOf(at);
    value[0] = at;
    // Every key is asked for, so that some promise more than others.
    if (cache.get(key) === undefined) cache.set(key, value);
    if (at % 3 === 0) cache.get(keyOf(at >>> 1));
  }
  return cache;
}

function taken(): { bytes: number; rss: number } {
  for (let round = 0; round < 4; round++) global.gc!();
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  return { bytes: heapUsed + arrayBuffers, rss };
}

async function main(): Promise<void> {
  // Code is compiled and the heap has grown before anything is measured.
  fill(maxBytes / 16);
  await new Promise((resolve) => setImmediate(resolve));
  const before = taken();
  const cache = fill(maxBytes);
  await new Promise((resolve) => setImmediate(resolve));
  const after = taken();
  const stats = cache.stats();
  // Kept until here, so that it is not freed before it is measured.
  const last = cache.get(keyOf(0))?.length ?? 0;
  process.stdout.write(
    JSON.stringify({
      stats,
      ...{ grown: after.bytes - before.bytes, rss: after.rss - before.rss },
      last,
    }),
  );
}

void main();
