import { parseStorageType, type StorageType } from '../../src/index.js';

/** A storage of lichen, what rescores its results, and the beam and links of its graph if they are not those of others. */
export interface Stored {
  readonly text: string;
  readonly storage: StorageType;
  readonly pca: number | undefined;
  readonly rerank: StorageType | undefined;
  readonly efConstruction: number | undefined;
  readonly m: number | undefined;
}

const STORED = /^(\w+)(?:\/([1-9]\d*))?(?:\+(\w+))?(?:@([1-9]\d*))?(?::([1-9]\d*))?$/;

/** `i8`, `i4+f16`, `i4+f16@50`, `i4/128+f16@50:12`: with pca 128, efConstruction 50, m 12 */
export function storedOf(text: string): Stored {
  const parts = STORED.exec(text);
  if (parts === null) {
    throw new Error(`--storage is storage[/pca][+rerank][@efConstruction][:m], got ${text}`);
  }
  const [, storage, pca, rerank, beam, links] = parts;
  const number = (digits: string | undefined) =>
    digits === undefined ? undefined : Number(digits);
  return {
    text,
    storage: parseStorageType(storage, '--storage'),
    pca: number(pca),
    rerank: rerank === undefined ? undefined : parseStorageType(rerank, '--storage'),
    efConstruction: number(beam),
    m: number(links),
  };
}
