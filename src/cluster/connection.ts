import { readFile } from 'node:fs/promises';
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { KV } from '@nats-io/kv';
import type { ObjectStore } from '@nats-io/obj';
import type { ConnectionOptions, NatsConnection } from '@nats-io/transport-node';
import { badArgument } from '../cache/cache-limits.js';
import { fileError, LichenError, shown } from '../errors.js';
import { ClusterNames } from './names.js';
import { loadNats, type NatsPackages } from './packages.js';

/** How NATS is reached, and who asks. */
export interface NatsOptions {
  /** `nats://host:port` or `host:port`, of one or several servers; others of their cluster are learned. */
  servers: string | readonly string[];
  /** Default: none. Not together with `nkey` or `credentials`. */
  user?: string | undefined;
  /** Of `user`. */
  password?: string | undefined;
  /** Instead of a user. */
  token?: string | undefined;
  /** Path of a file that holds the seed of an nkey. */
  nkey?: string | undefined;
  /** Path of a file of credentials (JWT and seed). */
  credentials?: string | undefined;
  /** TLS: always where it is given, also as `{}`; otherwise where the server asks for it. Paths of PEM files. */
  tls?:
    | {
        /** Certificates of those who sign servers' certificates. */
        ca?: string | undefined;
        /** The client's certificate. */
        cert?: string | undefined;
        /** Its private key. */
        key?: string | undefined;
      }
    | undefined;
  /** Milliseconds for the first connection. Default 5,000. Later ones are tried for ever. */
  connectTimeout?: number | undefined;
}

/** Which index of whom. */
export interface ClusterAddress extends NatsOptions {
  /** The index's name: 1 to 48 letters, digits and hyphens. */
  name: string;
  /** Whose it is: subjects, streams and buckets of tenants are apart. Default `default`. */
  tenant?: string | undefined;
}

export const ADDRESS_OPTIONS = [
  ...(['servers', 'user', 'password', 'token', 'nkey', 'credentials', 'tls'] as const),
  ...(['connectTimeout', 'name', 'tenant'] as const),
] as const;

const CONNECT_MS = 5000;
const RECONNECT_MS = 100;
/** A server that is silent so long is taken for lost, when its next answer does not come either. */
const PING_MS = 1000;
const REQUEST_MS = 5000;

/** A connection to NATS and what of JetStream an index needs. */
export interface Cluster {
  readonly packages: NatsPackages;
  readonly connection: NatsConnection;
  readonly names: ClusterNames;
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  /** Of the shard map. @throws ERR_LICHEN_NOT_FOUND while there is none. */
  bucket(): Promise<KV>;
  snapshots(): Promise<ObjectStore>;
  /** Of claims, which end by themselves. */
  claims(): Promise<KV>;
  close(): Promise<void>;
}

/**
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_NOT_FOUND for a file of keys, ERR_LICHEN_MISSING_PACKAGE, ERR_LICHEN_IO when no
 * server can be reached or none lets in, ERR_LICHEN_UNSUPPORTED without JetStream.
 */
export async function openCluster(address: ClusterAddress): Promise<Cluster> {
  const names = new ClusterNames(address.tenant ?? 'default', address.name);
  const packages = await loadNats();
  const connection = await connectNats(address, packages, names.inbox);
  const { jetstream, jetstreamManager } = packages.jetstream;
  try {
    const manager = await jetstreamManager(connection, { timeout: REQUEST_MS });
    return new OpenCluster(packages, connection, names, jetstream(connection), manager);
  } catch (cause) {
    await connection.close();
    if ((cause as Error).name !== 'JetStreamNotEnabled') throw natsError('opening', cause);
    const message = `the NATS server has no JetStream for this user: ${messageOf(cause)}`;
    throw new LichenError('ERR_LICHEN_UNSUPPORTED', message, { cause });
  }
}

class OpenCluster implements Cluster {
  readonly bucket = lazily(() => {
    const kv = new this.packages.kv.Kvm(this.jetstream);
    return this.#orNotFound(() => kv.open(this.names.bucket, { timeout: REQUEST_MS }));
  });
  readonly snapshots = lazily(() => {
    const stores = new this.packages.obj.Objm(this.jetstream);
    return this.#orNotFound(() => stores.open(this.names.snapshots));
  });
  readonly claims = lazily(() => {
    return new this.packages.kv.Kvm(this.jetstream).open(this.names.claims);
  });

  constructor(
    readonly packages: NatsPackages,
    readonly connection: NatsConnection,
    readonly names: ClusterNames,
    readonly jetstream: JetStreamClient,
    readonly manager: JetStreamManager,
  ) {}

