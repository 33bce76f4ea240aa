import type { ClusterIndex } from '../../src/cluster/index.js';
import type { LichenError } from '../../src/errors.js';
import { Random } from '../../src/vectors/random.js';
import { INDEX } from './chaos-world.js';

/** What a key may hold: the version that was acknowledged last, or 0 for none, and those that may have got there besides. */
interface Known {
  acknowledged: number;
  readonly possible: Set<number>;
}

/** What a workload has met with. */
export interface WorkloadFigures {
  writes: number;
  /** Changes of which is not known whether they were stored. */
  unknown: number;
  reads: number;
  /** Reads that did not find what had been acknowledged before. */
  stale: number;
  /** Milliseconds until a read found it. */
  longestStale: number;
  searches: number;
  partial: number;
  failed: number;
  /** Milliseconds. */
  longestWrite: number;
  /** Between two answers of all shards, and between any two. */
  longestWhole: number;
  longestAny: number;
}

export function emptyFigures(): WorkloadFigures {
  return {
    ...{
      writes: 0,
      unknown: 0,
      reads: 0,
      stale: 0,
      searches: 0,
      partial: 0,
      failed: 0,
    },
    ...{ longestStale: 0, longestWrite: 0, longestWhole: 0, longestAny: 0 },
  };
}

const WRITERS = 3;
const SEARCHERS = 2;
const KEYS_A_WRITER = 60;
/** A key that was added once and is never touched again is of this kind. */
const ADDED_FROM = 1_000_000;
const PAUSE_MS = 5;
const MOST_STALE_MS = 20_000;

/**
 * Writers, each of keys of its own, so that the order of their changes is known, and searchers. Writers read what they have
 * written: it must be there.
 */
export class Workload {
  figures = emptyFigures();
  /** What must never be: acknowledged and lost, done twice, or found otherwise than it was written. */
  readonly violations: string[] = [];
  private readonly known = new Map<number, Known>();
  private version = 0;
  private added = 0;
  private isOver = false;
  private running: Promise<unknown> = Promise.resolve();
  private lastWhole = 0;
  private lastAny = 0;

  constructor(
    private readonly index: ClusterIndex,
    private readonly seed: number,
  ) {}

  start(): void {
    this.isOver = false;
    this.lastWhole = this.lastAny = performance.now();
    const loops = [
      ...Array.from({ length: WRITERS }, (_, at) => this.write(at)),
      ...Array.from({ length: SEARCHERS }, (_, at) => this.search(at)),
    ];
    this.running = Promise.all(loops);
  }

  /** Ends when what is under way has ended. */
  async stop(): Promise<void> {
    this.isOver = true;
    await this.running;
  }

  /** Ends when it can, and nobody waits for it. */
  abandon(): void {
    this.isOver = true;
    this.running.catch(() => undefined);
  }

  /** Whether every key holds what it must. */
  async verify(): Promise<void> {
    for (const [key, known] of this.known) {
      const version = await this.versionOf(key);
      if (known.possible.has(version)) {
        // What is there now is what the next change comes after.
        known.acknowledged = version;
        known.possible.clear();
        known.possible.add(version);
        continue;
      }
      this.violations.push(
        `key ${key} holds version ${version}, expected ${[...known.possible].join(' or ')}`,
      );
    }
  }

  /** Key to version of all that must be there; those that are not certain are left out. */
  expected(): Map<number, number> {
    const certain = [...this.known].filter(([, { possible }]) => possible.size === 1);
    return new Map(certain.map(([key, { acknowledged }]) => [key, acknowledged]));
  }

  private async write(writer: number): Promise<void> {
    const random = new Random(this.seed * 100 + writer + 1);
    while (!this.isOver) {
      const kind = random.below(8);
      if (kind === 0) await this.change([ADDED_FROM + this.added++], 'add', random);
      else {
        const keys = new Set<number>();
        while (keys.size < 1 + random.below(4)) {
          keys.add(writer + WRITERS * random.below(KEYS_A_WRITER));
        }
        const there = [...keys].filter((key) => (this.known.get(key)?.acknowledged ?? 0) > 0);
        const isCertain = there.every((key) => this.known.get(key)!.possible.size === 1);
        if (kind === 1 && there.length > 0 && isCertain) await this.change(there, 'remove', random);
        else await this.change([...keys], 'upsert', random);
      }
      await pause(PAUSE_MS);
    }
  }

