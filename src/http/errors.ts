import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { LichenError } from '../errors.js';

/** The status of an error, and what the client is told. */
export interface HttpError {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

const STATUSES: Readonly<Record<string, number>> = {
  ERR_LICHEN_ARGUMENT: 400,
  ERR_LICHEN_DIMENSION: 400,
  ERR_LICHEN_NOT_FINITE: 400,
  ERR_LICHEN_EMPTY: 400,
  ERR_LICHEN_UNKNOWN_KEY: 404,
  ERR_LICHEN_DUPLICATE_KEY: 409,
  ERR_LICHEN_UNSUPPORTED: 409,
  ERR_LICHEN_OVERLOADED: 503,
  ERR_LICHEN_QUEUE_FULL: 503,
  ERR_LICHEN_NOT_READY: 503,
  ERR_LICHEN_CLOSED: 503,
  ERR_LICHEN_BUSY: 503,
  ERR_LICHEN_DEADLINE: 504,
  ERR_LICHEN_ABORTED: 499,
};
/** Codes of errors that a server makes itself, by status. */
const OF_STATUS: Readonly<Record<number, string>> = {
  400: 'ERR_LICHEN_ARGUMENT',
  401: 'ERR_LICHEN_UNAUTHORIZED',
  403: 'ERR_LICHEN_FORBIDDEN',
  404: 'ERR_LICHEN_NOT_FOUND',
  413: 'ERR_LICHEN_TOO_LARGE',
  415: 'ERR_LICHEN_UNSUPPORTED',
  429: 'ERR_LICHEN_RATE_LIMITED',
};

/** An error of the server's own. */
export class RequestError extends Error {
  constructor(
    readonly statusCode: number,
    message: string,
  ) {
    super(message);
  }
}

/** What a client is told of an error; of a defect, nothing that is not its business. */
export function httpErrorOf(error: unknown): HttpError {
  if (error instanceof LichenError && STATUSES[error.code] !== undefined) {
    return { status: STATUSES[error.code]!, code: error.code, message: error.message };
  }
  const { statusCode, message, validation } = error as Partial<FastifyError>;
  if (validation !== undefined || (statusCode !== undefined && statusCode < 500)) {
    const status = statusCode ?? 400;
    const code = OF_STATUS[status] ?? 'ERR_LICHEN_ARGUMENT';
    return { status, code, message: message ?? 'bad request' };
  }
  return { status: 500, code: 'ERR_LICHEN_INTERNAL', message: 'the request failed' };
}

/** Seconds after which a client that was refused may come again. */
const RETRY_AFTER = '1';

export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const { status, code, message } = httpErrorOf(error);
  if (status === 500) request.log.error({ err: error }, 'a request failed');
  if (status === 503 || status === 429) reply.header('retry-after', RETRY_AFTER);
  void reply.code(status).type('application/json').send({ error: { code, message } });
}
