/**
 * Every error that lichen raises on purpose is a {@link LichenError} with one of these codes. A code, once
 * published, keeps its meaning; messages may change.
 */
export type LichenErrorCode =
  /** An argument has the wrong type, is out of range or contradicts another one. */
  | 'ERR_LICHEN_ARGUMENT'
  /** A vector, matrix or file has another dimension than what it is used with. */
  | 'ERR_LICHEN_DIMENSION'
  /** A value is NaN or infinite. */
  | 'ERR_LICHEN_NOT_FINITE'
  /** A key is there already, or stands twice in one call. */
  | 'ERR_LICHEN_DUPLICATE_KEY'
  /** A key is not in the index, a user not in the model. */
  | 'ERR_LICHEN_UNKNOWN_KEY'
  /** A set that must hold something is empty. */
  | 'ERR_LICHEN_EMPTY'
  /** The object was closed. */
  | 'ERR_LICHEN_CLOSED'
  /** The operation was aborted by its AbortSignal; nothing changed. */
  | 'ERR_LICHEN_ABORTED'
  /** A request was dropped that was not begun, or would not have been done, by its deadline. */
  | 'ERR_LICHEN_DEADLINE'
  /** As many requests wait already as may. */
  | 'ERR_LICHEN_QUEUE_FULL'
  /** A service takes no more than it can do in time; ask again later. */
  | 'ERR_LICHEN_OVERLOADED'
  /** A service has no model yet. */
  | 'ERR_LICHEN_NOT_READY'
  /** A worker thread ended during its work, or code of the caller that ran in it threw. */
  | 'ERR_LICHEN_WORKER'
  /** Another writer is at work on the same object. */
  | 'ERR_LICHEN_BUSY'
  /** A file or folder does not exist. */
  | 'ERR_LICHEN_NOT_FOUND'
  /** Reading or writing failed (the operating system's reason is in the message). */
  | 'ERR_LICHEN_IO'
  /** A file is not what it should be: truncated, corrupt, ragged or of another kind. */
  | 'ERR_LICHEN_FORMAT'
  /** What the call was for has been replaced by another version meanwhile. */
  | 'ERR_LICHEN_STALE'
  /** A file is open for writing elsewhere, in this process or another. */
  | 'ERR_LICHEN_LOCKED'
  /** Well-formed, but not supported by this version or on this machine. */
  | 'ERR_LICHEN_UNSUPPORTED'
  /** Memory could not be had. */
  | 'ERR_LICHEN_MEMORY'
  /** There is no GPU that lichen can use, or no driver of it, or lichen's module for it is not there. */
  | 'ERR_LICHEN_NO_DEVICE'
  /** The GPU's driver is too old; the message says which one is needed. */
  | 'ERR_LICHEN_OLD_DRIVER'
  /** The GPU is of a kind that lichen has no code for. */
  | 'ERR_LICHEN_WRONG_DEVICE'
  /** Memory of the GPU could not be had. */
  | 'ERR_LICHEN_DEVICE_MEMORY'
  /** The GPU failed, and with it what was on it; a new process may find it well. */
  | 'ERR_LICHEN_DEVICE_LOST'
  /** An optional package is not installed; the message names it. */
  | 'ERR_LICHEN_MISSING_PACKAGE'
  /** The native addon could not be loaded. */
  | 'ERR_LICHEN_ADDON'
  /** A defect in lichen itself. */
  | 'ERR_LICHEN_INTERNAL';

/**
 * Base class of every error raised by lichen. Compare `code`, not the message.
 *
 * @example
 * try {
 *   await openIndex('items.lichen');
 * } catch (error) {
 *   if (!(error instanceof LichenError) || error.code !== 'ERR_LICHEN_NOT_FOUND') throw error;
 * }
 */
export class LichenError extends Error {
  /** Stable, machine-readable reason. */
  readonly code: LichenErrorCode;

