import { badArgument } from '../cache/cache-limits.js';
import { LichenArgumentError, LichenFileError } from '../errors.js';
import { forEachLine } from '../vectors/lines.js';
import { byteChunks, type FileOptions } from '../vectors/bytes.js';

/** What was asked for, in order. */
export interface Trace {
  /** The key of each request, numbered from 0 by first appearance. */
  readonly keys: Uint32Array;
  /** When each came, in milliseconds, never going back. */
  readonly times: Float64Array;
  /** How many different keys there are. */
  readonly keyCount: number;
}

/** Options of {@link readTrace}. */
export interface ReadTraceOptions extends FileOptions {
  /** Requests a second, for files without times. Default 100. */
  readonly rate?: number | undefined;
}

const DEFAULT_RATE = 100;

/**
 * A trace of keys of any kind.
 * @param times milliseconds, one a key, never going back; or requests a second.
 * @throws ERR_LICHEN_EMPTY, ERR_LICHEN_DIMENSION for another number of times, ERR_LICHEN_ARGUMENT for times that go back.
 *
 * @example
 * makeTrace(['ann', 'bob', 'ann'], [0, 1000, 2000]).keyCount; // 2
 */
export function makeTrace(
  keys: Iterable<string | number>,
  times: ArrayLike<number> | number = DEFAULT_RATE,
): Trace {
  const numbers = new Map<string | number, number>();
  const list: number[] = [];
  for (const key of keys) {
    const number = numbers.get(key) ?? numbers.size;
    if (number === numbers.size) numbers.set(key, number);
    list.push(number);
  }
  if (list.length === 0) throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'keys: none');
  return {
    keys: Uint32Array.from(list),
    times:
      typeof times === 'number' ? evenTimes(list.length, times) : requireTimes(times, list.length),
    keyCount: numbers.size,
  };
}

function evenTimes(length: number, rate: number): Float64Array {
  if (!(rate > 0 && rate < Infinity)) {
    throw badArgument(`rate must be a number of requests a second above 0, got ${String(rate)}`);
  }
  return Float64Array.from({ length }, (_, at) => (at * 1000) / rate);
}

function requireTimes(times: ArrayLike<number>, length: number): Float64Array {
  if (times.length !== length) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `times must have one value a key, ${length}, got ${times.length}`,
    );
  }
  const list = Float64Array.from(times);
  for (let at = 0; at < length; at++) {
    if (!Number.isFinite(list[at]) || (at > 0 && list[at]! < list[at - 1]!)) {
      throw badArgument(`times[${at}] is ${list[at]}, expected milliseconds that never go back`);
    }
  }
  return list;
}

/**
 * Reads a trace: a line a request, `key` or `key time` with the time in seconds, separated by blanks, tabs or commas (.csv
 * .tsv .txt, each also with .gz); or little-endian 32-bit integers (.i32, also with .gz). Lines that are empty or begin
 * with `#` are passed over; requests come in the order of their times.
 * @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_ABORTED; ERR_LICHEN_FORMAT for a time that is no number, and where
 * only some lines have one; ERR_LICHEN_EMPTY.
 *
 * @example
 * const trace = await readTrace('requests.csv.gz');
 */
export async function readTrace(path: string, options: ReadTraceOptions = {}): Promise<Trace> {
  const { rate = DEFAULT_RATE } = options;
  if (/\.i32(\.gz)?$/i.test(path)) {
    const chunks: Buffer[] = [];
    for await (const chunk of byteChunks(path, options)) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    if (bytes.length % 4 !== 0) throw corrupt(path, `${bytes.length} bytes are no 32-bit integers`);
    const keys = new Int32Array(new Uint8Array(bytes).buffer);
    return requireSome(path, keys, rate);
  }
  const keys: string[] = [];
  const times: number[] = [];
  const take = (bytes: Buffer, start: number, end: number, number: number): void => {
    const line = bytes.toString('utf8', start, end).trim();
    if (line === '' || line.startsWith('#')) return;
    const [key, time] = line.split(/[\s,;]+/);
    keys.push(key!);
    if (time === undefined) return;
    const milliseconds = time === '' ? NaN : Number(time) * 1000;
    if (Number.isFinite(milliseconds)) {
      times.push(milliseconds);
    } else if (keys.length === 1 && /[a-z]/i.test(time)) {
      // The first line may name the columns.
      keys.pop();
    } else {
      throw corrupt(path, `line ${number}: the time is ${JSON.stringify(time)}, expected seconds`);
    }
  };
  await forEachLine(path, take, options);
  if (times.length === 0) return requireSome(path, keys, rate);
  if (times.length !== keys.length) {
    throw corrupt(
      path,
      `${times.length} of ${keys.length} lines have a time, expected all or none`,
    );
  }
  const order = Uint32Array.from(times, (_, at) => at).sort((a, b) => times[a]! - times[b]!);
  const inOrder = Array.from(order, (at) => keys[at]!);
  return makeTrace(
    inOrder,
    Float64Array.from(order, (at) => times[at]!),
  );
}

function requireSome(path: string, keys: ArrayLike<string | number>, rate: number): Trace {
  if (keys.length === 0) {
    throw new LichenFileError('ERR_LICHEN_EMPTY', `${path}: holds no requests`);
  }
  return makeTrace(Array.from<string | number>(keys), rate);
}

function corrupt(path: string, reason: string): LichenFileError {
  return new LichenFileError('ERR_LICHEN_FORMAT', `${path}: ${reason}`);
}
