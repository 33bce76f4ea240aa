import { expect, it } from 'vitest';
import { requireNewPairs } from '../../src/cli/known-pairs.js';
import { interactionsFromPairs } from '../../src/interactions/interactions.js';
import { Vocabulary } from '../../src/interactions/vocabulary.js';

it('a test of nothing but what users have is refused', () => {
  const vocabularies = { users: Vocabulary.identity(3), items: Vocabulary.identity(5) };
  const of = (...pairs: [number, number][]) =>
    interactionsFromPairs(
      pairs.map(([user]) => user),
      pairs.map(([, item]) => item),
      vocabularies,
    );
  const known = of([0, 1], [0, 2], [1, 3]);
  const check =
    (...pairs: [number, number][]) =>
    () =>
      requireNewPairs(known, of(...pairs));
  expect(check([0, 1], [1, 3])).toThrow(/all 2 pairs of --test are among --interactions/);
  expect(check([0, 1], [1, 2])).not.toThrow();
  expect(check([2, 1])).not.toThrow();
});