  async close(): Promise<void> {
    await this.connection.close();
  }

  async #orNotFound<T extends { status(): Promise<unknown> }>(open: () => Promise<T>): Promise<T> {
    const { tenant, index } = this.names;
    try {
      const opened = await open();
      await opened.status();
      return opened;
    } catch (cause) {
      if (!isNotFound(cause)) throw natsError('opening', cause);
      const message = `there is no index ${index} of ${tenant} in this cluster: lichen cluster create`;
      throw new LichenError('ERR_LICHEN_NOT_FOUND', message, { cause });
    }
  }
}

/** Opens on first use, and once more after a failure. */
function lazily<T>(open: () => Promise<T>): () => Promise<T> {
  let opened: Promise<T> | undefined;
  return () => {
    opened ??= open().catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
}

/** A connection that is made anew for ever. @throws as {@link openCluster}. */
export async function connectNats(
  options: NatsOptions,
  packages: NatsPackages,
  inboxPrefix: string,
): Promise<NatsConnection> {
  const settings = { ...(await settingsOf(options, packages)), inboxPrefix };
  try {
    return await packages.transport.connect(settings);
  } catch (cause) {
    const message = `cannot connect to NATS at ${String(settings.servers)}: ${messageOf(cause)}`;
    throw new LichenError('ERR_LICHEN_IO', message, { cause });
  }
}

async function settingsOf(
  options: NatsOptions,
  { transport }: NatsPackages,
): Promise<ConnectionOptions> {
  const { servers, user, password, token, nkey, credentials, tls } = options;
  const { connectTimeout = CONNECT_MS } = options;
  const list: readonly unknown[] = Array.isArray(servers) ? servers : [servers];
  if (list.length === 0 || !list.every((one) => typeof one === 'string' && one !== '')) {
    throw badArgument(`servers must be addresses such as nats://localhost:4222`);
  }
  if (!(typeof connectTimeout === 'number' && connectTimeout > 0 && connectTimeout < 2 ** 31)) {
    throw badArgument(`connectTimeout must be milliseconds above 0, got ${shown(connectTimeout)}`);
  }
  const ways = [user, token, nkey, credentials].filter((way) => way !== undefined);
  if (ways.length > 1) throw badArgument('give one of user, token, nkey and credentials');
  const encoder = new TextEncoder();
  return {
    servers: list as string[],
    timeout: connectTimeout,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MS,
    pingInterval: PING_MS,
    maxPingOut: 2,
    ignoreAuthErrorAbort: true,
    // Errors of requests carry the places where they began, which costs more than the requests.
    noAsyncTraces: true,
    ...(user !== undefined && { user, pass: password ?? '' }),
    ...(token !== undefined && { token }),
    ...(nkey !== undefined && {
      authenticator: transport.nkeyAuthenticator(
        encoder.encode((await readText('read the nkey', nkey)).trim()),
      ),
    }),
    ...(credentials !== undefined && {
      authenticator: transport.credsAuthenticator(
        encoder.encode(await readText('read the credentials', credentials)),
      ),
    }),
    ...(tls !== undefined && {
      tls: {
        ...(tls.ca !== undefined && { ca: await readText('read the certificate', tls.ca) }),
        ...(tls.cert !== undefined && { cert: await readText('read the certificate', tls.cert) }),
        ...(tls.key !== undefined && { key: await readText('read the key', tls.key) }),
      },
    }),
  };
}

async function readText(action: string, path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: unknown) => {
    throw fileError(action, path, cause);
  });
}

/** Whether NATS says that a stream, bucket or object is not there. */
export function isNotFound(error: unknown): boolean {
  const { name, code, message } = error as { name?: unknown; code?: unknown; message?: unknown };
  return (
    name === 'StreamNotFoundError' ||
    code === 10059 ||
    /stream not found|object not found|bucket not found/i.test(String(message))
  );
}

/** A LichenError for an error of the client of NATS. */
export function natsError(what: string, cause: unknown): LichenError {
  if (cause instanceof LichenError) return cause;
  return new LichenError('ERR_LICHEN_IO', `${what} failed in NATS: ${natsMessage(cause)}`, {
    cause,
  });
}

/** What NATS says, and what it means where one cannot tell. */
export function natsMessage(cause: unknown): string {
  const message = messageOf(cause);
  if (!/insufficient|limits exceeded/i.test(message)) return message;
  return `${message} (it has stored as much as it may: see max_file_store of its servers, and the account's limits)`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
