import { inspect } from 'node:util';
import { LichenFileError } from '../errors.js';

const SHOWN_CHARACTERS = 40;

/** A value as messages show it: quoted if it is a text, cut short if it is long. Never throws. */
export function shown(value: unknown): string {
  if (typeof value !== 'string') return inspect(value, { depth: 0, breakLength: Infinity });
  const isLong = value.length > SHOWN_CHARACTERS;
  return JSON.stringify(isLong ? `${value.slice(0, SHOWN_CHARACTERS)}…` : value);
}

/** What is wrong with a line; the reader puts the file and the line's number before it. */
export function lineError(text: string): LichenFileError {
  return new LichenFileError('ERR_LICHEN_FORMAT', text);
}
