import { LichenFileError } from '../errors.js';
import { byteChunks, writeChunks, type FileOptions } from './bytes.js';

/** Receives one line: `bytes[start … end - 1]` (valid during the call only) and its number, from 1. */
export type LineConsumer = (bytes: Buffer, start: number, end: number, line: number) => void;

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
const MAX_LINE_BYTES = 1 << 28;

/**
 * Calls `consume` with each line of a text file (decompressed if its name ends in .gz), without making strings.
 * Line ends (\n or \r\n) and a byte order mark are left out; an empty last line is no line.
 * @throws as `byteChunks`, what `consume` throws, and ERR_LICHEN_FORMAT for a line of more than 256 MiB.
 */
export async function forEachLine(
  path: string,
  consume: LineConsumer,
  options: FileOptions = {},
): Promise<void> {
  let line = 0;
  /** The pieces of a line that began in earlier chunks. */
  let begun: Buffer[] = [];
  let begunBytes = 0;
  const finish = (bytes: Buffer, from: number, to: number): void => {
    line++;
    const start = line === 1 && startsWithMark(bytes, from, to) ? from + 3 : from;
    const end = to > start && bytes[to - 1] === CARRIAGE_RETURN ? to - 1 : to;
    consume(bytes, start, end, line);
  };
  for await (const chunk of byteChunks(path, options)) {
    let start = 0;
    for (;;) {
      const newline = chunk.indexOf(NEWLINE, start);
      if (newline < 0) break;
      if (begun.length > 0) {
        const whole = Buffer.concat([...begun, chunk.subarray(start, newline)]);
        begun = [];
        begunBytes = 0;
        finish(whole, 0, whole.length);
      } else {
        finish(chunk, start, newline);
      }
      start = newline + 1;
    }
    if (start < chunk.length) {
      begun.push(chunk.subarray(start));
      begunBytes += chunk.length - start;
      if (begunBytes > MAX_LINE_BYTES) {
        throw new LichenFileError(
          'ERR_LICHEN_FORMAT',
          `${path}, line ${line + 1}: longer than ${MAX_LINE_BYTES} bytes, this is no text file`,
        );
      }
    }
  }
  if (begun.length > 0) {
    const whole = Buffer.concat(begun);
    finish(whole, 0, whole.length);
  }
}

function startsWithMark(bytes: Buffer, from: number, to: number): boolean {
  return to - from >= 3 && bytes.readUIntBE(from, 3) === 0xefbbbf;
}

/** Writes lines of text, atomically, compressed if the name ends in .gz; errors as `writeChunks`. */
export async function writeLines(
  path: string,
  lines: readonly string[],
  options: FileOptions = {},
): Promise<void> {
  await writeChunks(path, () => [Buffer.from(lines.map((line) => `${line}\n`).join(''))], options);
}
