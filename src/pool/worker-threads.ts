import { extname, join } from 'node:path';
import type { ResourceLimits } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { LichenArgumentError, LichenError } from '../errors.js';
import { WORK, type WorkerOutcome, type WorkerSetup, type WorkerTask } from './worker-task.js';

/** How many threads there are, and what they may take. */
export interface ThreadOptions {
  readonly workers: number;
  readonly resourceLimits: ResourceLimits | undefined;
}

/**
 * The worker threads of a pool, each of which does one task at a time. A thread that ends is replaced; its task fails
 * with ERR_LICHEN_WORKER.
 */
export class WorkerThreads {
  readonly #piscina: Piscina;
  /** Of tasks that are not done: how to let them fail. */
  readonly #pending = new Set<(error: unknown) => void>();

  /** @throws ERR_LICHEN_ARGUMENT for a setup that cannot be sent to a thread. */
  constructor(setup: WorkerSetup, { workers, resourceLimits }: ThreadOptions) {
    try {
      this.#piscina = new Piscina({
        filename: WORKER,
        name: WORK,
        workerData: setup,
        minThreads: workers,
        maxThreads: workers,
        concurrentTasksPerWorker: 1,
        recordTiming: false,
        ...(EXEC_ARGV && { execArgv: EXEC_ARGV }),
        ...(resourceLimits && { resourceLimits }),
      });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new LichenArgumentError(
        'ERR_LICHEN_ARGUMENT',
        `tower cannot be sent to a worker: ${reason}`,
        { cause },
      );
    }
    // A thread that ended without a task.
    this.#piscina.on('error', (error: unknown) => {
      // No thread can start: tasks that wait for one would wait for ever.
      if (this.#piscina.threads.length === 0) this.#failAll(error);
    });
  }

  /** How many threads there are now. */
  get count(): number {
    return this.#piscina.threads.length;
  }

  /** @throws ERR_LICHEN_WORKER if the thread ended before it had done the task. */
  run(task: WorkerTask | null): Promise<WorkerOutcome> {
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown): void => {
        this.#pending.delete(fail);
        const reason = cause instanceof Error ? cause.message : String(cause);
        reject(new LichenError('ERR_LICHEN_WORKER', `a worker ended: ${reason}`, { cause }));
      };
      this.#pending.add(fail);
      const running = this.#piscina.run(task) as Promise<WorkerOutcome>;
      running.then((outcome) => {
        this.#pending.delete(fail);
        resolve(outcome);
      }, fail);
    });
  }

  /** Ends all threads at once, whatever they do. */
  async end(): Promise<void> {
    await this.#piscina.destroy();
  }

  #failAll(error: unknown): void {
    for (const fail of [...this.#pending]) fail(error);
  }
}

const EXTENSION = extname(__filename);
const WORKER = join(__dirname, `worker${EXTENSION}`);
/** From its sources lichen runs by a loader, which a thread does not always inherit. */
const EXEC_ARGV = EXTENSION === '.ts' ? ['--require', require.resolve('tsx/cjs')] : undefined;
