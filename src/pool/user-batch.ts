import { LichenArgumentError, shown } from '../errors.js';
import { matrix, type Matrix } from '../vectors/matrix.js';
import type { ArenaLengths, ArenaViews } from './arena.js';
import type { TowerBatch, UserHistories, UserTower } from './user-tower.js';

/**
 * The users that a pool is to retrieve for. The tower says what is needed: `table` wants `users`, `bag` wants `history`,
 * `vectors` wants `vectors`, a module takes whatever is given. A pool that knows what users have wants `users` as well.
 */
export interface UserBatch {
  /** Numbers of the users; -1 for one who is nobody known, where the tower needs no number. */
  readonly users?: Int32Array | Uint32Array | readonly number[] | undefined;
  /** What each user met, as rows of the tower's table. */
  readonly history?: UserHistories | undefined;
  /** One vector a user; a Float32Array has as many values a vector as the index. */
  readonly vectors?: Float32Array | Matrix | undefined;
}

/** A batch that is checked. Its arrays may still be the caller's. */
export interface CheckedBatch {
  readonly rows: number;
  readonly users: ArrayLike<number> | undefined;
  readonly history: UserHistories | undefined;
  readonly vectors: Matrix | undefined;
}

const MEMBERS = ['users', 'history', 'vectors'] as const;
const TAKES: Readonly<Record<UserTower['kind'], readonly (typeof MEMBERS)[number][]>> = {
  table: ['users'],
  bag: ['users', 'history'],
  vectors: ['users', 'vectors'],
  module: MEMBERS,
};
const NEEDS = { table: 'users', bag: 'history', vectors: 'vectors', module: undefined } as const;
const MOST_USER = 2 ** 31 - 1;

/**
 * Checks a batch for a tower of an index of dimension `dim`.
 * @throws ERR_LICHEN_ARGUMENT for a batch that is none or a number out of range, ERR_LICHEN_DIMENSION where the parts
 * differ in length, ERR_LICHEN_EMPTY, ERR_LICHEN_UNKNOWN_KEY for a user or a row that the tower's table does not have.
 */
export function checkBatch(batch: UserBatch, tower: UserTower, dim: number): CheckedBatch {
  if (batch === null || typeof batch !== 'object' || Array.isArray(batch)) {
    throw bad(`batch must be { users, history or vectors }, got ${shown(batch)}`);
  }
  const takes = TAKES[tower.kind];
  for (const name of Object.keys(batch)) {
    if (batch[name as 'users'] === undefined || takes.includes(name as 'users')) continue;
    throw bad(`batch.${name} is nothing that a ${tower.kind} tower takes: ${takes.join(', ')}`);
  }
  const needed = NEEDS[tower.kind];
  if (needed !== undefined && batch[needed] === undefined) {
    throw bad(`batch.${needed} must be given: the tower is of kind ${tower.kind}`);
  }
  const vectors = checkVectors(batch.vectors, tower, dim);
  const { users, history } = batch;
  if (users !== undefined) checkUsers(users, tower);
  if (history !== undefined) checkHistory(history, tower);
  const lengths = [
    ['users', users?.length],
    ['history', history && history.offsets.length - 1],
    ['vectors', vectors?.rows],
  ] as const;
  const there = lengths.filter(([, length]) => length !== undefined);
  const [first] = there;
  if (first === undefined) throw bad('batch must have users, history or vectors');
  const rows = first[1]!;
  const other = there.find(([, length]) => length !== rows);
  if (other !== undefined) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `batch.${other[0]} must be of as many users as batch.${first[0]}, ${rows}, got ${other[1]!}`,
    );
  }
  if (rows === 0) {
    throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'batch must hold at least one user');
  }
  return { rows, users, history, vectors };
}

