import type { Clock } from '../cache/cache-limits.js';
import { tableOf, type FeatureTier, type FeatureView } from './definitions.js';
import { lastMaterialized } from './materialize.js';
import { timeOf } from './record.js';
import type { OnlineStore } from './store.js';
import { streamProgress, type IngestReport } from './stream.js';

/** What a store has of a view, and how old it is. */
export interface ViewReport {
  /** Its name. */
  readonly view: string;
  /** Its version. */
  readonly version: number;
  /** Its kind. */
  readonly tier: FeatureTier;
  /** Records in the store. */
  readonly entries: number;
  /** Bytes of the records. */
  readonly bytes: number;
  /** Milliseconds since the values hold; null without values. */
  readonly ageMs: {
    /** Of the newest value. */
    readonly least: number;
    /** Median. */
    readonly median: number;
    /** Of the oldest value. */
    readonly most: number;
  } | null;
  /** Records too old to be served. */
  readonly expired: number;
  /** When the view was written last, in milliseconds since 1970. */
  readonly writtenAt: number | null;
  /** Of a batch view: from where, and how many rows that source has given. */
  readonly source: {
    /** Its name. */
    readonly name: string;
    /** Rows read so far. */
    readonly rows: number;
  } | null;
  /** Of a stream view: how far reading has come, the time of the latest event, what became of events. */
  readonly stream: {
    /** Where reading goes on. */
    readonly position: string | null;
    /** The time of the latest event, in milliseconds since 1970. */
    readonly latest: number | null;
    /** What became of events, all together. */
    readonly totals: IngestReport;
  } | null;
}

/**
 * What a store has of some views. Reads every record, so it takes as long as that.
 * @throws ERR_LICHEN_IO.
 *
 * @example
 * for (const { view, entries, expired } of await storeStatistics([profile, recent], store)) {
 *   console.log(view, entries, expired);
 * }
 */
export async function storeStatistics(
  views: readonly FeatureView[],
  store: OnlineStore,
  { time = Date.now }: { time?: Clock } = {},
): Promise<ViewReport[]> {
  const reports: ViewReport[] = [];
  for (const view of views) {
    if (view.tier === 'on demand') continue;
    const { name, version, tier, ttlMs } = view;
    const now = time();
    const ages: number[] = [];
    let bytes = 0;
    await store.scan(tableOf(view), (_, record) => {
      ages.push(now - timeOf(record));
      bytes += record.length;
    });
    ages.sort((a, b) => a - b);
    const { length } = ages;
    const ageMs =
      length === 0
        ? null
        : { least: ages[0]!, median: ages[length >> 1]!, most: ages[length - 1]! };
    const expired = ages.filter((age) => age > ttlMs).length;
    const facts = { view: name, version, tier, entries: length, bytes, ageMs, expired };
    if (view.tier === 'batch') {
      const last = await lastMaterialized(view, store);
      const source = last === undefined ? null : { name: last.source, rows: last.rows };
      reports.push({ ...facts, writtenAt: last?.at ?? null, source, stream: null });
    } else {
      const found = await store.checkpoint(tableOf(view));
      const progress = found && streamProgress(found.text);
      const stream = progress
        ? {
            position: progress.position ?? null,
            latest: Number.isFinite(progress.latest) ? progress.latest : null,
            totals: progress.totals,
          }
        : null;
      reports.push({ ...facts, writtenAt: progress?.at ?? null, source: null, stream });
    }
  }
  return reports;
}
