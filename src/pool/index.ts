/**
 * Worker threads that evaluate user towers and search one shared index.
 * @packageDocumentation
 */
export { RetrievalPool, type RetrievalPoolStatistics } from './retrieval-pool.js';
export type { KnownItemsOptions, RetrievalPoolOptions, RetrieveOptions } from './pool-options.js';
export type { UserBatch } from './user-batch.js';
export {
  sharedMatrix,
  type BagTower,
  type ModuleTower,
  type TableTower,
  type TowerBatch,
  type TowerFunction,
  type UserHistories,
  type UserTower,
  type VectorsTower,
} from './user-tower.js';
