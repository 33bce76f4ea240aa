import { readFile } from 'node:fs/promises';
import type { FastifyInstance } from 'fastify';
import type { LoggerOptions } from 'pino';
import { badArgument } from '../cache/cache-limits.js';
import { fileError, shown } from '../errors.js';
import { requireInteger, requireOptions } from '../index/arguments.js';
import { loadHttpPackages } from './packages.js';
import { lichenPlugin, type LichenPluginOptions } from './plugin.js';

/** Options of {@link createServer}. */
export interface ServerOptions extends Omit<LichenPluginOptions, 'hosts'> {
  /** Default `127.0.0.1`. Any that is not of this machine alone wants `keys`, or `isOpen`. */
  readonly host?: string | undefined;
  /** 0: any that is free. Default 8080. */
  readonly port?: number | undefined;
  /** Files of a certificate with its chain and of its key, in PEM. Default: without TLS. */
  readonly tls?:
    | {
        /** The path of the certificate. */
        readonly cert: string;
        /** The path of its key. */
        readonly key: string;
      }
    | undefined;
  /** Whether other machines may use it without a key. Default false. */
  readonly isOpen?: boolean | undefined;
  /** Host names that requests may be to. Default: without keys, those of this machine; else any. */
  readonly hosts?: readonly string[] | undefined;
  /** Bytes of a body. Default 1 MiB. */
  readonly bodyLimit?: number | undefined;
  /** Milliseconds within which a request must have arrived. Default 10,000. */
  readonly requestTimeoutMs?: number | undefined;
  /** Connections at once. Default 10,000. */
  readonly maxConnections?: number | undefined;
  /** Whether the address of a client is what a proxy says. Default false. */
  readonly trustProxy?: boolean | undefined;
  /** A level of pino, or its options. Default `info`. */
  readonly log?: string | LoggerOptions | false | undefined;
}

/** A service that listens. */
export interface Server {
  /** Where, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  /** The fastify instance, with lichen's plugin. */
  readonly app: FastifyInstance;
  /** Takes no more connections, and waits for the requests at work. The recommender is left open. */
  close(): Promise<void>;
}

const OWN_OPTIONS = [
  ...(['host', 'port', 'tls', 'isOpen', 'hosts', 'bodyLimit', 'requestTimeoutMs'] as const),
  ...(['maxConnections', 'trustProxy', 'log'] as const),
] as const;
const LOOPBACK = ['localhost', '127.0.0.1', '::1', '[::1]'];
const MOST_MS = 2 ** 31 - 1;

/**
 * Serves a `Recommender` over HTTP; see {@link lichenPlugin} for what there is. Listens on this machine alone unless told otherwise, and
 * answers other machines only with keys.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_MISSING_PACKAGE, ERR_LICHEN_NOT_FOUND and ERR_LICHEN_IO for files of a
 * certificate or an address that cannot be listened on.
 *
 * @example
 * const server = await createServer({ recommender, port: 8080 });
 * process.once('SIGTERM', () => void server.close());
 */
export async function createServer(options: ServerOptions): Promise<Server> {
  const { own, plugin } = split(options);
  const { host = '127.0.0.1', port = 8080, tls, isOpen = false, log = 'info' } = own;
  const { bodyLimit = 2 ** 20, requestTimeoutMs = 10_000, maxConnections = 10_000 } = own;
  const hasKeys = (plugin.keys?.length ?? 0) > 0;
  const isLocal = LOOPBACK.includes(host);
  if (!isLocal && !hasKeys && !isOpen) {
    const message = `host ${shown(host)} lets other machines in: give keys, or say isOpen: true`;
    throw badArgument(message);
  }
  requireInteger('port', port, 0, 65_535);
  requireInteger('bodyLimit', bodyLimit, 1, 2 ** 30);
  requireInteger('requestTimeoutMs', requestTimeoutMs, 1, MOST_MS);
  requireInteger('maxConnections', maxConnections, 1, 1_000_000);
  const { fastify } = await loadHttpPackages();
  const { LogController } = fastify;
  const app = fastify({
    logger: log === false ? false : typeof log === 'string' ? { level: log } : log,
    // A line a request would cost more than many a request.
    logController: new LogController({ disableRequestLogging: true }),
    ...{ bodyLimit, requestTimeout: requestTimeoutMs, trustProxy: own.trustProxy === true },
    http: { headersTimeout: requestTimeoutMs, connectionsCheckingInterval: 1000 },
    forceCloseConnections: 'idle',
    ajv: {
      customOptions: {
        ...{ coerceTypes: false, removeAdditional: false, useDefaults: false },
        ...{ allowUnionTypes: true, strictTypes: false },
      },
    },
    ...(tls && { https: await readTls(tls) }),
  } as object) as unknown as FastifyInstance;
  app.server.maxConnections = maxConnections;
  // Against pages elsewhere whose name is made to lead here.
  const hosts = own.hosts ?? (hasKeys || isOpen ? undefined : LOOPBACK);
  try {
    await app.register(lichenPlugin, { ...plugin, ...(hosts && { hosts }) });
    const address = await app.listen({ host, port }).catch((error: unknown) => {
      throw fileError('listen on', `${host}:${port}`, error);
    });
    return { url: address, app, close: () => closeServer(app) };
  } catch (error) {
    await app.close();
    throw error;
  }
}

const IDLE_EVERY_MS = 20;

/** Connections whose last request ends meanwhile are closed as well: they would be kept for more than a minute. */
async function closeServer(app: FastifyInstance): Promise<void> {
  const timer = setInterval(() => app.server.closeIdleConnections(), IDLE_EVERY_MS);
  try {
    await app.close();
  } finally {
    clearInterval(timer);
  }
}

function split(options: ServerOptions) {
  const isOwn = (name: string): boolean => OWN_OPTIONS.includes(name as never);
  if (options === null || typeof options !== 'object') {
    throw badArgument(`options must be an object, got ${shown(options)}`);
  }
  const entries = Object.entries(options);
  const own = Object.fromEntries(entries.filter(([name]) => isOwn(name))) as ServerOptions;
  const plugin = Object.fromEntries(entries.filter(([name]) => !isOwn(name)));
  return { own, plugin: plugin as unknown as LichenPluginOptions };
}

async function readTls(tls: { readonly cert: string; readonly key: string }) {
  const { cert, key } = requireOptions(tls, ['cert', 'key']);
  const read = (path: string) =>
    readFile(path).catch((error: unknown) => {
      throw fileError('read', path, error);
    });
  return { cert: await read(cert), key: await read(key), minVersion: 'TLSv1.2' as const };
}
