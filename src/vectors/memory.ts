import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import { LichenError } from '../errors.js';
import { native } from '../native.js';

/** Requests below this are not worth a question to the operating system. */
const SMALL_BYTES = 1 << 26;

/**
 * What `make` gives, which needs `bytes` of memory. Asking first matters: a system that lends more memory than it
 * has lets the allocation pass, and ends the process when the pages are filled.
 * @throws ERR_LICHEN_MEMORY when the machine (or its container) has not that much, or the allocation fails.
 */
export function withinMemory<A>(bytes: number, make: () => A): A {
  if (bytes >= SMALL_BYTES && process.memoryUsage.rss() + bytes > memoryBytes()) {
    throw outOfMemory(bytes);
  }
  try {
    return make();
  } catch (error) {
    if (error instanceof RangeError) throw outOfMemory(bytes, error);
    throw error;
  }
}

/** The memory that a set of ids may take of the JavaScript heap, which must hold two such sets and what they become. */
export function idBudgetBytes(): number {
  return getHeapStatistics().heap_size_limit / 4;
}

/** The memory that this process may have: the machine's, or what its container allows. */
export function memoryBytes(): number {
  const { memoryBytes: limit } = native().limits();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

function outOfMemory(bytes: number, cause?: RangeError): LichenError {
  const mebibytes = Math.ceil(bytes / 2 ** 20);
  return new LichenError('ERR_LICHEN_MEMORY', `no memory for ${mebibytes} MiB more`, { cause });
}
