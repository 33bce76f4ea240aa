import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppliedIds } from '../../src/cluster/applied-ids.js';
import { codeThrown } from './thrown.js';

const WINDOW = 5;
const ids = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', ''), {
  maxLength: 40,
});

/** As a replica does: an id that is not remembered is remembered. */
function meet(applied: AppliedIds, id: string, sequence: number): number | undefined {
  const first = applied.firstOf(id);
  if (first === undefined) applied.add(id, sequence);
  return first;
}

/** The same by a list. */
function oracle(all: readonly string[]): (number | undefined)[] {
  const kept: { id: string; sequence: number }[] = [];
  return all.map((id, at) => {
    const known = kept.find((one) => one.id === id);
    if (known !== undefined) return known.sequence;
    kept.push({ id, sequence: at + 1 });
    if (kept.length > WINDOW) kept.shift();
    return undefined;
  });
}

describe('ids of changes', () => {
  it('are remembered with the sequence that they came with first, the last ones of many', () => {
    fc.assert(
      fc.property(ids, (all) => {
        const applied = new AppliedIds(WINDOW);
        expect(all.map((id, at) => meet(applied, id, at + 1))).toEqual(oracle(all));
      }),
    );
  });

  it('go on after they were saved and read where they would have gone on', () => {
    fc.assert(
      fc.property(ids, fc.nat(), (all, cut) => {
        const at = all.length === 0 ? 0 : cut % all.length;
        let applied = new AppliedIds(WINDOW);
        const met = all.map((id, place) => {
          if (place === at) {
            const bytes = applied.toBytes();
            // Somewhere within a larger buffer, at any byte.
            const shifted = new Uint8Array(bytes.length + 3).subarray(3);
            shifted.set(bytes);
            applied = AppliedIds.fromBytes(shifted, WINDOW);
            expect([...applied.toBytes()]).toEqual([...bytes]);
          }
          return meet(applied, id, place + 1);
        });
        expect(met).toEqual(oracle(all));
      }),
    );
  });

  it('are kept with what became of them', () => {
    const applied = new AppliedIds();
    for (let kind = 0; kind < 16; kind++) applied.add(`id ${kind}`, 2 ** 48 + kind, kind);
    for (const one of [applied, AppliedIds.fromBytes(applied.toBytes())]) {
      for (let kind = 0; kind < 16; kind++) {
        expect(one.firstOf(`id ${kind}`)).toBe(2 ** 48 + kind);
        expect(one.kindOf(`id ${kind}`)).toBe(kind);
      }
    }
  });

  it('keep the last of a file that has more than are remembered', () => {
    const many = new AppliedIds(9);
    for (const [at, id] of ['a', 'b', 'c', 'd'].entries()) many.add(id, at + 1);
    const few = AppliedIds.fromBytes(many.toBytes(), 2);
    expect(['a', 'b', 'c', 'd'].map((id) => few.firstOf(id))).toEqual([undefined, undefined, 3, 4]);
  });

  it('are 65,536', () => {
    const applied = new AppliedIds();
    for (let at = 1; at <= 65_537; at++) applied.add(String(at), at);
    expect(applied.firstOf('1')).toBeUndefined();
    expect(applied.firstOf('2')).toBe(2);
    expect(applied.toBytes()).toHaveLength(65_536 * 16);
  });

  it('are 53 bits of a SHA-256 in a file, which is a format', () => {
    const applied = new AppliedIds();
    applied.add('a', 7, 3);
    expect([...new Float64Array(applied.toBytes().buffer)]).toEqual([
      651_129_815_390_115,
      7 * 16 + 3,
    ]);
  });

  it('of a file that is damaged are refused', () => {
    for (const bytes of [
      ...[new Uint8Array(8), new Uint8Array(15), new Uint8Array(17)],
      ...[Float64Array.of(NaN, 1), Float64Array.of(1, Infinity), Float64Array.of(0.5, 1)],
      ...[Float64Array.of(-1, 1), Float64Array.of(1, -1)],
    ]) {
      const code = codeThrown(() => AppliedIds.fromBytes(new Uint8Array(bytes.buffer)));
      expect(code).toBe('ERR_LICHEN_FORMAT');
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const code = codeThrown(() => AppliedIds.fromBytes(bytes));
        expect([undefined, 'ERR_LICHEN_FORMAT']).toContain(code);
      }),
    );
  });
});
