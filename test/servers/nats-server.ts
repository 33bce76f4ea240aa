import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Certificates } from './credentials.js';
import { ServerProcess } from './processes.js';

const MIB = 2 ** 20;

/** Subjects that a user may use; all where nothing is allowed or denied. */
export interface NatsSubjects {
  allow?: string[];
  deny?: string[];
}

export interface NatsOptions {
  user?: string;
  password?: string;
  /** The public key of a user beside that with a password, or instead. */
  nkeyPublic?: string;
  /** Of the users above. */
  permissions?: { publish?: NatsSubjects; subscribe?: NatsSubjects };
  tls?: Certificates;
  maxPayload?: number;
  /** Bytes of streams that are kept as files; 1 GiB where it is left out. */
  maxFileStore?: number;
  /** A connection is given up after three of them without an answer; 2 where it is left out. */
  pingIntervalSeconds?: number;
  /** More of the configuration file, by the names that it has there. */
  settings?: Record<string, unknown>;
}

/** Where a server is to be. */
export interface NatsPlace {
  name: string;
  host: string;
  port: number;
  monitorPort: number;
  routePort: number;
  /** What to put before the command. */
  before: readonly string[];
}

/** A nats-server with JetStream, whose files are in a temporary folder of its own. */
export class NatsServer implements AsyncDisposable {
  readonly name: string;
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly monitorPort: number;
  readonly storeDir: string;
  private readonly folder = mkdtempSync(join(tmpdir(), 'lichen-nats-'));
  private readonly process: ServerProcess;
  private isRunning = false;
  private isHalted = false;

  constructor(place: NatsPlace, cluster: object | undefined, options: NatsOptions) {
    ({ name: this.name, host: this.host, port: this.port, monitorPort: this.monitorPort } = place);
    this.url = `nats://${this.host}:${this.port}`;
    this.storeDir = join(this.folder, 'store');
    const { user, password, nkeyPublic, permissions, tls } = options;
    const users = [
      ...(user === undefined ? [] : [{ user, password, permissions }]),
      ...(nkeyPublic === undefined ? [] : [{ nkey: nkeyPublic, permissions }]),
    ];
    const configuration = {
      server_name: this.name,
      listen: `${this.host}:${this.port}`,
      http: `${this.host}:${this.monitorPort}`,
      log_file: this.log,
      jetstream: {
        store_dir: this.storeDir,
        max_memory_store: 64 * MIB,
        max_file_store: options.maxFileStore ?? 1024 * MIB,
      },
      cluster,
      ping_interval: `${options.pingIntervalSeconds ?? 2}s`,
      write_deadline: '2s',
      max_payload: options.maxPayload,
      authorization: users.length === 0 ? undefined : { users },
      tls: tls && { ca_file: tls.ca, cert_file: tls.cert, key_file: tls.key },
      ...options.settings,
    };
    writeFileSync(this.file, JSON.stringify(configuration));
    const [command, ...args] = [...place.before, 'nats-server', '-c', this.file];
    this.process = new ServerProcess(command, args, () => this.answers());
  }

  /** Whether it is a running process that is not halted. */
  get isUp(): boolean {
    return this.isRunning && !this.isHalted;
  }

  /** Begins it, again with what it has stored: it then takes connections, and may have no leader yet. */
  async start(): Promise<void> {
    try {
      await this.process.start();
    } catch (error) {
      await this.kill();
      throw new Error(`${this.name} did not start: ${this.lastWords()}`, { cause: error });
    }
    this.isRunning = true;
    this.isHalted = false;
  }

  /** As a crash does. */
  async kill(): Promise<void> {
    this.isRunning = false;
    await this.process.kill();
  }

  halt(): void {
    this.isHalted = true;
    this.process.halt();
  }

  resume(): void {
    this.process.resume();
    this.isHalted = false;
  }

  /** Ends it, and removes what it has stored. */
  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** What a path of its monitoring port tells, or nothing where it cannot be asked. */
  async monitor<T>(path: string): Promise<T | undefined> {
    try {
      const url = `http://${this.host}:${this.monitorPort}${path}`;
      const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
      return response.ok ? ((await response.json()) as T) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Whether JetStream of it follows a leader of all servers, where there are others. */
  async isFollowing(): Promise<boolean> {
    return (await this.monitor('/healthz?js-server-only=true')) !== undefined;
  }

  private get file(): string {
    return join(this.folder, 'nats.conf');
  }

  private get log(): string {
    return join(this.folder, 'log');
  }

  private lastWords(): string {
    if (existsSync(this.log))
      return readFileSync(this.log, 'utf8').split('\n').slice(-6).join('\n');
    // It reads its configuration before it opens the log.
    return spawnSync('nats-server', ['-t', '-c', this.file], { encoding: 'utf8' }).stderr;
  }

  private async answers(): Promise<boolean> {
    // Another server may have taken the port in between.
    const told = await this.monitor<{ server_name: string }>('/varz');
    if (told?.server_name !== this.name) return false;
    // All its ports listen then. Newer versions know the second name alone.
    return (await this.monitor('/healthz?js-enabled=true&js-enabled-only=true')) !== undefined;
  }
}
