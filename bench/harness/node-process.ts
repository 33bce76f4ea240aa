import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ClusterAddress } from '../../src/index.js';

const PROGRAM = join(__dirname, '..', '..', 'dist', 'cli', 'main.js');
const READY_MS = 120_000;
const LAST_WORDS = 2000;

/** A replica of a shard: `lichen node` in a process of its own, as users start it. */
export class NodeProcess {
  /** Seconds from its start until it said that it answers. */
  readonly ready: Promise<number>;
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;

  /**
   * @param shard `i/n`
   * @param processor the only one that it may run on; default all.
   */
  constructor(
    { servers, name }: ClusterAddress,
    shard: string,
    directory: string,
    processor?: number,
  ) {
    if (!existsSync(PROGRAM)) throw new Error('dist is missing: npm run build');
    const started = performance.now();
    const args = ['node', '--shard', shard, '--dir', directory, '--name', name, '--json'];
    const nats = ['--nats', [servers].flat().join(',')];
    const command = [process.execPath, PROGRAM, ...args, ...nats];
    if (processor !== undefined) command.unshift('taskset', '-c', String(processor));
    const child = spawn(command[0]!, command.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    this.#ended = once(child, 'exit');
    let said = '';
    child.stderr.on('data', (text: Buffer) => {
      said = `${said}${text.toString()}`.slice(-LAST_WORDS);
    });
    this.ready = new Promise((resolve, reject) => {
      const fail = (what: string) =>
        reject(new Error(`a replica of shard ${shard} ${what}: ${said}`));
      const timer = setTimeout(() => fail('is not ready'), READY_MS);
      const lines = createInterface(child.stdout);
      lines.once('line', () => {
        clearTimeout(timer);
        resolve((performance.now() - started) / 1000);
      });
      child.once('exit', () => {
        clearTimeout(timer);
        fail('has ended');
      });
    });
    // One that ends while nobody waits must not end this process.
    this.ready.catch(() => undefined);
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** As those who run services do it: it may write its snapshot. */
  async stop(): Promise<void> {
    this.#process.kill('SIGTERM');
    await this.#ended;
  }
}
