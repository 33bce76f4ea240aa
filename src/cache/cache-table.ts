import { ASKED, CacheRows, COUNT, HASH, WEIGHT_LEVEL, wordsOf } from './cache-rows.js';
import {
  classOf,
  CLASSES,
  HitDensity,
  LEAST_LEVEL,
  levelOf,
  MOST_COUNT,
  NO_LEVEL,
} from './hit-density.js';
import { KeyHistory } from './key-history.js';
import { hashOf, type CacheKey } from './key-hash.js';
import { KeyIndex } from './key-index.js';
import { RecencyLists } from './recency-lists.js';

/** Rows given up before all classes are looked at again. */
const LOOK_EVERY = 16;
const LEAST_PERIOD = 4000;
/** Requests for each entry before what was learned replaces the first guess. */
const GUESSED = 10;

/** Limits of a {@link CacheTable}. */
export interface CacheTableOptions {
  /** Most rows. */
  readonly maxEntries: number;
  /** Most that the weights of all rows may come to. */
  readonly maxWeight: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** A row is given up or removed: what belongs to it may be freed. Default: its value is. */
  readonly onRemove?: (row: number) => void;
}

/** What happened in a cache so far. */
export interface CacheTableStatistics {
  /** Entries now. */
  readonly entries: number;
  /** The weights of all entries. */
  readonly size: number;
  /** Requests for what was there. */
  readonly hits: number;
  /** Requests for what was not. */
  readonly misses: number;
  /** Entries that made room for others. */
  readonly evictions: number;
  /** Values that were not taken, since they promised less than what would have had to go. */
  readonly rejections: number;
  /** Entries that went since their time was over. */
  readonly expired: number;
}

/**
 * Which keys a cache holds and which it gives up: typed arrays by row, no object an entry. A key that is new takes the
 * place of the least promising row ({@link HitDensity}, for each unit of weight) of those that each class of counts was
 * asked for longest ago, if it promises more; so a scan passes through and leaves what is in use.
 */
export class CacheTable {
  readonly keys: (CacheKey | undefined)[] = [];
  /** Values by row, of a cache that keeps them by reference. */
  readonly values: unknown[] = [];
  private readonly table = new CacheRows();
  /** When each row expires, empty while none does. */
  private expiries = new Float64Array(0);
  private readonly index = new KeyIndex(this.keys);
  private readonly free: number[] = [];
  private readonly density: HitDensity;
  private readonly history = new KeyHistory();
  private readonly lists = new RecencyLists(CLASSES, this.table);
  /** What the oldest row of each class is worth, while that stays. */
  private readonly worths = new Int32Array(CLASSES);
  /** The class that gives rows up, what its oldest row is worth, and the least that another class's is. */
  private worst = 0;
  private least = NO_LEVEL;
  private second = NO_LEVEL;
  private untilLook = 0;
  /** Rows that were ever used. */
  private used = 0;
  private clock = 0;
  private learnAt = 0;
  private isTimed = false;
  /** The key that was asked for last and is not there, with its hash: most often the one that comes next. */
  private missed: CacheKey | undefined;
  private missedHash = 0;
  /** A free row that is not in `free`, -1 if there is none. */
  private spare = -1;
  private rows = 0;
  private total = 0;
  private hits = 0;
  private misses = 0;
  private evictions = 0;
  private rejections = 0;
  private expired = 0;

  constructor(private readonly limits: CacheTableOptions) {
    this.density = new HitDensity(this.expectedRows());
  }

  /** Rows taken. */
  get size(): number {
    return this.rows;
  }

  get weight(): number {
    return this.total;
  }

  /** Numbers of rows are below this. */
  get capacity(): number {
    return this.table.capacity;
  }

  /** Bytes of the arrays; keys are the caller's to count. */
  get bytes(): number {
    const { table, expiries, index, history } = this;
    return table.bytes + expiries.byteLength + index.bytes + history.bytes;
  }

