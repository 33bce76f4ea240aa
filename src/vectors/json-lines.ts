import { LichenFileError, shown } from '../errors.js';
import type { FileOptions } from './bytes.js';
import { forEachLine } from './lines.js';

/** Makes the error of the line at hand. */
export type BadLine = (what: string) => LichenFileError;

/**
 * Calls back with each line of a text file of JSON objects; blank lines are refused as any other that is no object.
 * @throws ERR_LICHEN_FORMAT naming the line, and as reading does.
 */
export async function forEachJsonLine(
  path: string,
  callback: (object: Readonly<Record<string, unknown>>, bad: BadLine) => void,
  options: FileOptions,
): Promise<void> {
  await forEachLine(
    path,
    (bytes, start, end, line) => {
      const bad: BadLine = (what) => badLine(path, line, what);
      callback(parsed(bytes.toString('utf8', start, end), bad), bad);
    },
    options,
  );
}

/** The error of what stands in a line of a file. */
export function badLine(path: string, line: number, what: string): LichenFileError {
  return new LichenFileError('ERR_LICHEN_FORMAT', `${path}, line ${line}: ${what}`);
}

function parsed(line: string, bad: BadLine): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw bad((error as Error).message);
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw bad(`expected an object, got ${shown(value)}`);
  }
  return value as Record<string, unknown>;
}
