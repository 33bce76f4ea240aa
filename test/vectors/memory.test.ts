import { totalmem } from 'node:os';
import { describe, expect, it } from 'vitest';
import { Vocabulary } from '../../src/interactions/vocabulary.js';
import { interactionsFromPairs } from '../../src/interactions/interactions.js';
import { idBudgetBytes, withinMemory } from '../../src/vectors/memory.js';

const outOfMemory = expect.objectContaining({ code: 'ERR_LICHEN_MEMORY' }) as Error;

describe('withinMemory', () => {
  it('does not even try what no machine has', () => {
    let tried = false;
    expect(() => withinMemory(2 ** 50, () => (tried = true))).toThrow(outOfMemory);
    expect(tried).toBe(false);
    expect(withinMemory(2 ** 20, () => 'made')).toBe('made');
  });

  it('passes other errors on', () => {
    const range = new RangeError('Array buffer allocation failed');
    const fail = (error: Error) => () => {
      throw error;
    };
    expect(() => withinMemory(8, fail(range))).toThrow(outOfMemory);
    expect(() => withinMemory(8, fail(new TypeError('other')))).toThrow(TypeError);
  });

  it('leaves room in the heap for two sets of ids', () => {
    expect(idBudgetBytes()).toBeGreaterThan(2 ** 20);
  });
});

describe('what needs memory', () => {
  it.skipIf(totalmem() > 2 ** 35)('allocates nothing on the word of a hostile vocabulary', () => {
    const users = Vocabulary.fromJSON({ identity: 2 ** 32 - 1 });
    expect(() => interactionsFromPairs([1], [1], { users })).toThrow(outOfMemory);
  });
});
