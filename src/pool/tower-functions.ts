import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { LichenError } from '../errors.js';
import type { BagTower, TableTower, TowerBatch, TowerFunction, UserTower } from './user-tower.js';

/**
 * What evaluates a tower in a worker. The array that a table or bag tower gives is used again by the next call.
 * @param most users of a call
 * @throws ERR_LICHEN_WORKER for a module that cannot be loaded or has no `createTower`.
 */
export async function towerFunction(tower: UserTower, most: number): Promise<TowerFunction> {
  switch (tower.kind) {
    case 'vectors':
      return ({ vectors }) => vectors!.data;
    case 'table':
      return rowsOf(tower, most);
    case 'bag':
      return sumsOf(tower, most);
    case 'module':
      return moduleTower(tower.path, tower.data);
  }
}

function rowsOf({ vectors: { data, dim } }: TableTower, most: number): TowerFunction {
  const out = new Float32Array(most * dim);
  return ({ rows, users }) => {
    for (let at = 0; at < rows; at++) {
      const from = users![at]! * dim;
      out.set(data.subarray(from, from + dim), at * dim);
    }
    return out.subarray(0, rows * dim);
  };
}

function sumsOf({ vectors: { data, dim }, normalize }: BagTower, most: number): TowerFunction {
  const out = new Float32Array(most * dim);
  // Sums in double: a history may be long.
  const sum = new Float64Array(dim);
  return ({ rows: users, history }: TowerBatch) => {
    const { offsets, rows, weights } = history!;
    for (let user = 0; user < users; user++) {
      sum.fill(0);
      for (let at = offsets[user]!; at < offsets[user + 1]!; at++) {
        const from = rows[at]! * dim;
        const weight = weights === undefined ? 1 : weights[at]!;
        for (let d = 0; d < dim; d++) sum[d]! += weight * data[from + d]!;
      }
      let scale = 1;
      if (normalize === true) {
        let square = 0;
        for (let d = 0; d < dim; d++) square += sum[d]! * sum[d]!;
        if (square > 0) scale = 1 / Math.sqrt(square);
      }
      for (let d = 0; d < dim; d++) out[user * dim + d] = scale * sum[d]!;
    }
    return out.subarray(0, users * dim);
  };
}

type CreateTower = (data: unknown) => TowerFunction | Promise<TowerFunction>;

async function moduleTower(path: string, data: unknown): Promise<TowerFunction> {
  let made: unknown;
  try {
    const create = (await loadModule(path)).createTower as CreateTower | undefined;
    if (typeof create !== 'function') throw new Error('it exports no function createTower');
    made = await create(data);
  } catch (cause) {
    throw failed(`cannot make the user tower of ${path}`, cause);
  }
  if (typeof made !== 'function') {
    throw new LichenError('ERR_LICHEN_WORKER', `createTower of ${path} gave no function`);
  }
  const tower = made as TowerFunction;
  return async (batch) => {
    try {
      return await tower(batch);
    } catch (cause) {
      throw failed(`the user tower of ${path} failed`, cause);
    }
  };
}

async function loadModule(path: string): Promise<Record<string, unknown>> {
  try {
    return createRequire(__filename)(path) as Record<string, unknown>;
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code !== 'ERR_REQUIRE_ESM' && code !== 'ERR_REQUIRE_ASYNC_MODULE') throw error;
    return (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  }
}

function failed(what: string, cause: unknown): LichenError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new LichenError('ERR_LICHEN_WORKER', `${what}: ${reason}`, { cause });
}
