/**
 * TensorFlow.js as lichen uses it: loading it, the choice of a backend, scoring items beside an index.
 * @packageDocumentation
 */
export { BACKENDS, type BackendName, type TowerBackend } from './backends.js';
export {
  BACKEND_CHANNEL,
  loadTensorFlow,
  type BackendChoice,
  type LoadedTensorFlow,
  type LoadTensorFlowOptions,
  type TensorFlow,
} from './tensorflow.js';
export { lichenCudaFallbacks, lichenFallbacks, resetLichenFallbacks } from './fallbacks.js';
export { TfScorer, type TfScorerOptions, type TfSearchOptions } from './tf-scorer.js';
export { openLayersModel, saveLayersModel } from './layers-files.js';
