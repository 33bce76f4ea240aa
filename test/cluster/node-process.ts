import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MAIN = join(__dirname, '..', '..', 'dist', 'cli', 'main.js');
const KEPT_LINES = 200;
const READY_MS = 30_000;

/** A replica as a process of its own, `lichen node`, with a folder of its own. */
export class NodeProcess {
  readonly directory = mkdtempSync(join(tmpdir(), 'lichen-node-'));
  /** The last of what it has said on stderr. */
  readonly lines: string[] = [];
  private process: ChildProcess | undefined;
  private readiness: Promise<void> = Promise.resolve();

  constructor(
    readonly shard: number,
    readonly shards: number,
    private readonly args: readonly string[],
  ) {}

  /** Begins it, or begins it again. */
  start(): void {
    const { shard, shards, directory } = this;
    const place = ['--shard', `${shard}/${shards}`, '--dir', directory];
    const child = spawn(process.execPath, [MAIN, 'node', ...place, ...this.args, '--json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.lines.push(...text.trimEnd().split('\n'));
      this.lines.splice(0, this.lines.length - KEPT_LINES);
    });
    this.readiness = new Promise((resolve, reject) => {
      const late = () => reject(new Error(`a node is not ready: ${this.lines.join('\n')}`));
      setTimeout(late, READY_MS).unref();
      child.stdout.setEncoding('utf8').on('data', () => resolve());
      child.once('exit', (status, signal) => {
        reject(
          new Error(`a node ended with ${status ?? signal}: ${this.lines.slice(-3).join('\n')}`),
        );
      });
    });
    this.readiness.catch(() => undefined);
  }

  /** Fulfilled when it answers; rejected when it ends before. */
  get ready(): Promise<void> {
    return this.readiness;
  }

  get pid(): number | undefined {
    return this.process?.pid;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGCONT');
    child.kill(signal);
    await once(child, 'exit');
  }

  halt(): void {
    this.process?.kill('SIGSTOP');
  }

  resume(): void {
    this.process?.kill('SIGCONT');
  }

  /** As if it had never been there. */
  wipe(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
