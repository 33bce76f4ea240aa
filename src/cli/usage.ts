import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { LichenError, LichenFileError } from '../errors.js';

// Parsers of option values. Commander turns what they throw into a usage error, exit status 2.

/** Parses a whole number of a range. */
export function integer(low: number, high = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    if (value >= low && value <= high) return value;
    const range = high === Number.MAX_SAFE_INTEGER ? `of at least ${low}` : `${low} to ${high}`;
    throw new InvalidArgumentError(`Expected a whole number ${range}.`);
  };
}

/** Parses a finite number above 0. */
export function positiveNumber(text: string): number {
  const value = finiteNumber(text);
  if (value > 0) return value;
  throw new InvalidArgumentError('Expected a number above 0.');
}

/** Parses a finite number of at least 0. */
export function nonNegativeNumber(text: string): number {
  const value = finiteNumber(text);
  if (value >= 0) return value;
  throw new InvalidArgumentError('Expected a number of at least 0.');
}

function finiteNumber(text: string): number {
  const value = text.trim() === '' ? NaN : Number(text);
  return Number.isFinite(value) ? value : NaN;
}

/** Parses whole numbers of at least 1, separated by commas. */
export function integers(text: string): number[] {
  return text.split(',').map((part) => integer(1)(part.trim()));
}

/** Parses one of some words. */
export function oneOf<T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`Expected one of ${words.join(', ')}.`);
  };
}

/** Parses a number between 0 and 1. */
export function share(text: string): number {
  const value = finiteNumber(text);
  if (value > 0 && value < 1) return value;
  throw new InvalidArgumentError('Expected a number between 0 and 1.');
}

/** Parses a JSON object; what is in it is checked where it is used. */
export function json<T extends object>(text: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`Expected JSON: ${(error as Error).message}.`);
  }
  if (value !== null && typeof value === 'object') return value as T;
  throw new InvalidArgumentError('Expected a JSON object.');
}

/** Parses some of the words, separated by commas. */
export function listOf<T extends string>(words: readonly T[]): (text: string) => T[] {
  return (text) => [...new Set(text.split(',').map((part) => oneOf(words)(part.trim())))];
}

/** What a parser of the library gives; what it refuses is wrong usage. */
export function argument<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof LichenError) throw new InvalidArgumentError(`${error.message}.`);
    throw error;
  }
}

/** Parses numbers above 0, separated by commas. */
export function numbers(text: string): number[] {
  return text.split(',').map((part) => positiveNumber(part));
}

/** Parses whole numbers of at least 0, separated by commas; `all` is Infinity. */
export function counts(text: string): number[] {
  return text
    .split(',')
    .map((part) => (part.trim() === 'all' ? Infinity : integer(0)(part.trim())));
}

/** Parses a percentile of latencies. */
export function percentile(text: string): number {
  const value = finiteNumber(text);
  if (value >= 1 && value <= 99.9) return value;
  throw new InvalidArgumentError('Expected a number from 1 to 99.9.');
}

/**
 * Parses the path of something that is written at the end of long work: that there is no folder for it is said before.
 * @throws ERR_LICHEN_NOT_FOUND
 */
export function outputPath(text: string): string {
  const folder = dirname(text);
  if (existsSync(folder)) return text;
  throw new LichenFileError(
    'ERR_LICHEN_NOT_FOUND',
    `cannot write ${text}: no such file or folder: ${folder}`,
  );
}

/** What stands at the end of a command's help. */
export function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}
