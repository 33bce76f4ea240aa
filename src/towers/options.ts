export interface ResolvedTwoTowerOptions {
  dim: number;
  epochs: number;
  batchSize: number;
  learningRate: number;
  finalLearningRate: number;
  temperature: number;
  normalize: boolean;
  logQ: boolean;
  maskKnown: boolean;
  weightDecay: number;
  seed: number;
}
