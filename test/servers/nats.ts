import { once } from 'node:events';
import { createServer } from 'node:net';
import { Network, type CutFrom } from './namespaces.js';
import { NatsServer, type NatsOptions, type NatsPlace } from './nats-server.js';
import { isInstalled, until } from './processes.js';

export { NatsServer, type NatsOptions };
export const NATS_MISSING = !isInstalled('nats-server');
export const NATS_NOTE = NATS_MISSING ? ' (skipped: nats-server is not installed)' : '';

export interface NatsClusterOptions extends NatsOptions {
  /** Each server in a network namespace of its own, for {@link NatsCluster.cut}. */
  namespaces?: boolean;
}

interface Replica {
  name: string;
  current: boolean;
  offline?: boolean;
}

/** What a server tells of a group of servers: of the others in it where it leads the group. */
interface Group {
  leader?: string;
  replicas?: Replica[];
}

interface Jsz {
  meta_cluster?: Group;
  account_details?: { stream_detail?: { name: string; cluster?: Group }[] }[];
}

interface Connz {
  connections: { in_bytes: number; out_bytes: number }[];
}

/** Servers that keep streams together. */
export class NatsCluster implements AsyncDisposable {
  /** How long servers may take to find each other. */
  patienceMs = 20_000;
  private readonly cuts = new Map<NatsServer, CutFrom>();

  constructor(
    readonly servers: readonly NatsServer[],
    private readonly network: Network | undefined,
  ) {}

  get urls(): string[] {
    return this.servers.map(({ url }) => url);
  }

  /** As a crash does: its ports, its name, and what it has stored stay. */
  async kill(at: number): Promise<void> {
    await this.servers[at]!.kill();
  }

  /** Begins one again, or all of them, until they are {@link settled}. */
  async start(at?: number): Promise<void> {
    const servers = at === undefined ? this.servers : [this.servers[at]!];
    // All have ended their starts when one has failed: none of them begins after it is stopped.
    const starts = await Promise.allSettled(servers.map((server) => server.start()));
    for (const start of starts) if (start.status === 'rejected') throw start.reason;
    await this.settled();
  }

  /** Connections stay, and nothing is answered until {@link resume}. */
  halt(at: number): void {
    this.servers[at]!.halt();
  }

  resume(at: number): void {
    this.servers[at]!.resume();
  }

  /** Cuts one off until {@link mend}: from everyone, or from the other servers but not from its clients. */
  cut(at: number, from: CutFrom = 'everyone'): void {
    if (this.network === undefined) throw new Error('the servers have no namespaces');
    this.network.cut(at, from);
    this.cuts.set(this.servers[at]!, from);
  }

  mend(at: number): void {
    this.network?.mend(at);
    this.cuts.delete(this.servers[at]!);
  }

  /**
   * Waits until those that run and are not cut off follow one leader and are current: streams can
   * be made. Does not wait where they are too few to have a leader.
   */
  async settled(): Promise<void> {
    const servers = this.joined();
    if (servers.length * 2 <= this.servers.length) return;
    await until(
      async () => {
        const told = await Promise.all(servers.map((server) => server.monitor<Jsz>('/jsz')));
        const groups = told.map((each) => each?.meta_cluster);
        const leader = groups[0]?.leader;
        if (!leader || groups.some((group) => group?.leader !== leader)) return false;
        const ofLeader = groups[servers.findIndex(({ name }) => name === leader)];
        const current = currentIn(ofLeader);
        if (!servers.every(({ name }) => current.has(name))) return false;
        return (await Promise.all(servers.map((server) => server.isFollowing()))).every(Boolean);
      },
      'a leader of all servers',
      this.patienceMs,
    );
  }

  /** Which server leads a stream: it says so itself, and so do most that can be asked and keep it. */
  async streamLeader(stream: string): Promise<number | undefined> {
    const at = leaderAmong(this.servers, await this.groupsOf(stream));
    return at < 0 ? undefined : at;
  }

  /** Waits until a stream has a leader and each of those that keep it, run and are not cut off has all of it. */
  async caughtUp(stream: string): Promise<void> {
    await until(async () => {
      const groups = await this.groupsOf(stream);
      const current = currentIn(groups[leaderAmong(this.servers, groups)]);
      const joined = new Set(this.joined());
      return (
        current.size > 0 &&
        this.servers.every((its, at) => !groups[at] || !joined.has(its) || current.has(its.name))
      );
    }, `all of ${stream} on its servers`);
  }

