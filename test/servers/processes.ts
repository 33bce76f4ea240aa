import { spawn, spawnSync, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

/** Whether a program is there to be run. */
export function isInstalled(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

/** A port of the loopback device that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Tries until it is true. */
export async function until(
  isSo: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 20_000,
): Promise<void> {
  const end = performance.now() + withinMs;
  for (;;) {
    if (await isSo()) return;
    if (performance.now() > end)
      throw new Error(`${what} did not happen within ${withinMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A server of a test: a process that can be stopped, begun again, and halted for a while. */
export class ServerProcess {
  private process: ChildProcess | undefined;

  constructor(
    private readonly command: string,
    private readonly args: readonly string[],
    private readonly isReady: () => Promise<boolean>,
    private readonly options: SpawnOptions = {},
  ) {}

  async start(): Promise<void> {
    const child = spawn(this.command, this.args, { ...this.options, stdio: 'ignore' });
    this.process = child;
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`${this.command} ended with ${child.exitCode}`);
      return this.isReady();
    }, `the start of ${this.command}`);
  }

  /** Ends it at once, as a crash does. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGCONT');
    child.kill(signal);
    await once(child, 'exit');
  }

  /** Connections stay, and nothing is answered until {@link resume}. */
  halt(): void {
    this.process!.kill('SIGSTOP');
  }

  resume(): void {
    this.process!.kill('SIGCONT');
  }
}
