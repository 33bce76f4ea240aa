import { Random, type HnswIndex, type Matrix } from '../../src/index.js';
import type { UserHistories } from '../../src/pool/user-tower.js';

/** Users who met items that are near one another: some of the nearest to one that is drawn. */
export async function histories(
  index: HnswIndex,
  { data, rows, dim }: Matrix,
  users: number,
  length: number,
): Promise<UserHistories> {
  const random = new Random(7);
  const near = 3 * length;
  const queries = new Float32Array(users * dim);
  for (let user = 0; user < users; user++) {
    const from = random.below(rows) * dim;
    queries.set(data.subarray(from, from + dim), user * dim);
  }
  const { keys } = await index.searchBatch(queries, { k: near });
  return {
    offsets: Uint32Array.from({ length: users + 1 }, (_, user) => user * length),
    rows: Uint32Array.from(
      { length: users * length },
      (_, at) => keys[Math.floor(at / length) * near + random.below(near)]!,
    ),
  };
}

/** Those of some users, for a batch; all are of one length. */
export function historiesOf(all: UserHistories, numbers: readonly number[]): UserHistories {
  const length = all.offsets[1]!;
  const rows = new Uint32Array(numbers.length * length);
  for (const [at, number] of numbers.entries()) {
    rows.set(all.rows.subarray(number * length, (number + 1) * length), at * length);
  }
  return {
    offsets: Uint32Array.from({ length: numbers.length + 1 }, (_, at) => at * length),
    rows,
  };
}
