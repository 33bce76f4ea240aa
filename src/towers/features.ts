import { LichenArgumentError, shown } from '../errors.js';
import { Vocabulary } from '../interactions/vocabulary.js';
import { BagsBuilder, type Bags } from './bags.js';

/** The values of one feature, one an item (or a user), in the order of the vocabulary. */
export type FeatureColumn =
  /** One value or several of a closed set, such as a genre or tags; null or undefined for none. */
  | {
      /** Tells the kinds apart. */
      readonly type: 'categorical';
      /** One an item. */
      readonly values: readonly CategoricalValue[];
    }
  /** A number; NaN for none. Enters standardized: less the mean, by the deviation. */
  | {
      /** Tells the kinds apart. */
      readonly type: 'numeric';
      /** One an item. */
      readonly values: ArrayLike<number>;
    }
  /**
   * A text, taken apart into lower-case words and pairs of neighbours, each hashed into one of `buckets` rows (Weinberger
   * et al., ICML 2009). Default 16384.
   */
  | {
      /** Tells the kinds apart. */
      readonly type: 'text';
      /** One an item. */
      readonly values: readonly (string | null | undefined)[];
      /** Rows that words are hashed into. */
      readonly buckets?: number;
    };

type CategoricalValue = string | number | readonly (string | number)[] | null | undefined;

/** Features by name. */
export type FeatureColumns = Readonly<Record<string, FeatureColumn>>;

/** What a model remembers of a feature; its rows in the table follow those of the feature before. */
export type FeatureSchema =
  | { readonly name: string; readonly type: 'categorical'; readonly vocabulary: Vocabulary }
  | {
      readonly name: string;
      readonly type: 'numeric';
      readonly mean: number;
      readonly deviation: number;
    }
  | { readonly name: string; readonly type: 'text'; readonly buckets: number };

/** Values of one new item or user, by the names of the features; a feature that is missing has none. */
export type FeatureValues = Readonly<Record<string, CategoricalValue>>;

const TEXT_BUCKETS = 16_384;
const MAX_BUCKETS = 1 << 24;
/** Standardized numbers are cut off at so many deviations. */
const MOST_DEVIATIONS = 4;

/**
 * What is to be remembered of features.
 * @param count how many values each must have.
 * @throws ERR_LICHEN_ARGUMENT for a feature of no known type or a value of another one, ERR_LICHEN_DIMENSION for a wrong
 * number of values, ERR_LICHEN_NOT_FINITE for an infinite number.
 */
export function schemaOf(columns: FeatureColumns, what: string, count: number): FeatureSchema[] {
  return Object.entries(columns).map(([name, column]) => {
    const where = `${what}.${name}`;
    const values = (column as { values?: { length?: unknown } } | null)?.values;
    if (typeof values !== 'object' || values === null || values.length !== count) {
      const got = shown(values === null || values === undefined ? values : values.length);
      throw new LichenArgumentError(
        'ERR_LICHEN_DIMENSION',
        `${where}.values must hold ${count} values, got ${got}`,
      );
    }
    switch (column.type) {
      case 'categorical':
        return { name, type: 'categorical', vocabulary: vocabularyOf(column.values, where) };
      case 'numeric':
        return { name, type: 'numeric', ...momentsOf(column.values, where) };
      case 'text':
        return { name, type: 'text', buckets: bucketsOf(column.buckets, where) };
      default:
        throw badFeature(
          `${where}.type`,
          'categorical, numeric or text',
          (column as { type?: unknown }).type,
        );
    }
  });
}

/** Rows of the table that a feature takes. */
export function rowsOf(feature: FeatureSchema): number {
  switch (feature.type) {
    case 'categorical':
      return feature.vocabulary.size;
    case 'numeric':
      return 1;
    case 'text':
      return feature.buckets;
  }
}

/** Rows of the table that features take together. */
export function totalRows(features: readonly FeatureSchema[]): number {
  return features.reduce((sum, feature) => sum + rowsOf(feature), 0);
}

/**
 * Adds the rows of one item's (or user's) features to a bag. Values that the schema does not know add nothing.
 * @param first the table row where the features begin.
 * @throws ERR_LICHEN_ARGUMENT for a value of another type than its feature, and for a name that is no feature.
 */
export function addFeatures(
  builder: BagsBuilder,
  features: readonly FeatureSchema[],
  first: number,
  values: FeatureValues,
  what: string,
): void {
  for (const name of Object.keys(values)) {
    if (features.some((feature) => feature.name === name)) continue;
    const names = features.map((feature) => feature.name).join(', ') || 'none';
    throw badFeature(what, `an object of features (${names})`, name);
  }
  let row = first;
  for (const feature of features) {
    addFeature(builder, feature, row, values[feature.name], `${what}.${feature.name}`);
    row += rowsOf(feature);
  }
}

