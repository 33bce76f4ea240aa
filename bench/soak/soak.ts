import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import type { HnswIndex } from '../../src/index.js';
import { compiled } from '../harness/compiled.js';
import {
  abortActor,
  batcherActor,
  cacheActors,
  changeActors,
  publishActors,
  searchActors,
  type Actor,
  type World,
} from './actors.js';
import { serviceActors } from './service.js';
import { DIM, Stock } from './stock.js';
import { growthOf, holdings, look, type Holdings, type Moment } from './watch.js';

/** What a soak is told. */
export interface SoakOptions {
  readonly seconds: number;
  /** Keys that the index may have. */
  readonly rows: number;
  readonly seed: number;
  /** Only traffic with one of these in its name, commas between. */
  readonly only?: string;
  readonly signal?: AbortSignal;
  /** Called about once a minute. */
  readonly onProgress?: (progress: Progress) => void;
}

export interface Progress {
  readonly moment: Moment;
  readonly operations: number;
  readonly errors: number;
  readonly size: number;
  readonly recall: number;
}

/** What a soak came to. */
export interface SoakResult {
  /** Steps by kind of traffic. */
  readonly operations: ReadonlyMap<string, number>;
  readonly errors: readonly string[];
  readonly moments: readonly Moment[];
  readonly recall: number;
  /** Handles, files and shares that there are more of at the end than at the start. */
  readonly grown: readonly string[];
  /** Files that should have gone. */
  readonly leftOver: readonly string[];
  readonly files: readonly [start: number, end: number];
}

const CHECKPOINT_BYTES = 2 ** 20;
/** What adds and removes balance at: see `changeActors`. */
const FILLED = 0.73;
const MOST_ERRORS = 20;
const MOMENTS = 360;
const MINUTE = 60;
/** How long what was closed may take until it is gone. */
const SETTLE_MS = 5000;
const EXPECTED =
  /^(stock\.lichen(\.journal-\d{20}|\.lock)?|published|manifest\.json|publish\.lock|\d{12}\.lichen)$/;

/**
 * Lets all kinds of traffic loose on one process for a time, and then looks what is left of it. A rehearsal comes before
 * the first look: what a process opens once for all is no growth.
 */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const { onProgress, ...rest } = options;
  const rehearsal = await play({ ...rest, seconds: Math.min(2, options.seconds / 4) }, holdings());
  const { errors, after } = rehearsal;
  if (errors.length > 0) return rehearsal;
  return play({ ...rest, ...(onProgress && { onProgress }) }, after);
}

async function play(
  options: SoakOptions,
  before: Holdings,
): Promise<SoakResult & { after: Holdings }> {
  const folder = mkdtempSync(join(tmpdir(), 'lichen-soak-'));
  try {
    const run = await runIn(folder, options);
    const leftOver = filesUnder(folder).filter((name) => !EXPECTED.test(name));
    let after = holdings();
    for (const end = Date.now() + SETTLE_MS; Date.now() < end; after = holdings()) {
      if (growthOf(before, after).length === 0) break;
      await setTimeout(100);
    }
    return {
      ...{ ...run, leftOver, grown: growthOf(before, after) },
      ...{ files: [before.files, after.files], after },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

type Run = Omit<SoakResult, 'leftOver' | 'grown' | 'files'>;

async function runIn(folder: string, options: SoakOptions): Promise<Run> {
  const library = compiled();
  const random = new library.Random(options.seed);
  const path = join(folder, 'stock.lichen');
  const stock = new Stock(await openStock(path), options.rows, random);
  const world: World = { library, stock, folder, random };
  // As many as it stays at, so that memory does not grow with them.
  while (stock.size < FILLED * options.rows) await stock.upsert(stock.someKeys(500, false));
  const actors = [
    ...searchActors(world),
    ...changeActors(world),
    ...(await publishActors(world)),
    ...cacheActors(world),
    ...(await serviceActors(world)),
    ...[abortActor(world), batcherActor(world)],
  ];
  const traffic = new Traffic(actors, options, stock);
  const run = await traffic.run();
  await stock.index[Symbol.asyncDispose]();
  // Every change that was acknowledged, and no other.
  const again = await library.HnswIndex.open(path, { durability: 'interval' });
  try {
    stock.compare('opened again', again);
  } catch (error) {
    run.errors.push(String(error));
  }
  again.close();
  return run;
}

async function openStock(path: string): Promise<HnswIndex> {
  const library = compiled();
  const empty = new library.HnswIndex({
    ...{ dim: DIM, metric: 'cosine', storage: 'i8', rerank: 'f16' },
    attributes: { shelf: 'category', price: 'number' },
  });
  await empty.save(path);
  empty.close();
  return library.HnswIndex.open(path, {
    durability: 'interval',
    checkpointBytes: CHECKPOINT_BYTES,
  });
}

/** Actors that each do one step after another, all side by side. */
class Traffic {
  readonly #actors: readonly Actor[];
  readonly #options: SoakOptions;
  readonly #stock: Stock;
  readonly #started = performance.now();
  readonly #end: number;
  readonly #operations = new Map<string, number>();
  readonly #errors: string[] = [];
  readonly #moments: Moment[] = [];

  constructor(actors: readonly Actor[], options: SoakOptions, stock: Stock) {
    this.#actors = actors;
    this.#options = options;
    this.#stock = stock;
    this.#end = this.#started + 1000 * options.seconds;
  }

  async run(): Promise<Run & { errors: string[] }> {
    const { only = '' } = this.#options;
    const wanted = this.#actors.filter(({ name }) =>
      only.split(',').some((part) => name.includes(part)),
    );
    await Promise.all([...wanted.map((actor) => this.#play(actor)), this.#watch()]);
    for (const actor of this.#actors) {
      await this.#guard(`closing ${actor.name}`, () => actor.close?.());
    }
    return {
      ...{ operations: this.#operations, errors: this.#errors, moments: this.#moments },
      recall: this.#stock.recall,
    };
  }

  get #isOver(): boolean {
    const { signal } = this.#options;
    const isHopeless = this.#errors.length >= MOST_ERRORS;
    return performance.now() >= this.#end || signal?.aborted === true || isHopeless;
  }

  async #play(actor: Actor): Promise<void> {
    const { name, everyMs } = actor;
    for (let steps = 1; !this.#isOver; steps++) {
      await this.#guard(name, () => actor.step());
      this.#operations.set(name, steps);
      // Others have their turn, also beside steps that never wait.
      if (everyMs === 0) await setImmediate();
      else await this.#sleep(everyMs);
    }
  }

  async #sleep(ms: number): Promise<void> {
    await setTimeout(Math.max(0, Math.min(ms, this.#end - performance.now())));
  }

  async #guard(name: string, step: () => Promise<void> | void): Promise<void> {
    try {
      await step();
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#errors.push(`${name}: ${text}`);
    }
  }

  /** Looks at memory now and then. */
  async #watch(): Promise<void> {
    const { seconds, onProgress } = this.#options;
    const everyMs = Math.max(250, (1000 * seconds) / MOMENTS);
    const tell = Math.min(MINUTE, seconds / 3);
    for (let told = 0; !this.#isOver;) {
      await this.#sleep(everyMs);
      const moment = look(this.#started);
      this.#moments.push(moment);
      if (moment.seconds < told + tell) continue;
      told = moment.seconds;
      const operations = [...this.#operations.values()].reduce((sum, count) => sum + count, 0);
      const { size, recall } = this.#stock;
      onProgress?.({ moment, operations, errors: this.#errors.length, size, recall });
    }
  }
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).map(({ name }) => name);
}
