import { LichenFileError } from '../errors.js';

/** What is wrong with a line; the reader puts the file and the line's number before it. */
export function lineError(text: string): LichenFileError {
  return new LichenFileError('ERR_LICHEN_FORMAT', text);
}
