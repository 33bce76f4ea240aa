import { describe, expect, it } from 'vitest';
import { SoleReplicas } from '../../src/cluster/sole-replicas.js';

function answersOf(sole: SoleReplicas, count: number, replica = 'a', isHedge = false): void {
  for (let at = 0; at < count; at++) sole.answered(0, replica, isHedge);
}

describe('a shard with one replica', () => {
  it('is known after 65 answers of it, and by itself', () => {
    const sole = new SoleReplicas();
    answersOf(sole, 64);
    expect(sole.isSole(0)).toBe(false);
    answersOf(sole, 1);
    expect(sole.isSole(0)).toBe(true);
    expect(sole.isSole(1)).toBe(false);
  });

  it('is none once another answers, or none does', () => {
    const sole = new SoleReplicas();
    answersOf(sole, 1000);
    answersOf(sole, 1, 'b');
    expect(sole.isSole(0)).toBe(false);
    answersOf(sole, 1000, 'b');
    expect(sole.isSole(0)).toBe(true);
    sole.missed(0);
    expect(sole.isSole(0)).toBe(false);
  });

  it('is none as long as it answers for one that hangs', () => {
    const sole = new SoleReplicas();
    for (let turn = 0; turn < 50; turn++) {
      answersOf(sole, 20);
      answersOf(sole, 1, 'a', true);
      expect(sole.isSole(0)).toBe(false);
    }
  });
});