/** A bag for each of `count` items (or users) of columns. */
export function featureBags(
  columns: FeatureColumns,
  features: readonly FeatureSchema[],
  first: number,
  count: number,
  what: string,
): Bags {
  const builder = new BagsBuilder();
  for (let at = 0; at < count; at++) {
    let row = first;
    for (const feature of features) {
      const value = columns[feature.name]!.values[at];
      addFeature(builder, feature, row, value, `${what}.${feature.name}.values[${at}]`);
      row += rowsOf(feature);
    }
    builder.close();
  }
  return builder.finish();
}

function addFeature(
  builder: BagsBuilder,
  feature: FeatureSchema,
  row: number,
  value: CategoricalValue,
  what: string,
): void {
  if (value === null || value === undefined) return;
  switch (feature.type) {
    case 'categorical': {
      const indices = categoriesOf(value, what)
        .map((category) => feature.vocabulary.indexOf(category))
        .filter((index) => index >= 0);
      // Of length about 1, however many there are.
      for (const index of indices) builder.add(row + index, 1 / Math.sqrt(indices.length));
      return;
    }
    case 'numeric': {
      if (typeof value !== 'number') throw badFeature(what, 'a number', value);
      if (Number.isNaN(value)) return;
      const standard = (value - feature.mean) / feature.deviation;
      builder.add(row, Math.max(-MOST_DEVIATIONS, Math.min(MOST_DEVIATIONS, standard)));
      return;
    }
    case 'text': {
      if (typeof value !== 'string') throw badFeature(what, 'a text', value);
      const buckets = textBuckets(value, feature.buckets);
      for (const bucket of buckets) builder.add(row + bucket, 1 / Math.sqrt(buckets.length));
    }
  }
}

function categoriesOf(value: unknown, what: string): string[] {
  return (Array.isArray(value) ? (value as unknown[]) : [value]).map((category) => {
    const isName = typeof category === 'string' && category !== '';
    if (isName || (typeof category === 'number' && Number.isFinite(category)))
      return String(category);
    throw badFeature(what, 'a number, a text that is not empty, or a list of such', category);
  });
}

function vocabularyOf(values: readonly CategoricalValue[], what: string): Vocabulary {
  const seen = new Set<string>();
  values.forEach((value, at) => {
    if (value === null || value === undefined) return;
    for (const category of categoriesOf(value, `${what}.values[${at}]`)) seen.add(category);
  });
  return Vocabulary.from(seen);
}

function momentsOf(values: ArrayLike<number>, what: string): { mean: number; deviation: number } {
  let count = 0;
  let mean = 0;
  let squares = 0;
  for (let at = 0; at < values.length; at++) {
    const value: unknown = values[at];
    if (typeof value !== 'number') throw badFeature(`${what}.values[${at}]`, 'a number', value);
    if (Number.isNaN(value)) continue;
    if (!Number.isFinite(value)) {
      throw new LichenArgumentError(
        'ERR_LICHEN_NOT_FINITE',
        `${what}.values[${at}] is ${value}, expected a finite value`,
      );
    }
    // Welford, Technometrics 1962.
    const from = value - mean;
    mean += from / ++count;
    squares += from * (value - mean);
  }
  const deviation = Math.sqrt(squares / Math.max(1, count));
  return { mean, deviation: deviation > 0 && Number.isFinite(deviation) ? deviation : 1 };
}

function bucketsOf(buckets: unknown, what: string): number {
  if (buckets === undefined) return TEXT_BUCKETS;
  if (
    Number.isSafeInteger(buckets) &&
    (buckets as number) >= 1 &&
    (buckets as number) <= MAX_BUCKETS
  )
    return buckets as number;
  throw badFeature(`${what}.buckets`, `a whole number in 1..${MAX_BUCKETS}`, buckets);
}

/** The buckets of a text's words and of its pairs of neighbouring words, each once. */
function textBuckets(text: string, buckets: number): number[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const pairs = words.slice(1).map((word, at) => `${words[at]!} ${word}`);
  return [...new Set([...words, ...pairs].map((gram) => hash(gram) % buckets))];
}

/** FNV-1a of 32 bits over the UTF-16 code units, and a last mixing. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    state = Math.imul(state ^ text.charCodeAt(at), 0x01000193);
  }
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  return (state ^ (state >>> 13)) >>> 0;
}

function badFeature(what: string, expected: string, got: unknown): LichenArgumentError {
  return new LichenArgumentError(
    'ERR_LICHEN_ARGUMENT',
    `${what} must be ${expected}, got ${shown(got)}`,
  );
}
