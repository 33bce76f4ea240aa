/**
 * Who met what: reading interactions, ids and their dense numbers, holding some out for a test.
 * @packageDocumentation
 */
export { Vocabulary, type VocabularyJson } from './vocabulary.js';
export {
  interactionsFromPairs,
  itemsOf,
  type Interactions,
  type InteractionsReport,
  type PairsOptions,
  type VocabularyOptions,
} from './interactions.js';
export {
  readInteractions,
  type InteractionsFormat,
  type ReadInteractionsOptions,
} from './reader.js';
export { holdOutItems, holdOutLast, holdOutShare, type Split } from './hold-out.js';
export type { KnownItems } from './known-items.js';
