import { LichenArgumentError, LichenFileError } from '../errors.js';
import type { FileOptions } from '../vectors/bytes.js';
import { forEachLine, type LineConsumer } from '../vectors/lines.js';
import { InteractionsBuilder, type Interactions, type VocabularyOptions } from './interactions.js';
import { RowParser } from './rows.js';

/** `adjacency`: lines `user item item …`; `rows`: lines `user item [rating] [timestamp]`. */
export type InteractionsFormat = 'adjacency' | 'rows';

/** Options of {@link readInteractions}. */
export interface ReadInteractionsOptions extends FileOptions, VocabularyOptions {
  /** How lines are read; by default rows for .csv and .tsv, adjacency for any other name. */
  format?: InteractionsFormat | undefined;
}

/**
 * Reads interactions. Adjacency lines are separated by spaces or tabs, and a user may stand on several; rows by tabs,
 * commas (fields may be "quoted") or spaces, whichever the first line has, and may begin with a line of column names.
 * The name may end in .gz; blank lines are skipped. With given vocabularies, users outside are skipped and items
 * outside counted (see `Interactions.unknownItems`).
 * @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_ABORTED; ERR_LICHEN_FORMAT naming the line;
 * ERR_LICHEN_EMPTY when there is no pair, or none of a known user.
 */
export async function readInteractions(
  path: string,
  options: ReadInteractionsOptions = {},
): Promise<Interactions> {
  const builder = new InteractionsBuilder(options);
  const format = options.format ?? formatOf(path);
  await forEachLine(path, lineConsumer(format, path, builder), options);
  const interactions = builder.finish();
  const { pairs, unknownUserPairs } = interactions.report;
  if (pairs === unknownUserPairs) {
    const reason =
      pairs === 0 ? 'holds no interactions' : 'holds interactions of unknown users only';
    throw new LichenFileError('ERR_LICHEN_EMPTY', `${path} ${reason}`);
  }
  return interactions;
}

function formatOf(path: string): InteractionsFormat {
  return /\.[ct]sv(?:\.gz)?$/i.test(path) ? 'rows' : 'adjacency';
}

function lineConsumer(
  format: InteractionsFormat,
  path: string,
  builder: InteractionsBuilder,
): LineConsumer {
  switch (format) {
    case 'rows': {
      const rows = new RowParser(path, builder);
      return (bytes, start, end, line) => rows.add(bytes, start, end, line);
    }
    case 'adjacency':
      return (bytes, start, end, line) => addAdjacency(path, builder, bytes, start, end, line);
    default:
      throw new LichenArgumentError(
        'ERR_LICHEN_ARGUMENT',
        `format must be adjacency or rows, got ${JSON.stringify(format)}`,
      );
  }
}

const SPACE = 32;

/** Adds the pairs of one `user item item …` line; a user alone is a user without items. */
function addAdjacency(
  path: string,
  builder: InteractionsBuilder,
  bytes: Buffer,
  start: number,
  end: number,
  line: number,
): void {
  let user = -1;
  let at = start;
  while (at < end) {
    // Control characters up to the space separate; a zero byte is a sign of a binary file.
    while (at < end && bytes[at]! <= SPACE) {
      if (bytes[at] === 0) {
        throw new LichenFileError(
          'ERR_LICHEN_FORMAT',
          `${path}, line ${line}: expected text (user item item …), got a zero byte`,
        );
      }
      at++;
    }
    const from = at;
    while (at < end && bytes[at]! > SPACE) at++;
    if (from === at) break;
    if (user < 0) user = builder.users.ofBytes(bytes, from, at);
    else builder.add(user, builder.items.ofBytes(bytes, from, at));
  }
}