  /** What clients have sent to those that run, and have got from them since they began: headers and data. */
  async bytes(): Promise<{ in: number; out: number }> {
    // Not of /varz, which counts what servers tell each other too.
    const servers = this.servers.filter((server) => this.isReachable(server));
    const told = await Promise.all(
      servers.map((server) => server.monitor<Connz>('/connz?state=all&limit=100000')),
    );
    const connections = told.flatMap((each) => each?.connections ?? []);
    const sum = (of: 'in_bytes' | 'out_bytes'): number =>
      connections.reduce((total, connection) => total + connection[of], 0);
    return { in: sum('in_bytes'), out: sum('out_bytes') };
  }

  async stop(): Promise<void> {
    try {
      await Promise.all(this.servers.map((server) => server.stop()));
    } finally {
      this.network?.remove();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  private isReachable(server: NatsServer): boolean {
    return server.isUp && this.cuts.get(server) !== 'everyone';
  }

  private joined(): NatsServer[] {
    return this.servers.filter((server) => server.isUp && !this.cuts.has(server));
  }

  /** What each server tells of a stream, if it can be asked and keeps it. */
  private groupsOf(stream: string): Promise<(Group | undefined)[]> {
    return Promise.all(
      this.servers.map(async (server) => {
        if (!this.isReachable(server)) return undefined;
        const told = await server.monitor<Jsz>('/jsz?accounts=1&streams=1');
        const streams = told?.account_details?.flatMap((each) => each.stream_detail ?? []);
        return streams?.find(({ name }) => name === stream)?.cluster;
      }),
    );
  }
}

function leaderAmong(
  servers: readonly NatsServer[],
  groups: readonly (Group | undefined)[],
): number {
  const votes = groups.filter((group) => group !== undefined).map(({ leader }) => leader);
  return servers.findIndex(
    ({ name }, at) =>
      groups[at]?.leader === name &&
      votes.filter((vote) => vote === name).length * 2 > votes.length,
  );
}

/** The names of the leader and of those that have all that it has. */
function currentIn(group: Group | undefined): Set<string> {
  if (group?.leader === undefined) return new Set();
  const replicas = (group.replicas ?? []).filter((its) => its.current && its.offline !== true);
  return new Set([group.leader, ...replicas.map(({ name }) => name)]);
}

/** One server, without others to keep streams with. */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  return onFreePorts(async () => {
    const server = new NatsServer(await place(newName()), undefined, options);
    return { made: server, start: () => server.start() };
  });
}

/** Servers that follow one leader, and can make streams. */
export async function startNatsCluster(
  count = 3,
  { namespaces = false, ...options }: NatsClusterOptions = {},
): Promise<NatsCluster> {
  return onFreePorts(async () => {
    const name = newName();
    const network = namespaces ? new Network(count) : undefined;
    const made: NatsPlace[] = [];
    for (let at = 0; at < count; at++) made.push(await place(`${name}-${at}`, network, at));
    const routes = made.map(({ host, routePort }) => `nats://${host}:${routePort}`);
    const servers = made.map((its) => {
      const listen = `${its.host}:${its.routePort}`;
      return new NatsServer(its, { name, listen, routes }, options);
    });
    const cluster = new NatsCluster(servers, network);
    return { made: cluster, start: () => cluster.start() };
  });
}

/** Between a port being found free and a server listening on it, another may take it: tries others then. */
async function onFreePorts<T extends { stop(): Promise<void> }>(
  make: () => Promise<{ made: T; start: () => Promise<void> }>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const { made, start } = await make();
    try {
      await start();
      return made;
    } catch (error) {
      await made.stop();
      const isTaken = error instanceof Error && error.message.includes('address already in use');
      if (!isTaken || attempt === 5) throw error;
    }
  }
}

let names = 0;

/** One that no other server or cluster on this machine has, lest they take each other for their own. */
function newName(): string {
  return `lichen-${process.pid}-${names++}`;
}

async function place(name: string, network?: Network, at = 0): Promise<NatsPlace> {
  if (network !== undefined) {
    const ports = { port: 4222, monitorPort: 8222, routePort: 6222 };
    return { name, host: network.address(at), ...ports, before: network.command(at) };
  }
  const [port, monitorPort, routePort] = [
    await lastingPort(),
    await lastingPort(),
    await lastingPort(),
  ];
  return { name, host: '127.0.0.1', port, monitorPort, routePort, before: [] };
}

/**
 * A port that nobody listens on, below those that the kernel gives to clients: a client that tries
 * the port of a server that was killed must not be given that very port, and keep it.
 */
async function lastingPort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    const server = createServer();
    server.listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}
