import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LichenArgumentError, shown } from '../errors.js';
import { matrix, type Matrix } from '../vectors/matrix.js';
import { withinMemory } from '../vectors/memory.js';

/** A user's vector is a row of a table: of batches with `users`. */
export interface TableTower {
  /** Tells the kinds of towers apart. */
  readonly kind: 'table';
  /** Row u is the vector of user number u. */
  readonly vectors: Matrix;
}

/**
 * A user's vector is the sum of rows of a table, each times its weight: of batches with `history`, such as the items a
 * user met last.
 */
export interface BagTower {
  /** Tells the kinds of towers apart. */
  readonly kind: 'bag';
  /** The table: row r is the vector of item r. */
  readonly vectors: Matrix;
  /** Whether the sum is divided by its length; zeros stay zeros. Default false. */
  readonly normalize?: boolean | undefined;
}

/** The caller gives the users' vectors: of batches with `vectors`. */
export interface VectorsTower {
  /** Tells the kinds of towers apart. */
  readonly kind: 'vectors';
}

/**
 * A module of the caller's, which every worker loads: it exports `createTower(data)`, which gives a
 * {@link TowerFunction} or a promise of one.
 */
export interface ModuleTower {
  /** Tells the kinds of towers apart. */
  readonly kind: 'module';
  /** Absolute path or `file:` URL. */
  readonly path: string;
  /** What `createTower` is given; anything that can be sent to a worker. Share weights as SharedArrayBuffers. */
  readonly data?: unknown;
}

/** How the workers of a pool get from a user to the vector that is searched for. */
export type UserTower = TableTower | BagTower | VectorsTower | ModuleTower;

/** Some users of a batch, as a tower gets them: those parts that the batch has. Valid during the call. */
export interface TowerBatch {
  /** Number of users. */
  readonly rows: number;
  /** A number a user. */
  readonly users?: Int32Array | undefined;
  /** Of user i the places `offsets[i]` to `offsets[i + 1]` of `rows` and `weights`. */
  readonly history?: UserHistories | undefined;
  /** A row a user. */
  readonly vectors?: Matrix | undefined;
}

/** Rows of a table, each with a weight, user after user. */
export interface UserHistories {
  /** One entry more than there are users, ascending. */
  readonly offsets: Uint32Array;
  /** Row numbers of the table. */
  readonly rows: Uint32Array;
  /** One a row. Default: all 1. */
  readonly weights?: Float32Array | undefined;
}

/** Gives the users' vectors, `rows * dim` values. */
export type TowerFunction = (batch: TowerBatch) => Float32Array | Promise<Float32Array>;

const OPTIONS = {
  table: ['kind', 'vectors'],
  bag: ['kind', 'vectors', 'normalize'],
  vectors: ['kind'],
  module: ['kind', 'path', 'data'],
} as const;

/**
 * The tower as workers get it: its table in memory that all of them share.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_DIMENSION for a table of another dimension than the index has.
 */
export function resolveTower(tower: UserTower, dim: number): UserTower {
  const given = tower as unknown as Record<string, unknown> | null | undefined;
  const kind = given?.kind as UserTower['kind'];
  if (given === null || typeof given !== 'object' || !Object.hasOwn(OPTIONS, kind)) {
    const kinds = Object.keys(OPTIONS).join(', ');
    throw bad(`tower.kind must be one of ${kinds}, got ${shown(given?.kind)}`);
  }
  const known: readonly string[] = OPTIONS[kind];
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw bad(`unknown member '${unknown}' of a ${kind} tower, expected ${known.join(', ')}`);
  }
  switch (tower.kind) {
    case 'vectors':
      return tower;
    case 'table':
      return { kind: 'table', vectors: resolveTable(tower.vectors, dim) };
    case 'bag':
      if (!['boolean', 'undefined'].includes(typeof tower.normalize)) {
        throw bad(`tower.normalize must be true or false, got ${shown(tower.normalize)}`);
      }
      return {
        kind: 'bag',
        vectors: resolveTable(tower.vectors, dim),
        normalize: tower.normalize ?? false,
      };
    case 'module':
      return { kind: 'module', path: resolvePath(tower.path), data: tower.data };
  }
}

function resolveTable(table: unknown, dim: number): Matrix {
  const given = table as Partial<Matrix> | null | undefined;
  if (!(given?.data instanceof Float32Array) || typeof given.dim !== 'number') {
    throw bad(`tower.vectors must be a Matrix, got ${shown(table)}`);
  }
  if (given.dim !== dim) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `tower.vectors: dim is ${dim} in the index, got ${given.dim}`,
    );
  }
  return sharedMatrix(matrix(given.data, dim));
}

/**
 * The matrix in memory that threads can share (a SharedArrayBuffer): itself if it lies there already, else a copy, which
 * pools with the same table can have in common.
 *
 * @example
 * const table = sharedMatrix(itemVectors);
 * const pool = await RetrievalPool.create({ index, tower: { kind: 'bag', vectors: table } });
 */
export function sharedMatrix(from: Matrix): Matrix {
  const { data, rows, dim } = from;
  if (data.buffer instanceof SharedArrayBuffer) return from;
  const bytes = data.length * 4;
  const copy = withinMemory(bytes, () => new Float32Array(new SharedArrayBuffer(bytes)));
  copy.set(data);
  return { data: copy, rows, dim };
}

function resolvePath(path: unknown): string {
  if (typeof path === 'string') {
    if (path.startsWith('file:')) return fileURLToPath(path);
    if (isAbsolute(path)) return path;
  }
  throw bad(`tower.path must be an absolute path or a file: URL, got ${shown(path)}`);
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
