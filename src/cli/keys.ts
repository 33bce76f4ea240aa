import { LichenFileError } from '../errors.js';
import { canonicalInteger } from '../interactions/vocabulary.js';
import { forEachLine } from '../vectors/lines.js';

/**
 * Keys of a text file, one a line: integers if all lines are canonical non-negative ones, else strings.
 * @throws ERR_LICHEN_DIMENSION unless there are `count`, ERR_LICHEN_FORMAT for an empty line.
 */
export async function readKeys(
  path: string,
  count: number,
  signal?: AbortSignal,
): Promise<Float64Array | string[]> {
  const keys: string[] = [];
  await forEachLine(
    path,
    (bytes, start, end, line) => {
      if (start === end) {
        throw new LichenFileError('ERR_LICHEN_FORMAT', `${path}, line ${line}: a key is empty`);
      }
      keys.push(bytes.toString('utf8', start, end));
    },
    { signal },
  );
  if (keys.length !== count) {
    throw new LichenFileError(
      'ERR_LICHEN_DIMENSION',
      `${path} holds ${keys.length} keys, expected one a vector, ${count}`,
    );
  }
  const integers = Float64Array.from(keys, canonicalInteger);
  return integers.includes(-1) ? keys : integers;
}
