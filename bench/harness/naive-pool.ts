import { extname, join } from 'node:path';
import { Piscina } from 'piscina';
import type { NaiveResult, NaiveSetup, NaiveTask } from './naive-pool-worker.js';

/**
 * Piscina as one would use it at first: every worker opens the index file for itself and gets a copy of the item vectors;
 * users come as arrays of arrays and results as arrays of objects, by structured clone; a worker searches for one user
 * after another. A batch is shared out evenly among the workers.
 */
export class NaivePool {
  readonly #piscina: Piscina;
  readonly #workers: number;

  private constructor(setup: NaiveSetup, workers: number) {
    this.#workers = workers;
    this.#piscina = new Piscina({
      filename: join(__dirname, `naive-pool-worker${extname(__filename)}`),
      name: 'recommend',
      workerData: setup,
      minThreads: workers,
      maxThreads: workers,
      concurrentTasksPerWorker: 1,
      execArgv: ['--require', require.resolve('tsx/cjs')],
    });
  }

  static async start(setup: NaiveSetup, workers: number): Promise<NaivePool> {
    const pool = new NaivePool(setup, workers);
    await Promise.all(Array.from({ length: workers }, () => pool.#piscina.run(null)));
    return pool;
  }

  async recommend({ histories, k, ef }: NaiveTask): Promise<NaiveResult[]> {
    const size = Math.ceil(histories.length / this.#workers);
    const parts: Promise<NaiveResult[]>[] = [];
    for (let first = 0; first < histories.length; first += size) {
      const task = { histories: histories.slice(first, first + size), k, ef };
      parts.push(this.#piscina.run(task) as Promise<NaiveResult[]>);
    }
    return (await Promise.all(parts)).flat();
  }

  async close(): Promise<void> {
    await this.#piscina.destroy();
  }
}
