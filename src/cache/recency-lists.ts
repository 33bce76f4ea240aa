const NONE = 0xffffffff;

/** Rows in lists by class, each from the one asked for last to the one asked for longest ago. */
export class RecencyLists {
  private older: Uint32Array;
  private newer: Uint32Array;
  private readonly first: Uint32Array;
  private readonly last: Uint32Array;
  /** 1 for each class whose oldest row is another than when this was last set to 0. */
  readonly changed: Uint8Array;

  constructor(
    readonly classes: number,
    rows: number,
  ) {
    this.older = new Uint32Array(rows);
    this.newer = new Uint32Array(rows);
    this.first = new Uint32Array(classes).fill(NONE);
    this.last = new Uint32Array(classes).fill(NONE);
    this.changed = new Uint8Array(classes).fill(1);
  }

  get bytes(): number {
    return this.older.byteLength + this.newer.byteLength;
  }

  /** The row of a class asked for longest ago, -1 if the class is empty. */
  oldest(cls: number): number {
    return this.last[cls]! | 0;
  }

  /** The row of the same class asked for just after another, -1 after the last. */
  after(row: number): number {
    return this.newer[row]! | 0;
  }

  add(row: number, cls: number): void {
    const head = this.first[cls]!;
    this.older[row] = head;
    this.newer[row] = NONE;
    this.first[cls] = row;
    if (head === NONE) {
      this.last[cls] = row;
      this.changed[cls] = 1;
    } else {
      this.newer[head] = row;
    }
  }

  remove(row: number, cls: number): void {
    const older = this.older[row]!;
    const newer = this.newer[row]!;
    if (newer === NONE) this.first[cls] = older;
    else this.older[newer] = older;
    if (older === NONE) {
      this.last[cls] = newer;
      this.changed[cls] = 1;
    } else {
      this.newer[older] = newer;
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

  grow(rows: number): void {
    const older = new Uint32Array(rows);
    older.set(this.older);
    this.older = older;
    const newer = new Uint32Array(rows);
    newer.set(this.newer);
    this.newer = newer;
  }
}
