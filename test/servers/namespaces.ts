import { spawnSync } from 'node:child_process';
import { networkInterfaces } from 'node:os';

/** Whom a host is cut off from: from everyone, or from the other hosts while this machine still reaches it. */
export type CutFrom = 'everyone' | 'hosts';

let networks = 0;

/** Hosts in network namespaces of their own, joined with this machine by a bridge. */
export class Network {
  // Links have names of at most 15 characters.
  private readonly name = `l${process.pid.toString(36)}-${(networks++).toString(36)}-`;
  private readonly bridge = `${this.name}b`;
  private readonly prefix = freePrefix();
  private readonly hosts: readonly number[];
  private readonly severed = new Set<number>();
  private readonly blocked = new Set<string>();

  constructor(count: number) {
    this.hosts = Array.from({ length: count }, (_, at) => at);
    try {
      ip('link', 'add', this.bridge, 'type', 'bridge');
      ip('addr', 'add', `${this.prefix}.1/24`, 'dev', this.bridge);
      ip('link', 'set', this.bridge, 'up');
      for (const at of this.hosts) this.add(at);
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  address(at: number): string {
    return `${this.prefix}.${at + 11}`;
  }

  /** What to put before a command for it to run on a host: it then has the process id of the command. */
  command(at: number): string[] {
    return ['ip', 'netns', 'exec', this.host(at)];
  }

  /** Nothing gets through from now on, and nobody is told. */
  cut(at: number, from: CutFrom): void {
    if (from === 'everyone') return ip('link', 'set', this.link(at), 'down');
    this.severed.add(at);
    this.block();
  }

  mend(at: number): void {
    ip('link', 'set', this.link(at), 'up');
    this.severed.delete(at);
    this.block();
  }

  /** The processes on its hosts must have ended. */
  remove(): void {
    // The end of a link within a namespace goes with this one, and at once.
    for (const at of this.hosts) spawnSync('ip', ['link', 'del', this.link(at)]);
    for (const at of this.hosts) spawnSync('ip', ['netns', 'del', this.host(at)]);
    spawnSync('ip', ['link', 'del', this.bridge]);
  }

  private host(at: number): string {
    return `${this.name}${at}`;
  }

  private link(at: number): string {
    return `${this.name}${at}`;
  }

  private add(at: number): void {
    const [host, link] = [this.host(at), this.link(at)];
    ip('netns', 'add', host);
    ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', host);
    ip('-n', host, 'addr', 'add', `${this.address(at)}/24`, 'dev', 'eth0');
    ip('-n', host, 'link', 'set', 'lo', 'up');
    ip('-n', host, 'link', 'set', 'eth0', 'up');
    ip('link', 'set', link, 'master', this.bridge, 'up');
  }

  private block(): void {
    for (const at of this.hosts) {
      for (const other of this.hosts) {
        const way = `${at}>${other}`;
        const isWanted = at !== other && (this.severed.has(at) || this.severed.has(other));
        if (isWanted === this.blocked.has(way)) continue;
        const verb = isWanted ? 'add' : 'del';
        ip('-n', this.host(at), 'route', verb, 'blackhole', this.address(other));
        if (isWanted) this.blocked.add(way);
        else this.blocked.delete(way);
      }
    }
  }
}

function ip(...args: string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')} failed: ${stderr}`);
}

/** The first three numbers of the addresses of a network that this machine has none of. */
function freePrefix(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  for (;;) {
    const number = (): number => Math.floor(Math.random() * 256);
    const prefix = `10.${number()}.${number()}`;
    if (!addresses.some(({ address }) => address.startsWith(`${prefix}.`))) return prefix;
  }
}

function canMake(): boolean {
  try {
    new Network(1).remove();
    return true;
  } catch {
    return false;
  }
}

export const NAMESPACES_MISSING = !canMake();
export const NAMESPACES_NOTE = NAMESPACES_MISSING
  ? ' (skipped: network namespaces are not permitted)'
  : '';
