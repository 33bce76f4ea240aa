import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { freePort, ServerProcess } from './processes.js';

const VERSIONS = '/usr/lib/postgresql';

/** Where the programs of PostgreSQL lie: not on the path with Debian. */
function programs(): string | undefined {
  if (!existsSync(VERSIONS)) return undefined;
  const folders = readdirSync(VERSIONS).map((version) => join(VERSIONS, version, 'bin'));
  return folders.find((folder) => existsSync(join(folder, 'initdb')));
}

const PROGRAMS = programs();
export const POSTGRES_MISSING = PROGRAMS === undefined;
export const POSTGRES_NOTE = POSTGRES_MISSING ? ' (skipped: PostgreSQL is not installed)' : '';

/** A PostgreSQL server of its own on a free port, with an empty database in a temporary folder. */
export async function startPostgres(): Promise<{
  server: ServerProcess;
  url: string;
  remove: () => Promise<void>;
}> {
  const folder = mkdtempSync(join(tmpdir(), 'lichen-postgres-'));
  const owner = ownerOfServer();
  if (owner !== undefined) chownSync(folder, owner.uid, owner.gid);
  const data = join(folder, 'data');
  const options = { ...owner, cwd: folder };
  const made = spawnSync(
    join(PROGRAMS!, 'initdb'),
    ['-D', data, '-U', 'lichen', '-A', 'trust', '--no-sync', '-E', 'UTF8', '--locale', 'C'],
    { ...options, encoding: 'utf8' },
  );
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  const port = await freePort();
  const url = `postgres://lichen@127.0.0.1:${port}/postgres`;
  const settings = ['-c', 'fsync=off', '-c', 'unix_socket_directories='];
  const args = ['-D', data, '-p', String(port), '-h', '127.0.0.1', ...settings];
  const server = new ServerProcess(join(PROGRAMS!, 'postgres'), args, () => answers(url), options);
  await server.start();
  const remove = async (): Promise<void> => {
    await server.kill('SIGINT');
    rmSync(folder, { recursive: true, force: true });
  };
  return { server, url, remove };
}

/** PostgreSQL refuses to run as root: Debian's package has made a user for it. */
function ownerOfServer(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((text) => text.startsWith('postgres:'));
  if (line === undefined) throw new Error('there is no user postgres');
  const [, , uid, gid] = line.split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
