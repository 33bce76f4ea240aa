import { LichenArgumentError, shown } from '../errors.js';
import type { NativeRestrictions } from '../native.js';
import { MAX_ROWS, requireInteger, resolveOversample, toExclude } from './arguments.js';
import { memberPath, requireColumn, type ResolvedSchema } from './attributes.js';
import { layoutOfFilter, resolveFilter } from './filter.js';
import type { SearchBatchOptions, SearchSyncOptions } from './types.js';
import { resolveWhere } from './where.js';

const RESTRICTIONS = ['filter', 'where', 'exclude'] as const;
const GROUPING = ['groupBy', 'groupSize'] as const;
const BEAM_OPTIONS = ['k', 'ef', 'recall', 'exact', 'oversample'] as const;
/** The options of each search. */
export const SEARCH_SYNC_OPTIONS = [...BEAM_OPTIONS, ...RESTRICTIONS, ...GROUPING, 'into'] as const;
export const SEARCH_BATCH_SYNC_OPTIONS = SEARCH_SYNC_OPTIONS;
export const SEARCH_OPTIONS = [...SEARCH_SYNC_OPTIONS, 'signal', 'threads'] as const;
export const SEARCH_BATCH_OPTIONS = [...SEARCH_OPTIONS, 'onProgress'] as const;
export const SEARCH_WITHIN_OPTIONS = ['score', 'ef', 'recall', 'exact', ...RESTRICTIONS] as const;

/** Options that narrow a search of one query, or of several. */
type RestrictionOptions = Pick<
  SearchSyncOptions,
  Exclude<(typeof RESTRICTIONS)[number], 'exclude'> | (typeof GROUPING)[number] | 'oversample'
>;

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}

/**
 * What narrows a search, as the addon takes it; undefined where nothing does, which is quickest.
 * @throws ERR_LICHEN_ARGUMENT for an option that is not what it should be.
 */
export function resolveRestrictions(
  schema: ResolvedSchema,
  options: RestrictionOptions & { readonly exclude?: SearchSyncOptions['exclude'] },
): NativeRestrictions | undefined;
export function resolveRestrictions(
  schema: ResolvedSchema,
  options: RestrictionOptions & { readonly exclude?: SearchBatchOptions['exclude'] },
  queries: number,
): NativeRestrictions | undefined;
export function resolveRestrictions(
  schema: ResolvedSchema,
  options: RestrictionOptions & { readonly exclude?: unknown },
  queries?: number,
): NativeRestrictions | undefined {
  const { oversample, filter, where, exclude, groupBy, groupSize } = options;
  if (
    oversample === undefined &&
    filter === undefined &&
    where === undefined &&
    exclude === undefined &&
    groupBy === undefined &&
    groupSize === undefined
  ) {
    return undefined;
  }
  const restrictions: { -readonly [name in keyof NativeRestrictions]: NativeRestrictions[name] } = {
    oversample: resolveOversample(options),
  };
  const bits = resolveFilter(filter);
  if (bits !== null) {
    restrictions.filter = bits;
    restrictions.layout = layoutOfFilter(filter);
  }
  if (where !== undefined) {
    const { key, program, strings } = resolveWhere(schema, where);
    restrictions.where = [key, program, strings];
  }
  const lists = exclude === undefined || queries !== undefined ? exclude : [exclude];
  const { keys, ends } = toExclude(lists, queries ?? 1);
  if (keys !== null && ends !== null) {
    restrictions.exclude = keys;
    restrictions.ends = ends;
  }
  if (groupBy !== undefined) {
    restrictions.groupBy = requireGroups(schema, groupBy);
    restrictions.groupSize =
      groupSize === undefined ? 1 : requireInteger('groupSize', groupSize, 1, MAX_ROWS);
  } else if (groupSize !== undefined) {
    throw bad('groupSize needs groupBy, which says what makes a group');
  }
  return restrictions;
}

function requireGroups(schema: ResolvedSchema, groupBy: unknown): number {
  if (typeof groupBy !== 'string') throw bad(`groupBy must be a string, got ${shown(groupBy)}`);
  const { kind, at } = requireColumn(schema, 'groupBy', groupBy);
  if (kind !== 'tags') return at;
  throw bad(`${memberPath('groupBy', groupBy)} is a set of tags, which makes no groups`);
}
