import { LichenArgumentError } from '../errors.js';
import { itemsOf, type Interactions } from '../interactions/interactions.js';

/**
 * What users have already is not recommended to them, so a test of nothing else would find nothing good.
 * @throws ERR_LICHEN_ARGUMENT if all that is tested is among what is known.
 */
export function requireNewPairs(known: Interactions, test: Interactions): void {
  const users = Math.min(known.users.size, test.users.size);
  let pairs = 0;
  for (let user = 0; user < users; user++) {
    const tested = itemsOf(test, user);
    if (tested.length === 0) continue;
    const met = new Set(itemsOf(known, user));
    pairs += tested.length;
    if (tested.some((item) => !met.has(item))) return;
  }
  if (pairs === 0) return;
  throw new LichenArgumentError(
    'ERR_LICHEN_ARGUMENT',
    `all ${pairs} pairs of --test are among --interactions, and what users have is not recommended again: ` +
      'test with what they met later',
  );
}