function checkUsers(users: unknown, tower: UserTower): void {
  const isList =
    users instanceof Int32Array || users instanceof Uint32Array || Array.isArray(users);
  if (!isList) {
    throw bad(`batch.users must be an Int32Array, a Uint32Array or numbers, got ${shown(users)}`);
  }
  const isTable = tower.kind === 'table';
  const [least, most] = isTable ? [0, tower.vectors.rows - 1] : [-1, MOST_USER];
  const numbers = users as ArrayLike<unknown>;
  for (let at = 0; at < numbers.length; at++) {
    const user = numbers[at];
    if (Number.isInteger(user) && (user as number) >= least && (user as number) <= most) continue;
    const text = `batch.users[${at}] must be an integer from ${least} to ${most}, got ${shown(user)}`;
    throw Number.isInteger(user) && isTable ? unknown(text) : bad(text);
  }
}

function checkHistory(history: UserHistories | null, tower: UserTower): void {
  const { offsets, rows, weights } = history ?? ({} as Partial<UserHistories>);
  if (!(offsets instanceof Uint32Array) || !(rows instanceof Uint32Array)) {
    throw bad('batch.history must be { offsets: Uint32Array, rows: Uint32Array, weights? }');
  }
  if (weights !== undefined && !(weights instanceof Float32Array)) {
    throw bad(`batch.history.weights must be a Float32Array, got ${shown(weights)}`);
  }
  if (offsets.length === 0) throw bad('batch.history.offsets must have one entry more than users');
  for (let at = 1; at < offsets.length; at++) {
    if (offsets[at]! < offsets[at - 1]!) throw bad('batch.history.offsets must ascend');
  }
  const end = offsets.at(-1)!;
  if (end > rows.length || (weights !== undefined && end > weights.length)) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `batch.history: offsets end at ${end}, got ${rows.length} rows` +
        (weights === undefined ? '' : ` and ${weights.length} weights`),
    );
  }
  if (tower.kind !== 'bag') return;
  const tableRows = tower.vectors.rows;
  for (let at = offsets[0]!; at < end; at++) {
    if (rows[at]! >= tableRows) {
      throw unknown(
        `batch.history.rows[${at}] must be below the ${tableRows} rows of the table, got ${rows[at]!}`,
      );
    }
  }
}

function checkVectors(
  vectors: UserBatch['vectors'],
  tower: UserTower,
  dim: number,
): Matrix | undefined {
  if (vectors === undefined) return undefined;
  if (vectors instanceof Float32Array) return matrix(vectors, dim);
  if (!(vectors?.data instanceof Float32Array) || typeof vectors.dim !== 'number') {
    throw bad(`batch.vectors must be a Float32Array or a Matrix, got ${shown(vectors)}`);
  }
  if (tower.kind === 'vectors' && vectors.dim !== dim) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `batch.vectors: dim is ${dim}, got ${vectors.dim} values`,
    );
  }
  return matrix(vectors.data, vectors.dim);
}

/** The sections of an arena that a batch takes. */
export function lengthsOf({ users, history, vectors }: CheckedBatch): ArenaLengths {
  const places = history && history.offsets.at(-1)! - history.offsets[0]!;
  return {
    users: users?.length,
    offsets: history?.offsets.length,
    history: places,
    weights: history?.weights && places,
    vectors: vectors?.data.length,
  };
}

/** Copies a batch into the arena that was made for it. */
export function writeBatch({ users, history, vectors }: CheckedBatch, to: ArenaViews): void {
  if (users !== undefined) to.users!.set(users);
  if (vectors !== undefined) to.vectors!.set(vectors.data);
  if (history === undefined) return;
  const { offsets, rows, weights } = history;
  const [first, end] = [offsets[0]!, offsets.at(-1)!];
  for (let at = 0; at < offsets.length; at++) to.offsets![at] = offsets[at]! - first;
  to.history!.set(rows.subarray(first, end));
  if (weights !== undefined) to.weights!.set(weights.subarray(first, end));
}

/** Users [first, last) of a batch that lies in an arena. */
export function batchPart(from: ArenaViews, first: number, last: number, dim: number): TowerBatch {
  const { users, offsets, history, weights, vectors } = from;
  return {
    rows: last - first,
    users: users?.subarray(first, last),
    history: offsets && {
      offsets: offsets.subarray(first, last + 1),
      rows: history!,
      weights,
    },
    vectors: vectors && {
      data: vectors.subarray(first * dim, last * dim),
      rows: last - first,
      dim,
    },
  };
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}

function unknown(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_UNKNOWN_KEY', message);
}
