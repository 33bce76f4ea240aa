import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HedgePolicy } from '../../src/cluster/hedge-policy.js';

/** How many may be asked a second time in a row. */
function granted(policy: HedgePolicy, most = 1000): number {
  let count = 0;
  while (count < most && policy.mayHedge()) count++;
  return count;
}

/** One to whom nothing is granted any more. */
function spent(): HedgePolicy {
  const policy = new HedgePolicy();
  granted(policy);
  return policy;
}

describe('the time after which a shard is asked once more', () => {
  it('is 50 ms until 64 have answered, and then what 95 of 100 answers took less than', () => {
    const policy = new HedgePolicy();
    for (let ms = 1; ms <= 63; ms++) policy.answered(ms, false);
    expect(policy.afterMs).toBe(50);
    policy.answered(64, false);
    expect(policy.afterMs).toBe(61);
  });

  it('follows the last 512 answers', () => {
    const policy = new HedgePolicy();
    for (let at = 0; at < 512; at++) policy.answered(500, false);
    expect(policy.afterMs).toBe(500);
    for (let at = 0; at < 512; at++) policy.answered(10, false);
    expect(policy.afterMs).toBe(10);
  });

  it('is 1 ms at least', () => {
    const policy = new HedgePolicy();
    for (let at = 0; at < 64; at++) policy.answered(0.1, false);
    expect(policy.afterMs).toBe(1);
  });

  it('is one of the times that answers took, or those two, whatever they were', () => {
    const times = fc.array(fc.double({ min: 0, max: 1e4, noNaN: true }), { maxLength: 1200 });
    fc.assert(
      fc.property(times, (all) => {
        const policy = new HedgePolicy();
        for (const ms of all) policy.answered(ms, false);
        const { afterMs } = policy;
        const looked = all.slice(0, all.length - (all.length % 64)).slice(-512);
        if (looked.length === 0) {
          expect(afterMs).toBe(50);
          return;
        }
        const later = looked.filter((ms) => Math.max(1, ms) > afterMs).length;
        expect(later).toBeLessThanOrEqual(Math.ceil(0.05 * looked.length));
        expect(looked.map((ms) => Math.max(1, ms))).toContain(afterMs);
      }),
      { numRuns: 50 },
    );
  });
});

describe('second questions', () => {
  it('are 20 at once, and then one for every ten shards that are asked', () => {
    const policy = new HedgePolicy();
    expect(granted(policy)).toBe(20);
    for (let at = 0; at < 10; at++) policy.asked(1);
    const first = granted(policy);
    expect(first).toBeLessThanOrEqual(1);
    policy.asked(55);
    expect(first + granted(policy)).toBe(6);
  });

  it('that are answered sooner or by nobody cost nothing', () => {
    const policy = spent();
    policy.answered(3, false);
    expect(granted(policy)).toBe(0);
    policy.answered(3, true);
    expect(granted(policy)).toBe(1);
    policy.refund();
    expect(granted(policy)).toBe(1);
  });

  it('are not saved up beyond 20', () => {
    const policy = new HedgePolicy();
    policy.asked(1_000_000);
    for (let at = 0; at < 100; at++) {
      policy.answered(1, true);
      policy.refund();
    }
    expect(granted(policy)).toBe(20);
  });

  it('never are more than 20 and a tenth of the questions while they come to nothing', () => {
    const questions = fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), fc.nat(50)), {
      maxLength: 200,
    });
    fc.assert(
      fc.property(questions, (all) => {
        const policy = new HedgePolicy();
        let [asked, hedged] = [0, 0];
        for (const [shards, late] of all) {
          policy.asked(shards);
          asked += shards;
          for (let at = 0; at < Math.min(late, shards); at++) if (policy.mayHedge()) hedged++;
        }
        expect(hedged).toBeLessThanOrEqual(20 + asked / 10 + 1e-6);
      }),
    );
  });
});
