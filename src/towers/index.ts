/**
 * Models of two towers: training, encoding, saving and opening them; rankers; towers of ONNX.
 * @packageDocumentation
 */
export {
  TOWER_DEFAULTS,
  TWO_TOWER_DEFAULTS,
  type ResolvedTwoTowerOptions,
  type TwoTowerOptions,
  type TwoTowerProgress,
  type TwoTowerSettings,
  type LossName,
  type UserTowerKind,
} from './options.js';
export { TwoTowerModel, type TwoTowerSource } from './two-tower-model.js';
export type {
  TwoTowerInfo,
  TwoTowerMetric,
  OpenModelOptions,
  SaveModelOptions,
} from './model-files.js';
export type { NewUser, TowerWeights } from './new-vectors.js';
export type { FeatureColumn, FeatureColumns, FeatureValues } from './features.js';
export { readFeatures, type ReadFeatures, type ReadFeaturesOptions } from './feature-files.js';
export { DualEncoder, type EncodeOptions } from './dual-encoder.js';
export type { DualEncoderOptions } from './dual-encoder-options.js';
export type { DualEncoderInfo, OpenDualEncoderOptions } from './dual-encoder-files.js';
export type { EncoderFunction, EncoderInputs, EncoderSpec } from './encoder.js';
export {
  trainRanker,
  type RankerEpoch,
  type RankerOptions,
  type RankingGroup,
  type TrainedRanker,
} from './ranker.js';
export {
  InteractionRanker,
  type InteractionRankerOptions,
  type InteractionRankerSource,
} from './interaction-ranker.js';
export { RANKING_FEATURES, RankingFeatures, type RankedUser } from './ranking-features.js';
export { OnnxTower, type OnnxEncodeOptions, type OnnxTowerOptions } from './onnx-tower.js';
export type { OnnxInput, OnnxInputSchema, OnnxData } from './onnx-runtime.js';
