import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isTombstone, seal, TOMBSTONE, unseal } from '../../src/cache/envelope.js';

const time = fc.double({ min: 0, max: 1e15, noNaN: true });
const entry = fc.record({
  kind: fc.constantFrom(1, 2, 12, 13, 14),
  bytes: fc.uint8Array({ maxLength: 200 }),
  freshUntil: time,
  freshMs: time,
  servedMs: time,
  loadMs: time,
});

describe('envelopes', () => {
  it('give back what was put in', () => {
    fc.assert(
      fc.property(entry, (value) => {
        const got = unseal(seal(value))!;
        expect({ ...got, bytes: [...got.bytes] }).toEqual({ ...value, bytes: [...value.bytes] });
        expect(isTombstone(seal(value))).toBe(false);
      }),
    );
  });

  it('are refused when a byte is missing, added, or one of the header is other', () => {
    fc.assert(
      fc.property(entry, fc.nat(7), fc.integer({ min: 1, max: 255 }), (value, at, change) => {
        const whole = seal(value);
        expect(unseal(whole.subarray(1))).toBeUndefined();
        expect(unseal(whole.subarray(0, -1))).toBeUndefined();
        expect(unseal(Buffer.concat([whole, Buffer.alloc(1)]))).toBeUndefined();
        // Another kind may be as good.
        if (at === 3) return;
        whole[at]! ^= change;
        expect(unseal(whole)).toBeUndefined();
      }),
    );
  });

  it('never throw, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(unseal(bytes)).toBeUndefined();
      }),
    );
  });

  it('are refused with times that are none, kinds that are none, lengths that do not suit', () => {
    const good = { kind: 8, bytes: new Uint8Array(8), freshUntil: 1, freshMs: 1, servedMs: 1 };
    const loadMs = 1;
    expect(unseal(seal({ ...good, loadMs }))).toBeDefined();
    expect(unseal(seal({ ...good, loadMs: NaN }))).toBeUndefined();
    expect(unseal(seal({ ...good, loadMs: -1 }))).toBeUndefined();
    expect(unseal(seal({ ...good, loadMs, freshUntil: NaN }))).toBeUndefined();
    expect(unseal(seal({ ...good, loadMs, servedMs: -5 }))).toBeUndefined();
    expect(unseal(seal({ ...good, loadMs, kind: 15 }))).toBeUndefined();
    expect(unseal(seal({ ...good, loadMs, kind: 255 }))).toBeUndefined();
    // Absent, with bytes.
    expect(unseal(seal({ ...good, loadMs, kind: 0 }))).toBeUndefined();
    expect(unseal(seal({ ...good, loadMs, bytes: new Uint8Array(6) }))).toBeUndefined();
  });

  it('are no tombstones, nor those envelopes', () => {
    expect(isTombstone(Buffer.from(TOMBSTONE))).toBe(true);
    expect(isTombstone(Buffer.alloc(0))).toBe(false);
    expect(isTombstone(Buffer.from([...TOMBSTONE, 0]))).toBe(false);
    expect(unseal(TOMBSTONE)).toBeUndefined();
  });
});
