import { parseStored, type StoredAs } from '../../src/evaluation/candidate.js';

/** A storage of lichen as the text of an option has it. */
export interface Stored extends StoredAs {
  readonly text: string;
}

/** `i8`, `i4+f16`, `i4+f16@50`, `i4/128+f16@50:12`: with pca 128, efConstruction 50, m 12 */
export function storedOf(text: string): Stored {
  return { text, ...parseStored(text, '--storage') };
}
