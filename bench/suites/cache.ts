import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { InvalidArgumentError } from 'commander';
import type { LRUCache } from 'lru-cache';
import { grouped } from '../../src/cli/terminal.js';
import { compiled, type Lichen } from '../harness/compiled.js';
import { alternate } from '../harness/alternate.js';
import { dataFolder } from '../harness/vectors.js';
import { MADE_REQUESTS, madeTrace, optimalHits, readTrace, type Trace } from '../harness/replay.js';
import { packageMissing } from '../harness/peers.js';
import { ratioFields } from '../harness/report.js';
import {
  integerOption,
  listOption,
  type Result,
  type Suite,
  type SuiteContext,
} from '../harness/suite.js';

const TRACES = ['made', 'scarab-recs', 'cache2k-web12'] as const;
/** Depths that a TieredCache reads ahead. */
const DEPTHS = [0, 1, 2, 4, 8];
/** What an entry of 256 bytes counts in a ByteCache. */
const ENTRY_BYTES = 144 + 8 + 4 * 68;
/** A vector of 64 values, as a feature or a user's vector may be. */
const VALUE = new Float32Array(64).fill(1);

/** Hit ratio and speed of replaying a trace, beside npm lru-cache and the best possible choice. */
export const cacheSuite: Suite = {
  name: 'cache',
  description: 'hit ratio and speed on traces; lru-cache and the optimum beside',
  options: {
    traces: `which of ${TRACES.join(', ')} (default: all that are there)`,
    input: 'a trace of your own: 32-bit integers, little endian, also .gz; with --entries',
    entries: 'sizes of the cache in entries, with commas between',
    requests: `of the trace that is made (default ${grouped(MADE_REQUESTS)})`,
    rounds: 'rounds of the comparison (default 5)',
  },
  quick: { traces: 'made', requests: '50000', entries: '1000', rounds: '1' },
  missing: () => packageMissing('lru-cache'),
  run,
};

async function run(context: SuiteContext): Promise<Result[]> {
  const rounds = integerOption(context, 'rounds', 5);
  const library = compiled();
  const results: Result[] = [];
  for (const trace of tracesOf(context)) {
    for (const entries of trace.entries) {
      context.say(`${trace.name}: ${trace.requests.length} requests, ${entries} entries`);
      const compared = await compare(trace, entries, rounds, library);
      results.push(...compared, ...(await readingAhead(trace, entries, compared, library)));
    }
  }
  return results;
}

async function compare(
  { name, requests }: Trace,
  entries: number,
  rounds: number,
  { ByteCache, MemoryCache }: Lichen,
): Promise<Result[]> {
  const { LRUCache } = createRequire(__filename)('lru-cache') as {
    LRUCache: new (options: { max: number }) => LRUCache<number, Float32Array>;
  };
  const hits = new Map<string, number>();
  const side = (label: string, replay: () => number) => ({
    name: label,
    work: () => {
      hits.set(label, replay());
      return requests.length;
    },
  });
  // Each loop is written out: one for all caches would be compiled for none of them.
  const byReference = side('lichen', () => {
    const cache = new MemoryCache<number, Float32Array>({ maxEntries: entries });
    let found = 0;
    for (let at = 0; at < requests.length; at++) {
      const key = requests[at]!;
      if (cache.get(key) !== undefined) found++;
      else cache.set(key, VALUE);
    }
    return found;
  });
  const lru = side('lru-cache', () => {
    const cache = new LRUCache({ max: entries });
    let found = 0;
    for (let at = 0; at < requests.length; at++) {
      const key = requests[at]!;
      if (cache.get(key) !== undefined) found++;
      else cache.set(key, VALUE);
    }
    return found;
  });
  const asBytes = side('lichen, bytes', () => {
    const cache = new ByteCache<number, Float32Array>({ maxBytes: entries * ENTRY_BYTES });
    let found = 0;
    for (let at = 0; at < requests.length; at++) {
      const key = requests[at]!;
      if (cache.get(key) !== undefined) found++;
      else cache.set(key, VALUE);
    }
    return found;
  });
  const copying = side('lru-cache, copies', () => {
    const cache = new LRUCache({ max: entries });
    let found = 0;
    for (let at = 0; at < requests.length; at++) {
      const key = requests[at]!;
      if (cache.get(key)?.slice() !== undefined) found++;
      else cache.set(key, VALUE.slice());
    }
    return found;
  });
  const seconds = { rounds, secondsASide: 0 };
  const plain = await alternate([byReference, lru], seconds);
  const copies = await alternate([asBytes, copying], seconds);
  const optimum = optimalHits(requests, entries) / requests.length;
  const least = hits.get(lru.name)! / requests.length;
  const row = (label: string, rates: typeof plain): Result => {
    const ratio = hits.get(label)! / requests.length;
    return {
      ...{ name: `${name}, ${entries}: ${label}`, hitRatio: ratio },
      wayToOptimum: (ratio - least) / (optimum - least),
      opsPerSecond: Math.round(rates.rates.get(label)!.median),
    };
  };
  return [
    { ...row(byReference.name, plain), ...ratioFields(plain.ratios.get(lru.name)!) },
    row(lru.name, plain),
    { ...row(asBytes.name, copies), ...ratioFields(copies.ratios.get(copying.name)!) },
    row(copying.name, copies),
    { name: `${name}, ${entries}: optimum`, hitRatio: optimum, wayToOptimum: 1 },
  ];
}

