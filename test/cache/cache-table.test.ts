import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CacheTable } from '../../src/cache/cache-table.js';
import { FakeClock } from './helpers.js';

const UNIVERSE = 40;

interface Step {
  kind: 'ask' | 'put' | 'remove' | 'pass' | 'clear';
  key: number;
  weight: number;
  ttl: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom<Step['kind']>(
    ...(['ask', 'ask', 'ask', 'put', 'put', 'put', 'put', 'remove', 'pass', 'clear'] as const),
  ),
  key: fc.nat(UNIVERSE - 1),
  weight: fc.integer({ min: 1, max: 9 }),
  ttl: fc.constantFrom(5, 20, Infinity),
});

/** A table, and what a Map says should stand in it; `onRemove` takes entries out of the Map. */
function checked(maxEntries: number, maxWeight: number) {
  const clock = new FakeClock(0);
  const rows = new Map<number, { key: number; weight: number; expiry: number }>();
  const table = new CacheTable({
    maxEntries,
    maxWeight,
    now: clock.now,
    onRemove: (row) => {
      expect(rows.delete(row), 'a row that is not taken was removed').toBe(true);
    },
  });
  return { clock, rows, table };
}

describe('CacheTable', () => {
  it('holds what it says it holds, within its limits', () => {
    const run = (steps: Step[], maxEntries: number, maxWeight: number): void => {
      const { clock, rows, table } = checked(maxEntries, maxWeight);
      const put = ({ key, weight, ttl }: Step): void => {
        const expiry = clock.ms + ttl;
        const old = table.rowOf(key);
        if (old >= 0) {
          rows.set(old, { key, weight, expiry });
          const stays = table.reweigh(old, weight, expiry);
          expect(rows.has(old)).toBe(stays);
        } else {
          const row = table.admit(key, weight, expiry);
          if (row < 0) return;
          expect(rows.has(row)).toBe(false);
          rows.set(row, { key, weight, expiry });
        }
      };
      for (const one of steps) {
        if (one.kind === 'ask') table.ask(one.key);
        if (one.kind === 'pass') clock.pass(one.weight);
        if (one.kind === 'put') put(one);
        if (one.kind === 'remove' && table.rowOf(one.key) >= 0) table.remove(table.rowOf(one.key));
        if (one.kind === 'clear' && one.weight > 7) {
          table.clear();
          rows.clear();
        }
        expect(table.size).toBe(rows.size);
        let weight = 0;
        for (const entry of rows.values()) weight += entry.weight;
        expect(table.weight).toBe(weight);
        expect(table.size).toBeLessThanOrEqual(maxEntries);
        expect(table.weight).toBeLessThanOrEqual(maxWeight);
      }
      for (const [row, { key, expiry }] of rows) {
        expect(table.keys[row]).toBe(key);
        expect(table.rowOf(key)).toBe(expiry > clock.ms ? row : -1);
      }
      const present = [...Array(UNIVERSE).keys()].filter((key) => table.ask(key) >= 0);
      const alive = [...rows.values()].filter(({ expiry }) => expiry > clock.ms);
      expect(present).toEqual(alive.map(({ key }) => key).sort((a, b) => a - b));
    };
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 250 }),
        fc.constantFrom(1, 5, 20, Infinity),
        fc.constantFrom(5, 30, 100, Infinity),
        run,
      ),
      { numRuns: 400 },
    );
  });

  it('gives nothing up for what weighs more than it may hold', () => {
    const { rows, table } = checked(Infinity, 100);
    for (let key = 0; key < 10; key++) {
      rows.set(table.admit(key, 10, Infinity), { key, weight: 10, expiry: Infinity });
    }
    expect(table.admit(99, 101, Infinity)).toBe(-1);
    expect(table).toMatchObject({ size: 10, weight: 100, evictions: 0, rejections: 1 });
    expect(table.reweigh(table.rowOf(3), 101, Infinity)).toBe(false);
    expect(table).toMatchObject({ size: 9, weight: 90 });
  });

  it('gives up what has expired first', () => {
    const { clock, rows, table } = checked(8, Infinity);
    for (let key = 0; key < 8; key++) {
      const expiry = key === 5 ? 10 : Infinity;
      table.ask(key);
      rows.set(table.admit(key, 1, expiry), { key, weight: 1, expiry });
    }
    // Asked for often and last, but over.
    for (let n = 0; n < 30; n++) table.ask(5);
    clock.ms = 10;
    table.ask(50);
    expect(table.admit(50, 1, Infinity)).toBeGreaterThanOrEqual(0);
    expect(table.rowOf(5)).toBe(-1);
    expect(table).toMatchObject({ size: 8, expired: 1, evictions: 0 });
  });

  it('prefers the light one of two that are asked for equally often', () => {
    const { rows, table } = checked(Infinity, 1000);
    const put = (key: number, weight: number): void => {
      if (table.ask(key) >= 0) return;
      const row = table.admit(key, weight, Infinity);
      if (row >= 0) rows.set(row, { key, weight, expiry: Infinity });
    };
    // 20 light keys and 20 heavy ones: all light ones fit with 9 heavy ones, 11 heavy ones alone.
    for (let round = 0; round < 2000; round++) {
      for (let key = 0; key < 20; key++) {
        put(key, 5);
        put(100 + key, 90);
      }
    }
    const light = [...Array(20).keys()].filter((key) => table.rowOf(key) >= 0).length;
    expect(light).toBeGreaterThanOrEqual(18);
  });

  it('remembers how often a key was asked for before it was given up', () => {
    const { rows, table } = checked(100, Infinity);
    const request = (key: number): boolean => {
      if (table.ask(key) >= 0) return true;
      const row = table.admit(key, 1, Infinity);
      if (row >= 0) rows.set(row, { key, weight: 1, expiry: Infinity });
      return false;
    };
    for (let round = 0; round < 30; round++) for (let key = 0; key < 50; key++) request(key);
    for (let key = 0; key < 50; key++) if (table.rowOf(key) >= 0) table.remove(table.rowOf(key));
    for (let key = 1000; key < 1100; key++) request(key);
    // The table is full of keys seen once: the old ones come back at their first request.
    let back = 0;
    for (let key = 0; key < 50; key++) {
      request(key);
      if (table.rowOf(key) >= 0) back++;
    }
    expect(back).toBe(50);
  });

  it('counts its bytes as its arrays grow', () => {
    const { table, rows } = checked(Infinity, Infinity);
    const empty = table.bytes;
    for (let key = 0; key < 10_000; key++)
      rows.set(table.admit(key, 1, Infinity), { key, weight: 1, expiry: Infinity });
    const a = (table.bytes - empty) / 10_000;
    expect(a).toBeGreaterThan(60);
    expect(a).toBeLessThan(200);
  });
});
