/**
 * An index over several machines on NATS: its replicas, its clients, laying out and resharding it.
 * @packageDocumentation
 */
export {
  createCluster,
  dropCluster,
  publishToCluster,
  reshardCluster,
  switchCluster,
  type CreateClusterOptions,
  type PublishToClusterOptions,
  type ReshardOptions,
} from './admin.js';
export { ClusterIndex } from './cluster-index.js';
export { ClusterNode, type ClusterNodeOptions, type NodeStatistics } from './cluster-node.js';
export {
  ClusterFilter,
  type ClusterAddOptions,
  type ClusterIndexOptions,
  type ClusterSearchBatchOptions,
  type ClusterSearchBatchResult,
  type ClusterSearchExtras,
  type ClusterSearchOptions,
  type ClusterSearchResult,
  type ClusterSearchWithinOptions,
  type ClusterWriteOptions,
  type WriteToken,
} from './cluster-options.js';
export type {
  ClusterStatistics,
  ReplicaStatistics,
  ShardStatistics,
} from './cluster-statistics.js';
export type { ClusterAddress, NatsOptions } from './connection.js';
export type { EndpointCounts } from './endpoints.js';
export type { EpochStatistics } from './epoch-replica.js';
export type { SwitchOptions } from './epochs.js';
export type { GatherCounts } from './gather.js';
export type { LayOutOptions } from './lay-out.js';
export { shardOf } from './names.js';
export type { ShardIndexOptions, ShardMap } from './shard-map.js';
export type { ShardCounts } from './shard-state.js';
