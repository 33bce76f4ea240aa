import { connect } from 'node:net';
import { once } from 'node:events';
import { freePort, isInstalled, ServerProcess } from './processes.js';

export const REDIS_MISSING = !isInstalled('redis-server');
export const REDIS_NOTE = REDIS_MISSING ? ' (skipped: redis-server is not installed)' : '';

/** A Redis server of its own on a free port, with nothing in it and nothing on disk. */
export async function startRedis(): Promise<{ server: ServerProcess; url: string; port: number }> {
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const server = new ServerProcess('redis-server', args, () => answers(port));
  await server.start();
  return { server, url: `redis://127.0.0.1:${port}`, port };
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write('PING\r\n');
    const [reply] = (await once(socket, 'data')) as [Buffer];
    return reply.toString().startsWith('+PONG');
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
