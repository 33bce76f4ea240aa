import { NEWER, OLDER, wordsOf, type CacheRows } from './cache-rows.js';

const NONE = 0xffffffff;

/** Rows in lists by class, each from the one asked for last to the one asked for longest ago. */
export class RecencyLists {
  private readonly first: Uint32Array;
  private readonly last: Uint32Array;
  /** 1 for each class whose oldest row is another than when this was last set to 0. */
  readonly changed: Uint8Array;

  constructor(
    classes: number,
    private readonly rows: CacheRows,
  ) {
    this.first = new Uint32Array(classes).fill(NONE);
    this.last = new Uint32Array(classes).fill(NONE);
    this.changed = new Uint8Array(classes).fill(1);
  }

  /** The row of a class asked for longest ago, -1 if the class is empty. */
  oldest(cls: number): number {
    return this.last[cls]! | 0;
  }

  add(row: number, cls: number): void {
    const { words } = this.rows;
    const head = this.first[cls]!;
    words[wordsOf(row) + OLDER] = head;
    words[wordsOf(row) + NEWER] = NONE;
    this.first[cls] = row;
    if (head === NONE) {
      this.last[cls] = row;
      this.changed[cls] = 1;
    } else {
      words[wordsOf(head) + NEWER] = row;
    }
  }

  remove(row: number, cls: number): void {
    const { words } = this.rows;
    const older = words[wordsOf(row) + OLDER]!;
    const newer = words[wordsOf(row) + NEWER]!;
    if (newer === NONE) this.first[cls] = older;
    else words[wordsOf(newer) + OLDER] = older;
    if (older === NONE) {
      this.last[cls] = newer;
      this.changed[cls] = 1;
    } else {
      words[wordsOf(older) + NEWER] = newer;
    }
  }

  /** To the head of the same or another class. */
  move(row: number, from: number, to: number): void {
    if (from === to && this.first[to] === row) return;
    this.remove(row, from);
    this.add(row, to);
  }

  clear(): void {
    this.first.fill(NONE);
    this.last.fill(NONE);
    this.changed.fill(1);
  }
}