/** A TieredCache that loads, with what is missing, what followed it the last time. */
async function readingAhead(
  { name, requests }: Trace,
  entries: number,
  compared: readonly Result[],
  { TieredCache }: Lichen,
): Promise<Result[]> {
  const ratioOf = (label: string): number => {
    const found = compared.find((result) => result.name === `${name}, ${entries}: ${label}`);
    return Number(found!.hitRatio);
  };
  const [least, optimum] = [ratioOf('lru-cache'), ratioOf('optimum')];
  const results: Result[] = [];
  for (const readAhead of DEPTHS) {
    await using cache = new TieredCache<number, Float32Array>({
      ...{ name: 'bench', maxBytes: entries * ENTRY_BYTES, ttlMs: 1e9, jitter: 0, earlyRefresh: 0 },
      ...{ readAhead, load: (keys) => keys.map(() => VALUE) },
    });
    for (const key of requests) await cache.get(key);
    const { hits, origin, ahead, memory } = cache.stats();
    const hitRatio = hits.memory / requests.length;
    results.push({
      ...{ name: `${name}, ${entries}: tiered, reads ${readAhead} ahead`, hitRatio },
      wayToOptimum: (hitRatio - least) / (optimum - least),
      loadsPerRequest: origin.loads / requests.length,
      keysPerRequest: origin.keys / requests.length,
      ...(ahead.keys > 0 && { usedAhead: ahead.used / ahead.keys }),
      ...{ entries: memory.entries, bytesPerEntry: memory.bytes / memory.entries },
    });
  }
  return results;
}

function tracesOf(context: SuiteContext): Trace[] {
  const input = context.options.get('input');
  const sizes = context.options.get('entries')?.split(',').map(Number);
  if (input !== undefined) {
    if (sizes === undefined) throw new InvalidArgumentError('--input needs --entries');
    return [readTrace(input, input, sizes)];
  }
  const count = integerOption(context, 'requests', MADE_REQUESTS);
  const traces: Trace[] = [];
  for (const name of listOption(context, 'traces', TRACES)) {
    const made = name === 'made' ? madeTrace(count) : storedTrace(name, context);
    if (made !== undefined) traces.push(sizes === undefined ? made : { ...made, entries: sizes });
  }
  return traces;
}

function storedTrace(
  name: 'scarab-recs' | 'cache2k-web12',
  context: SuiteContext,
): Trace | undefined {
  const [file, entries] =
    name === 'scarab-recs'
      ? (['requests.1245184.i32.gz', [2583, 25_836]] as const)
      : (['requests.95607.i32.gz', [137, 687]] as const);
  const path = join(dataFolder(), `trace-${name}`, file);
  if (existsSync(path)) return readTrace(name, path, entries);
  context.say(`trace-${name} is missing: skipped`);
  return undefined;
}
