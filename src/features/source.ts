/** Rows of a source as they come: a value a column, of whatever type the source has. */
export type SourceRow = Readonly<Record<string, unknown>>;

/** Some rows, and how far reading has come with them. */
export interface SourceBatch {
  /** Rows, in the order of the source. */
  readonly rows: readonly SourceRow[];
  /** Reading after this goes on behind these rows. */
  readonly position: string;
  /** Rows read so far and all rows, for progress; the latter 0 if it is not known. */
  readonly done: number;
  /** All rows; 0 if that is not known. */
  readonly total: number;
}

/** Options of {@link BatchSource.read}. */
export interface ReadSourceOptions {
  /** Where an earlier reading stopped; undefined: from the beginning. */
  readonly after: string | undefined;
  /** Columns that are wanted. */
  readonly columns: readonly string[];
  /** The column of times, which a source may order by. */
  readonly time: string;
  /** Gives up with ERR_LICHEN_ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

/** Where rows come from that are computed ahead. */
export interface BatchSource {
  /** What it is called in messages. */
  readonly name: string;
  /**
   * Reads rows in the same order every time.
   * @throws ERR_LICHEN_FORMAT, ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_ARGUMENT for a column that is not there.
   */
  read(options: ReadSourceOptions): AsyncIterable<SourceBatch>;
}