  constructor(code: LichenErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/**
 * An error without a stack, which takes most of the time that making one takes: for what is refused thousands of times a
 * second, and is no mistake of the program.
 */
export function refusal(code: LichenErrorCode, message: string): LichenError {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return new LichenError(code, message);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/**
 * A bad argument: what was expected, what came. Thrown before anything changes.
 *
 * @example
 * try {
 *   new FlatIndex({ dim: -1, metric: 'dot' });
 * } catch (error) {
 *   error instanceof LichenArgumentError; // true
 * }
 */
export class LichenArgumentError extends LichenError {}

/**
 * A file that cannot be read, written or understood.
 *
 * @example
 * const isThere = await openIndex('items.lichen').then(
 *   () => true,
 *   (error: unknown) => !(error instanceof LichenFileError),
 * );
 */
export class LichenFileError extends LichenError {}

/**
 * An operation given up because its AbortSignal fired or its object was closed.
 *
 * @example
 * const signal = AbortSignal.timeout(1000);
 * await index.add(vectors, { signal }).catch((error: unknown) => {
 *   if (!(error instanceof LichenAbortError)) throw error;
 * });
 */
export class LichenAbortError extends LichenError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_LICHEN_ABORTED', message, options);
  }
}

const FILE_ERRORS: ReadonlySet<LichenErrorCode> = new Set<LichenErrorCode>([
  'ERR_LICHEN_NOT_FOUND',
  'ERR_LICHEN_IO',
  'ERR_LICHEN_FORMAT',
  'ERR_LICHEN_LOCKED',
]);
const ARGUMENT_ERRORS: ReadonlySet<LichenErrorCode> = new Set<LichenErrorCode>([
  'ERR_LICHEN_ARGUMENT',
  'ERR_LICHEN_DIMENSION',
  'ERR_LICHEN_NOT_FINITE',
  'ERR_LICHEN_DUPLICATE_KEY',
  'ERR_LICHEN_UNKNOWN_KEY',
  'ERR_LICHEN_EMPTY',
]);

/**
 * The error that a code and a message make, for errors that come from native code or another thread.
 */
export function errorOfCode(code: LichenErrorCode, message: string): LichenError {
  if (code === 'ERR_LICHEN_ABORTED') return new LichenAbortError(message);
  if (FILE_ERRORS.has(code)) return new LichenFileError(code, message);
  if (ARGUMENT_ERRORS.has(code)) return new LichenArgumentError(code, message);
  return new LichenError(code, message);
}

/**
 * Throws ERR_LICHEN_ABORTED when the signal has fired.
 */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted) {
    throw new LichenAbortError(`${what} was aborted`, { cause: signal.reason });
  }
}

const FILE_CODES: Record<string, LichenErrorCode> = { ENOENT: 'ERR_LICHEN_NOT_FOUND' };

/**
 * Wraps an error of Node's file system (`ENOENT`, `EACCES`, `ENOSPC` …) into a LichenFileError.
 */
export function fileError(action: string, path: string, cause: unknown): LichenFileError {
  if (cause instanceof LichenFileError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  const errno = (cause as NodeJS.ErrnoException | undefined)?.code ?? '';
  const code = FILE_CODES[errno] ?? 'ERR_LICHEN_IO';
  const text = code === 'ERR_LICHEN_NOT_FOUND' ? 'no such file or folder' : reason;
  return new LichenFileError(code, `cannot ${action} ${path}: ${text}`, { cause });
}

const SHOWN_CHARACTERS = 40;

/**
 * A value as messages show it after "got": a text quoted and cut short, an object by its kind. Never throws.
 */
export function shown(value: unknown): string {
  if (typeof value === 'string') {
    const isLong = value.length > SHOWN_CHARACTERS;
    return JSON.stringify(isLong ? `${value.slice(0, SHOWN_CHARACTERS)}…` : value);
  }
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'bigint') return `${value}n`;
  if (value === null || typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return 'an array';
  // Anything may stand under the name "constructor".
  const kind = (value as { constructor?: { name?: unknown } }).constructor?.name;
  return typeof kind === 'string' && kind !== 'Object' && kind !== '' ? `a ${kind}` : 'an object';
}