  private async change(
    keys: number[],
    kind: 'add' | 'upsert' | 'remove',
    random: Random,
  ): Promise<void> {
    const version = kind === 'remove' ? 0 : ++this.version;
    const vectors = keys.map((key) => vectorOf(key, version, random));
    const since = performance.now();
    const known = keys.map((key) => {
      const one = this.known.get(key) ?? { acknowledged: 0, possible: new Set([0]) };
      this.known.set(key, one);
      one.possible.add(version);
      return one;
    });
    try {
      if (kind === 'remove') await this.index.remove(keys);
      else await this.index[kind](vectors, { keys });
    } catch (error) {
      const { code, message } = error as LichenError;
      if (code !== 'ERR_LICHEN_DEADLINE')
        this.violations.push(`${kind} ${keys.join()}: ${message}`);
      this.figures.unknown++;
      return;
    } finally {
      this.figures.longestWrite = Math.max(this.figures.longestWrite, performance.now() - since);
    }
    this.figures.writes++;
    for (const one of known) {
      one.acknowledged = version;
      one.possible.clear();
      one.possible.add(version);
    }
    await this.readBack(keys[0]!, version, kind === 'remove' ? undefined : vectors[0]);
  }

  /** Nobody else changes the key meanwhile. */
  private async readBack(
    key: number,
    version: number,
    vector: Float32Array | undefined,
  ): Promise<void> {
    try {
      const since = performance.now();
      let found = await this.versionOf(key, 1);
      // Servers of NATS that were cut off may disagree on what a stream holds, until replicas have compared them.
      const isStale = found !== version;
      if (isStale) this.figures.stale++;
      while (found !== version && performance.now() - since < MOST_STALE_MS) {
        await pause(50);
        found = await this.versionOf(key, 1);
      }
      if (found !== version) {
        this.violations.push(`key ${key} was read as ${found} long after ${version} was written`);
      }
      if (isStale && found === version) {
        const ms = performance.now() - since;
        this.figures.longestStale = Math.max(this.figures.longestStale, ms);
      }
      this.figures.reads++;
      if (vector === undefined) return;
      const { keys, missing } = await this.index.search(vector, { k: 1, exact: true });
      if (missing.length === 0 && keys[0] !== key) this.figures.stale++;
    } catch {
      // Nobody answered in time: that is no violation.
    }
  }

  private async versionOf(key: number, tries = 20): Promise<number> {
    for (let at = 1; ; at++) {
      try {
        const vector = await this.index.get(key);
        if (vector !== undefined && vector[0] !== key) {
          this.violations.push(`key ${key} has the vector of ${vector[0]}`);
        }
        return vector?.[1] ?? 0;
      } catch (error) {
        if (at === tries) throw error;
      }
    }
  }

  private async search(searcher: number): Promise<void> {
    const random = new Random(this.seed * 100 + 50 + searcher);
    while (!this.isOver) {
      const query = vectorOf(random.below(180), random.below(1000), random);
      const { figures } = this;
      figures.searches++;
      try {
        const { missing, scores } = await this.index.search(query, { k: 5, exact: true });
        if (scores.some((score, at) => at > 0 && score < scores[at - 1]!)) {
          this.violations.push('results are out of order');
        }
        if (missing.length > 0) figures.partial++;
        this.answered(missing.length === 0);
      } catch {
        figures.failed++;
      }
      await pause(PAUSE_MS);
    }
  }

  private answered(isWhole: boolean): void {
    const now = performance.now();
    const { figures } = this;
    figures.longestAny = Math.max(figures.longestAny, now - this.lastAny);
    this.lastAny = now;
    if (!isWhole) return;
    figures.longestWhole = Math.max(figures.longestWhole, now - this.lastWhole);
    this.lastWhole = now;
  }
}

/** A vector that tells its key and version. */
function vectorOf(key: number, version: number, random: Random): Float32Array {
  const vector = Float32Array.from({ length: INDEX.dim }, () => random.uniform());
  vector[0] = key;
  vector[1] = version;
  return vector;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
