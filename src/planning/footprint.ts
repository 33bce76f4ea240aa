import type { Key } from '../index/types.js';
import type { SnapshotReport } from '../index/snapshot.js';
import type { VectorIndex } from '../index/vector-index.js';
import type { TwoTowerModel } from '../towers/two-tower-model.js';

/** A part of what is held in memory. */
export interface FootprintPart {
  /** What it is called in the file. */
  readonly name: string;
  /** What it is, in words. */
  readonly what: string;
  /** Its bytes. */
  readonly bytes: number;
  /** With the number of rows, with the number of hubs (a quarter of the rows, up to 8,192), or not at all. */
  readonly grows: 'rows' | 'hubs' | 'never';
}

/** Memory of an index. */
export interface IndexFootprint {
  /** Vectors that are live. */
  readonly rows: number;
  /** Rows that were removed or replaced and still take memory. */
  readonly dead: number;
  /** Of memory, and of its file. */
  readonly bytes: number;
  /** Bytes of its file. */
  readonly fileBytes: number;
  /** Bytes of memory a row, dead ones included. */
  readonly bytesPerRow: number;
  /** What memory is made of. */
  readonly parts: readonly FootprintPart[];
}

const WHAT: Readonly<Record<string, string>> = {
  vectors: 'codes of the vectors',
  scales: 'of scalar codes',
  offsets: 'of scalar codes',
  factors: 'of codes with a rotation',
  factorPairs: 'of codes with a rotation',
  learned: 'what a codec has learned',
  fineVectors: 'finer codes to rescore by',
  fineScales: 'of finer codes',
  fineOffsets: 'of finer codes',
  fineFactorPairs: 'of finer codes',
  fineLearned: 'what the finer codec has learned',
  keys: 'integer keys',
  keyOffsets: 'where keys begin',
  keyCharacters: 'characters of keys',
  keySlots: 'rows by key',
  attributeSchema: 'names and kinds of attributes',
  attributeValues: 'attributes',
  levels: 'levels of the graph',
  baseLinks: 'links of the lowest level',
  upperLinks: 'links of the levels above',
  norms: 'lengths of vectors',
  hubs: 'where searches begin',
  calibration: 'recall by beam',
};
const FIXED: ReadonlySet<string> = new Set([
  ...['learned', 'fineLearned', 'attributeSchema', 'calibration'],
]);
/** Of a row's code: what hubs have a copy of. */
const CODE: ReadonlySet<string> = new Set([
  ...['vectors', 'scales', 'offsets', 'factors', 'factorPairs', 'squares'],
]);
const MOST_HUBS = 8192;
const ROWS_A_HUB = 4;
/** Arrays this large are made of huge pages, whole ones. */
const LARGE_BYTES = 8 * 2 ** 20;
const HUGE_PAGE = 2 * 2 ** 20;

/**
 * What an index takes, by the sections of its file and its own count.
 *
 * @example
 * await index.save('items.lichen');
 * const { bytes, parts } = indexFootprint(index, await inspectSnapshot('items.lichen'));
 */
export function indexFootprint(index: VectorIndex<Key>, report: SnapshotReport): IndexFootprint {
  const { bytes, size, dead } = index;
  const rows = size + dead;
  const parts = report.sections
    .filter((section) => section.bytes > 0)
    .map((section): FootprintPart => {
      const { name } = section;
      const grows = FIXED.has(name) ? 'never' : name === 'hubs' ? 'hubs' : 'rows';
      return { name, what: WHAT[name] ?? 'other', bytes: section.bytes, grows };
    });
  const hubs = parts.find(({ name }) => name === 'hubs');
  if (hubs !== undefined && rows > 0) {
    const code = parts.filter(({ name }) => CODE.has(name));
    const codeBytes = code.reduce((sum, part) => sum + part.bytes / rows, 0);
    const copied = Math.round((hubs.bytes / 4) * codeBytes);
    const what = 'their codes side by side, to begin searches with';
    parts.push({ name: 'codes of hubs', what, bytes: copied, grows: 'hubs' });
  }
  const beside = bytes - parts.reduce((sum, part) => sum + inPages(part.bytes), 0);
  if (beside > 0) {
    const what = 'what a file does not need: lookups by key, locks, room to grow';
    parts.push({ name: 'beside the file', what, bytes: beside, grows: 'rows' });
  }
  return {
    ...{ rows: size, dead, bytes, fileBytes: report.bytes },
    bytesPerRow: rows === 0 ? 0 : bytes / rows,
    parts,
  };
}

/**
 * The memory that such an index of so many rows would take.
 *
 * @example
 * const footprint = indexFootprint(index, await inspectSnapshot('items.lichen'));
 * const bytes = predictBytes(footprint, 10_000_000); // of ten million rows
 */
export function predictBytes({ parts, rows, dead }: IndexFootprint, wanted: number): number {
  const now = Math.max(1, rows + dead);
  const factors = { rows: wanted / now, hubs: hubsOf(wanted) / hubsOf(now), never: 1 };
  return parts.reduce((sum, { bytes, grows }) => sum + inPages(bytes * factors[grows]), 0);
}

function hubsOf(rows: number): number {
  return Math.max(1, Math.min(MOST_HUBS, rows / ROWS_A_HUB));
}

function inPages(bytes: number): number {
  return bytes < LARGE_BYTES ? bytes : Math.ceil(bytes / HUGE_PAGE) * HUGE_PAGE;
}

/** Memory of a model. */
export interface ModelFootprint {
  /** Users that it knows. */
  readonly users: number;
  /** Items that it knows. */
  readonly items: number;
  /** Bytes of memory. */
  readonly bytes: number;
  /** Bytes that one more user takes. */
  readonly bytesPerUser: number;
  /** Bytes that one more item takes. */
  readonly bytesPerItem: number;
  /** What memory is made of. */
  readonly parts: readonly FootprintPart[];
}

/**
 * What the arrays of a model take. Ids are texts of V8, of which there is no exact count: they are left out.
 *
 * @example
 * const { bytesPerUser } = modelFootprint(model);
 */
export function modelFootprint(model: TwoTowerModel): ModelFootprint {
  const { userVectors, itemVectors, weights, users, items } = model;
  // Some models share their vectors with the table.
  const seen = new Set<ArrayBufferLike>();
  const part = (name: string, what: string, array: Float32Array): FootprintPart => {
    const bytes = seen.has(array.buffer) ? 0 : array.byteLength;
    seen.add(array.buffer);
    return { name, what, bytes, grows: 'rows' };
  };
  const parts = [
    part('userVectors', 'a vector a user', userVectors.data),
    part('itemVectors', 'a vector an item', itemVectors.data),
    part('table', 'rows of users, items and features', weights.table.data),
    part('itemSums', 'what histories are means of', weights.itemSums.data),
  ].filter(({ bytes }) => bytes > 0);
  return {
    ...{ users: users.size, items: items.size, parts },
    bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
    bytesPerUser: 4 * model.dim,
    bytesPerItem: 4 * model.dim,
  };
}
