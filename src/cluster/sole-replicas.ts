/** Answers of one replica, and of no other, after which it counts as the only one. */
const ENOUGH = 64;

/**
 * Which shards have a single replica, so that asking a second time is of no use. Where there are several, queue groups ask
 * each in turn; one that hangs is known by the others' winning when they are asked second.
 */
export class SoleReplicas {
  readonly #last = new Map<number, string>();
  readonly #answers = new Map<number, number>();

  /** @param isHedge whether it was asked second: then another was asked first. */
  answered(shard: number, replica: string, isHedge: boolean): void {
    const isSame = !isHedge && this.#last.get(shard) === replica;
    this.#last.set(shard, replica);
    this.#answers.set(shard, isSame ? (this.#answers.get(shard) ?? 0) + 1 : 0);
  }

  /** Nobody answered: there may be one that hangs. */
  missed(shard: number): void {
    this.#answers.delete(shard);
  }

  isSole(shard: number): boolean {
    return (this.#answers.get(shard) ?? 0) >= ENOUGH;
  }
}
