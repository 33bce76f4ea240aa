import { LichenArgumentError, LichenError, LichenFileError, shown } from '../errors.js';
import type { FileOptions } from '../vectors/bytes.js';
import { forEachLine, type LineConsumer } from '../vectors/lines.js';
import { InteractionsBuilder, type Interactions, type VocabularyOptions } from './interactions.js';
import { lineError } from './messages.js';
import { RowParser } from './rows.js';

/** `adjacency`: lines `user item item …`; `rows`: lines `user item [rating] [timestamp]`. */
export type InteractionsFormat = 'adjacency' | 'rows';

/** Options of {@link readInteractions}. */
export interface ReadInteractionsOptions extends FileOptions, VocabularyOptions {
  /** How lines are read; by default rows for .csv and .tsv, adjacency for any other name. */
  format?: InteractionsFormat | undefined;
}

/**
 * Reads interactions from UTF-8 text. Adjacency lines are separated by spaces or tabs, and a user may stand on several;
 * rows by tabs, commas or spaces, whichever the first line has. Fields of rows may be "quoted" (without line breaks), and
 * the first row may hold column names, which tell the columns then, in any order. The name may end in .gz; blank lines
 * are skipped. With given vocabularies, users outside are skipped and items outside counted (see
 * `Interactions.unknownItems`).
 * @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_ABORTED; ERR_LICHEN_FORMAT naming the line;
 * ERR_LICHEN_EMPTY when there is no pair, or none of a known user; ERR_LICHEN_UNSUPPORTED for more than 2^24 distinct
 * users or items, ERR_LICHEN_MEMORY for more than fit; ERR_LICHEN_ARGUMENT.
 *
 * @example
 * const train = await readInteractions('train.txt.gz');
 * const test = await readInteractions('test.txt.gz', { users: train.users, items: train.items });
 */
export async function readInteractions(
  path: string,
  options: ReadInteractionsOptions = {},
): Promise<Interactions> {
  if (typeof path !== 'string' || path === '') {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `path must be the name of a file, got ${shown(path)}`,
    );
  }
  const builder = new InteractionsBuilder(options);
  const format = options.format ?? formatOf(path);
  const consume = lineConsumer(format, builder);
  await forEachLine(
    path,
    (bytes, start, end, line) => {
      try {
        consume(bytes, start, end, line);
      } catch (error) {
        throw located(error, path, line);
      }
    },
    options,
  );
  const interactions = builder.finish();
  const { pairs, unknownUserPairs } = interactions.report;
  if (pairs === 0) {
    const other = format === 'adjacency' ? 'rows' : 'adjacency';
    throw new LichenFileError(
      'ERR_LICHEN_EMPTY',
      `${path} holds no interactions (read with format ${format}; the other one is ${other})`,
    );
  }
  if (pairs === unknownUserPairs) {
    throw new LichenFileError(
      'ERR_LICHEN_EMPTY',
      `${path} holds interactions of unknown users only`,
    );
  }
  return interactions;
}

/** An error of ours with the place where it happened. */
function located(error: unknown, path: string, line: number): unknown {
  if (!(error instanceof LichenError)) return error;
  return new LichenFileError(error.code, `${path}, line ${line}: ${error.message}`, {
    cause: error,
  });
}

function formatOf(path: string): InteractionsFormat {
  return /\.[ct]sv(?:\.gz)?$/i.test(path) ? 'rows' : 'adjacency';
}

function lineConsumer(format: InteractionsFormat, builder: InteractionsBuilder): LineConsumer {
  switch (format) {
    case 'rows': {
      const rows = new RowParser(builder);
      return (bytes, start, end) => rows.add(bytes, start, end);
    }
    case 'adjacency':
      return (bytes, start, end) => addAdjacency(builder, bytes, start, end);
    default:
      throw new LichenArgumentError(
        'ERR_LICHEN_ARGUMENT',
        `format must be adjacency or rows, got ${shown(format)}`,
      );
  }
}

const SPACE = 32;

/** Adds the pairs of one `user item item …` line; a user alone is a user without items. */
function addAdjacency(
  builder: InteractionsBuilder,
  bytes: Buffer,
  start: number,
  end: number,
): void {
  const { users, items } = builder;
  let user = -1;
  let at = start;
  while (at < end) {
    // Control characters up to the space separate; a zero byte is a sign of a binary file.
    while (at < end && bytes[at]! <= SPACE) {
      if (bytes[at] === 0) throw lineError('expected text (user item item …), got a zero byte');
      at++;
    }
    const from = at;
    while (at < end && bytes[at]! > SPACE) at++;
    if (from === at) break;
    if (user < 0) user = users.ofBytes(bytes, from, at);
    else builder.add(user, items.ofBytes(bytes, from, at));
  }
}