  /** The row of a key that somebody asks for, -1 if it has none: a request, which counts. */
  ask(key: CacheKey): number {
    const clock = (this.clock = (this.clock + 1) >>> 0);
    if (--this.learnAt < 0) this.learn();
    const hash = hashOf(key);
    const row = this.index.find(key, hash);
    if (row < 0) {
      this.missed = key;
      this.missedHash = hash;
      this.misses++;
      return -1;
    }
    if (this.isOver(row)) {
      this.expired++;
      this.misses++;
      this.remove(row);
      return -1;
    }
    this.hits++;
    const { words } = this.table;
    const at = wordsOf(row);
    const count = words[at + COUNT]!;
    const age = (clock - words[at + ASKED]!) >>> 0;
    this.density.saw(count, age);
    words[at + ASKED] = clock;
    const more = count < MOST_COUNT ? count + 1 : count;
    words[at + COUNT] = more;
    const from = classOf(count);
    const to = classOf(more);
    // One that was asked for a moment ago stands near the head as it is.
    if (from !== to || age > this.rows >>> 3) this.lists.move(row, from, to);
    return row;
  }

  /** The row of a key, without counting it as a request; -1 if it has none or has expired. */
  rowOf(key: CacheKey): number {
    if (key === this.missed) return -1;
    const row = this.index.find(key, hashOf(key));
    return row < 0 || this.isOver(row) ? -1 : row;
  }

  /** A row for a key that has none, or -1 if what it promises is not worth what would have to go. */
  admit(key: CacheKey, weight: number, expiry: number): number {
    const hash = key === this.missed ? this.missedHash : this.hashOfAbsent(key);
    this.missed = undefined;
    const known = this.history.take(hash);
    const { clock } = this;
    this.density.saw(known, (clock - this.history.lastAsked) >>> 0);
    const count = known < MOST_COUNT ? known + 1 : known;
    const weightLevel = weight === 1 ? 0 : levelOf(weight);
    if (!this.makeRoom(weight, this.density.level(count, 0) - weightLevel)) {
      this.rejections++;
      this.history.put(hash, count, clock, clock, this.density);
      return -1;
    }
    const row = this.unusedRow();
    this.keys[row] = key;
    const { words } = this.table;
    const at = wordsOf(row);
    words[at + HASH] = hash;
    words[at + ASKED] = clock;
    words[at + COUNT] = count;
    words[at + WEIGHT_LEVEL] = weightLevel;
    this.table.setWeight(row, weight);
    this.setExpiry(row, expiry);
    this.index.add(row, hash);
    this.lists.add(row, classOf(count));
    this.rows++;
    this.total += weight;
    return row;
  }

  /** Gives a row another weight and expiry; false, and the row removed, if it cannot stay. */
  reweigh(row: number, weight: number, expiry: number): boolean {
    this.total += weight - this.table.weight(row);
    this.table.setWeight(row, weight);
    this.table.words[wordsOf(row) + WEIGHT_LEVEL] = levelOf(weight);
    this.setExpiry(row, expiry);
    if (weight > this.limits.maxWeight) {
      this.remove(row);
      return false;
    }
    while (this.total > this.limits.maxWeight) {
      const victim = this.victim();
      this.evictions++;
      this.remove(victim);
      if (victim === row) return false;
    }
    return true;
  }

  /** Gives a row up; what is known of its key is remembered. */
  remove(row: number): void {
    const { words } = this.table;
    const at = wordsOf(row);
    const count = words[at + COUNT]!;
    const hash = words[at + HASH]! | 0;
    this.index.remove(row, hash);
    this.history.put(hash, count, words[at + ASKED]!, this.clock, this.density);
    const { onRemove } = this.limits;
    if (onRemove === undefined) this.values[row] = undefined;
    else onRemove(row);
    this.lists.remove(row, classOf(count));
    this.keys[row] = undefined;
    words[at + COUNT] = 0;
    this.rows--;
    this.total -= this.table.weight(row);
    if (this.rows === 0) this.total = 0;
    if (this.spare < 0) this.spare = row;
    else this.free.push(row);
  }

  /** Gives a key's row up; whether it had one. */
  delete(key: CacheKey): boolean {
    const row = this.rowOf(key);
    if (row >= 0) this.remove(row);
    return row >= 0;
  }

  stats(): CacheTableStatistics {
    const { rows: entries, total: size, hits, misses, evictions, rejections, expired } = this;
    return { entries, size, hits, misses, evictions, rejections, expired };
  }

  /** Gives all rows up, without telling `onRemove`. What was learned stays. */
  clear(): void {
    this.keys.length = 0;
    this.values.length = 0;
    this.table.words.fill(0);
    this.index.clear();
    this.lists.clear();
    this.free.length = 0;
    this.spare = -1;
    this.missed = undefined;
    this.used = 0;
    this.rows = 0;
    this.total = 0;
    this.isTimed = false;
    this.expiries = new Float64Array(0);
  }

