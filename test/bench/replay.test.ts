import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { madeTrace, optimalHits, readTrace } from '../../bench/harness/replay.js';
import { sharedData } from '../vectors/shared-data.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

/** The most hits of all ways to choose what is kept, by trying them. */
function mostHits(requests: readonly number[], entries: number): number {
  let states = new Map<string, number>([['', 0]]);
  for (const key of requests) {
    const next = new Map<string, number>();
    const offer = (kept: readonly number[], hits: number): void => {
      const name = [...kept].sort((a, b) => a - b).join();
      next.set(name, Math.max(next.get(name) ?? 0, hits));
    };
    for (const [name, hits] of states) {
      const kept = name === '' ? [] : name.split(',').map(Number);
      if (kept.includes(key)) {
        offer(kept, hits + 1);
        continue;
      }
      offer(kept, hits);
      if (kept.length < entries) offer([...kept, key], hits);
      else for (const out of kept) offer([...kept.filter((one) => one !== out), key], hits);
    }
    states = next;
  }
  return Math.max(...states.values());
}

describe('the replay of traces', () => {
  const at = temporaryFolder();

  it('knows the best possible choice', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 14 }),
        fc.integer({ min: 1, max: 3 }),
        (requests, entries) => {
          expect(optimalHits(Int32Array.from(requests), entries)).toBe(mostHits(requests, entries));
        },
      ),
    );
  });

  const web = sharedData('trace-cache2k-web12', 'requests.95607.i32.gz');
  it.skipIf(web.missing)(`finds the optimum that others found${web.note}`, () => {
    const { requests } = readTrace('web12', web.path, []);
    expect(requests).toHaveLength(95_607);
    expect(optimalHits(requests, 137) / requests.length).toBeCloseTo(0.585, 3);
    expect(optimalHits(requests, 1375) / requests.length).toBeCloseTo(0.8004, 4);
  });

  it('reads traces, and makes the same one every time', () => {
    const bytes = Buffer.from(Int32Array.of(5, -1, 7).buffer);
    writeFileSync(at('trace.i32.gz'), gzipSync(bytes));
    expect([...readTrace('x', at('trace.i32.gz'), [1]).requests]).toEqual([5, -1, 7]);
    const made = madeTrace().requests;
    expect(madeTrace().requests).toEqual(made);
    expect(made).toHaveLength(1_000_000);
  });
});
