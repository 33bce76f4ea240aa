import { LichenError } from '../errors.js';
import { Vocabulary } from '../interactions/vocabulary.js';
import type { TowerWeights } from './new-vectors.js';
import type { FeatureSchema } from './features.js';
import type { TowerSchema } from './layout.js';
import type { UserTowerKind } from './options.js';

type Towers = Pick<TowerWeights, 'schema' | 'unknownUser'>;

/** What model.json says of the towers, plain data. */
export function towersJson({ schema, unknownUser }: Towers): Record<string, unknown> {
  const { userTower, itemFeatures, userFeatures, network } = schema;
  return { userTower, itemFeatures, userFeatures, network, unknownUser: Array.from(unknownUser) };
}

/** Understands what {@link towersJson} gave; undefined if it is something else. */
export function parseTowers(
  json: unknown,
  { users, items }: { readonly users: number; readonly items: number },
  dim: number,
): Towers | undefined {
  if (json === null || typeof json !== 'object') return undefined;
  const fields = json as Readonly<Record<string, unknown>>;
  const { userTower, unknownUser } = fields;
  const itemFeatures = parseFeatures(fields.itemFeatures);
  const userFeatures = parseFeatures(fields.userFeatures);
  if (!isUserTower(userTower) || itemFeatures === undefined || userFeatures === undefined)
    return undefined;
  if (
    !Array.isArray(unknownUser) ||
    unknownUser.length !== dim ||
    !unknownUser.every(Number.isFinite)
  )
    return undefined;
  const network = parseNetwork(fields.network);
  if ((userTower === 'attention') !== (network !== undefined)) return undefined;
  return {
    schema: { userTower, users, items, itemFeatures, userFeatures, ...(network && { network }) },
    unknownUser: Float32Array.from(unknownUser as number[]),
  };
}

function parseNetwork(json: unknown): TowerSchema['network'] {
  const { layers, maxHistory } = (json ?? {}) as Record<string, unknown>;
  const isSound = (value: unknown, most: number): value is number =>
    Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= most;
  return isSound(layers, 16) && isSound(maxHistory, 4096) ? { layers, maxHistory } : undefined;
}

function isUserTower(value: unknown): value is UserTowerKind {
  return value === 'history' || value === 'attention' || value === 'id';
}

function parseFeatures(json: unknown): FeatureSchema[] | undefined {
  if (!Array.isArray(json)) return undefined;
  const features = json.map(parseFeature);
  return features.every((feature) => feature !== undefined) ? features : undefined;
}

function parseFeature(json: unknown): FeatureSchema | undefined {
  if (json === null || typeof json !== 'object') return undefined;
  const { name, type, vocabulary, mean, deviation, buckets } = json as Record<string, unknown>;
  if (typeof name !== 'string') return undefined;
  switch (type) {
    case 'categorical':
      return withVocabulary(name, vocabulary);
    case 'numeric': {
      const isSound =
        typeof mean === 'number' && typeof deviation === 'number' && Number.isFinite(mean);
      return isSound && deviation > 0 ? { name, type, mean, deviation } : undefined;
    }
    case 'text': {
      const isSound = typeof buckets === 'number' && Number.isSafeInteger(buckets) && buckets >= 1;
      return isSound ? { name, type, buckets } : undefined;
    }
    default:
      return undefined;
  }
}

function withVocabulary(name: string, json: unknown): FeatureSchema | undefined {
  try {
    return { name, type: 'categorical', vocabulary: Vocabulary.fromJSON(json) };
  } catch (error) {
    if (error instanceof LichenError) return undefined;
    throw error;
  }
}