  private setExpiry(row: number, expiry: number): void {
    if (!this.isTimed) {
      if (expiry === Infinity) return;
      this.expiries = new Float64Array(this.capacity).fill(Infinity);
      this.isTimed = true;
    }
    this.expiries[row] = expiry;
  }

  private makeRoom(weight: number, promised: number): boolean {
    const { maxEntries, maxWeight } = this.limits;
    if (weight > maxWeight) return false;
    while (this.rows >= maxEntries || this.total + weight > maxWeight) {
      const victim = this.victim();
      if (this.least > promised) return false;
      if (this.isOver(victim)) this.expired++;
      else this.evictions++;
      this.remove(victim);
    }
    return true;
  }

  private isOver(row: number): boolean {
    return this.isTimed && this.expiries[row]! <= this.limits.now();
  }

  /** Expected hits a request and unit of weight, as a level; the least for one that has expired. */
  private worth(row: number): number {
    if (this.isOver(row)) return LEAST_LEVEL;
    const { words } = this.table;
    const at = wordsOf(row);
    const age = (this.clock - words[at + ASKED]!) >>> 0;
    return this.density.level(words[at + COUNT]!, age) - (words[at + WEIGHT_LEVEL]! | 0);
  }

  /**
   * The least promising of the rows asked for longest ago in each class. What those are worth is remembered while they
   * stay; one class gives rows up until another's promises less. All are looked at anew after some, since waiting makes
   * every row worse.
   */
  private victim(): number {
    const row = this.lists.oldest(this.worst);
    if (--this.untilLook < 0) {
      this.lists.changed.fill(1);
      this.untilLook = LOOK_EVERY;
    } else if (row >= 0) {
      const worth = this.worth(row);
      if (worth <= this.second) {
        this.least = worth;
        return row;
      }
    }
    return this.look();
  }

  private look(): number {
    const { lists, worths } = this;
    const { changed } = lists;
    let worst = 0;
    let least = NO_LEVEL;
    let second = NO_LEVEL;
    for (let cls = 0; cls < CLASSES; cls++) {
      if (changed[cls] === 1) {
        changed[cls] = 0;
        const row = lists.oldest(cls);
        worths[cls] = row < 0 ? NO_LEVEL : this.worth(row);
      }
      const worth = worths[cls]!;
      if (worth < least) {
        second = least;
        least = worth;
        worst = cls;
      } else if (worth < second) {
        second = worth;
      }
    }
    this.worst = worst;
    this.least = least;
    this.second = second;
    return lists.oldest(worst);
  }

  /** The hash of a key that has no row; one that has expired may still stand there. */
  private hashOfAbsent(key: CacheKey): number {
    const hash = hashOf(key);
    const old = this.index.find(key, hash);
    if (old >= 0) this.remove(old);
    return hash;
  }

  private unusedRow(): number {
    const { spare } = this;
    if (spare < 0) return this.free.pop() ?? this.newRow();
    this.spare = -1;
    return spare;
  }

  private newRow(): number {
    if (this.used === this.capacity) this.grow();
    this.history.fit(Math.min(this.expectedRows(), this.used + 1));
    return this.used++;
  }

  private grow(): void {
    const rows = this.grownRows();
    this.table.grow(rows);
    if (!this.isTimed) return;
    const { expiries } = this;
    this.expiries = new Float64Array(rows).fill(Infinity);
    this.expiries.set(expiries);
  }

  /** As many as there will be when all are as the ones so far, but not more than four times as many as now. */
  private grownRows(): number {
    const { maxEntries, maxWeight } = this.limits;
    const likely = maxWeight === Infinity ? Infinity : (maxWeight / this.total) * this.rows * 1.02;
    const rows = Math.max(this.capacity * 1.25, Math.min(likely, this.capacity * 4));
    return Math.ceil(Math.min(Math.max(maxEntries, this.capacity), rows));
  }

  private expectedRows(): number {
    return Math.min(this.limits.maxEntries, 2 ** 31);
  }

  private learn(): void {
    this.learnAt = Math.max(LEAST_PERIOD, 2 * this.rows);
    if (this.clock > Math.max(GUESSED * this.rows, LEAST_PERIOD)) this.density.learn();
    else if (this.limits.maxEntries === Infinity) this.density.guess(this.rows);
    this.untilLook = 0;
  }
}
