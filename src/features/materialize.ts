import { badArgument } from '../cache/cache-limits.js';
import { throwIfAborted, type LichenError } from '../errors.js';
import type { Clock } from '../cache/cache-limits.js';
import { tableOf, type BatchView } from './definitions.js';
import { RecordLayout } from './record.js';
import type { BatchSource, SourceBatch } from './source.js';
import { columnsOfView, rowError, viewRow } from './source-rows.js';
import type { Checkpoint, OnlineStore, RecordEntry } from './store.js';

/** Options of {@link materialize}. */
export interface MaterializeOptions {
  /** Where rows come from. Default: the view's source. */
  source?: BatchSource;
  /** Leaves rows out that are not of the view's types, and tells of them; else the first such row is an error. */
  skipInvalid?: boolean;
  /** How far in the future a row's time may be, in milliseconds. Default 5 minutes: clocks differ. */
  futureMs?: number;
  /** Forgets where an earlier run stopped, and reads from the beginning. */
  isFresh?: boolean;
  /** Told how many rows are read, and of how many; 0 if that is not known. */
  onProgress?: (done: number, total: number) => void;
  /** Gives up with ERR_LICHEN_ABORTED; the next run goes on from there. */
  signal?: AbortSignal;
  /** Time of day. */
  time?: Clock;
}

/** What {@link materialize} did. */
export interface MaterializeReport {
  /** The name of the view. */
  readonly view: string;
  /** The name of the source. */
  readonly source: string;
  /** Rows read now, and rows that earlier runs had read. */
  readonly rows: number;
  /** Rows that earlier runs had read. */
  readonly resumedAt: number;
  /** Records that are new in the store; the others were older than what it had. */
  readonly written: number;
  /** Rows left out, and what was wrong with the first of them. */
  readonly invalid: number;
  /** What was wrong with the first rows left out, a line each. */
  readonly problems: readonly string[];
  /** Records removed because their time was over. */
  readonly pruned: number;
  /** How long it took. */
  readonly seconds: number;
}

const MOST_PROBLEMS = 10;
const FUTURE_MS = 300_000;

/** What a checkpoint says. */
interface Progress {
  readonly source: string;
  readonly position: string;
  readonly rows: number;
  /** Time of day of the write. */
  readonly at: number;
}

/**
 * Loads a view's rows from their source into a store: what earlier runs have not, in batches, each stored whole together
 * with how far reading has come. Whatever stops it, the next run goes on from there.
 * @throws ERR_LICHEN_FORMAT for a row that is not of the view's types (unless `skipInvalid`), ERR_LICHEN_BUSY if another
 * run is loading the same view, ERR_LICHEN_ABORTED, ERR_LICHEN_IO and errors of the source.
 *
 * @example
 * const { rows, written } = await materialize(profile, store, { skipInvalid: true });
 */
export async function materialize(
  view: BatchView,
  store: OnlineStore,
  options: MaterializeOptions = {},
): Promise<MaterializeReport> {
  const { source = view.source, signal, onProgress, time = Date.now } = options;
  if (source === undefined) {
    throw badArgument(`view ${view.name} has no source`);
  }
  const started = performance.now();
  const table = tableOf(view);
  const found = await store.checkpoint(table);
  let sequence = found?.sequence ?? 0;
  const before = options.isFresh === true ? undefined : progressOf(found, source);
  const maker = new EntryMaker(view, source, options);
  let rows = 0;
  let written = 0;
  const reading = source.read({
    after: before?.position,
    columns: columnsOfView(view),
    time: view.columns.time,
    signal,
  });
  for await (const batch of reading) {
    throwIfAborted(signal, 'materialize');
    const entries = maker.entries(batch, rows + 1);
    rows += batch.rows.length;
    const progress: Progress = {
      source: source.name,
      position: batch.position,
      rows: batch.done,
      at: time(),
    };
    const checkpoint = { name: table, expected: sequence++, text: JSON.stringify(progress) };
    written += await store.write({ table, entries, ttlMs: view.ttlMs, checkpoint });
    onProgress?.(batch.done, batch.total);
  }
  const pruned = view.ttlMs === Infinity ? 0 : await store.prune(table, time() - view.ttlMs);
  return {
    view: view.name,
    source: source.name,
    rows,
    resumedAt: before?.rows ?? 0,
    written,
    invalid: maker.invalid,
    problems: maker.problems,
    pruned,
    seconds: (performance.now() - started) / 1000,
  };
}

/** When a view was last loaded, from what, and how many rows that source has given; undefined if never. */
export async function lastMaterialized(
  view: BatchView,
  store: OnlineStore,
): Promise<{ source: string; rows: number; at: number } | undefined> {
  const found = await store.checkpoint(tableOf(view));
  if (found === undefined) return undefined;
  const { source, rows, at } = JSON.parse(found.text) as Progress;
  return { source, rows, at };
}

function progressOf(found: Checkpoint | undefined, source: BatchSource): Progress | undefined {
  if (found === undefined) return undefined;
  const progress = JSON.parse(found.text) as Progress;
  return progress.source === source.name ? progress : undefined;
}

/** Makes records of rows, and counts those that it cannot make any of. */
class EntryMaker {
  invalid = 0;
  readonly problems: string[] = [];
  private readonly layout: RecordLayout;
  private readonly latest: number;

  constructor(
    private readonly view: BatchView,
    private readonly source: BatchSource,
    private readonly options: MaterializeOptions,
  ) {
    this.layout = new RecordLayout(view.stored);
    const { time = Date.now, futureMs = FUTURE_MS } = options;
    this.latest = time() + futureMs;
  }

  entries({ rows }: SourceBatch, first: number): RecordEntry[] {
    const entries: RecordEntry[] = [];
    rows.forEach((row, at) => {
      const made = viewRow(this.view, row);
      const reason =
        typeof made === 'string'
          ? made
          : made.time > this.latest
            ? `${this.view.columns.time} must not be in the future, got ${made.time}`
            : undefined;
      if (reason !== undefined)
        this.refuse(rowError(this.view, this.source.name, first + at, reason));
      else if (typeof made !== 'string') {
        entries.push({ key: made.key, record: this.layout.encode(made.values, made.time) });
      }
    });
    return entries;
  }

  private refuse(error: LichenError): void {
    if (this.options.skipInvalid !== true) throw error;
    this.invalid++;
    if (this.problems.length < MOST_PROBLEMS) this.problems.push(error.message);
  }
}
