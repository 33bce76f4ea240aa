import { LichenArgumentError, shown } from '../errors.js';
import type { NativeRestrictions } from '../native.js';
import { MAX_ROWS, requireInteger, resolveOversample, toExclude } from './arguments.js';
import { memberPath, requireColumn, type ResolvedSchema } from './attributes.js';
import { layoutOfFilter, resolveFilter } from './filter.js';
import type { SearchBatchOptions, SearchSyncOptions } from './types.js';
import { resolveWhere } from './where.js';

/** The options that narrow a search. */
export const RESTRICTIONS = ['filter', 'where', 'exclude'] as const;
export const GROUPING = ['groupBy', 'groupSize'] as const;

/** Options that narrow a search; `exclude` is one list of keys a query. */
export type RestrictionOptions = Pick<
  SearchBatchOptions,
  (typeof RESTRICTIONS)[number] | (typeof GROUPING)[number] | 'oversample'
>;

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}

/** Options of a search of one query as those of a batch of it alone. */
export function ofOneQuery<O extends Pick<SearchSyncOptions, 'exclude'>>(
  options: O,
): Omit<O, 'exclude'> & Pick<SearchBatchOptions, 'exclude'> {
  return { ...options, exclude: options.exclude === undefined ? undefined : [options.exclude] };
}

/**
 * What narrows a search, as the addon takes it; undefined where nothing does, which is quickest.
 * @throws ERR_LICHEN_ARGUMENT for an option that is not what it should be.
 */
export function resolveRestrictions(
  schema: ResolvedSchema,
  options: RestrictionOptions,
  queries: number,
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
  const { keys, ends } = toExclude(exclude, queries);
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
