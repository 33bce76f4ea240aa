/**
 * What a service needs and costs before there is one: profiles, traces, queueing, plans, the search for a design.
 * @packageDocumentation
 */
export { makeTrace, readTrace, type ReadTraceOptions, type Trace } from './trace.js';
export { reuseProfile, type CacheShape, type ReuseOptions, type ReuseProfile } from './reuse.js';
export {
  cacheability,
  replayedHits,
  type Cacheability,
  type CacheabilityOptions,
  type CachePoint,
} from './cacheability.js';
export { fanOut, networkBytes, type FanOut, type NetworkBytes } from './fan-out.js';
export {
  indexFootprint,
  modelFootprint,
  predictBytes,
  type FootprintPart,
  type IndexFootprint,
  type ModelFootprint,
} from './footprint.js';
export {
  serializationCosts,
  type SerializationCost,
  type SerializationSample,
} from './serialization.js';
export { measureCost, type Cost, type MeasureCostOptions } from './measure.js';
export {
  profileInfrastructure,
  type Coordination,
  type InfrastructureProfile,
  type ProfileOptions,
  type StageProfile,
} from './profile.js';
export {
  measureCapacity,
  type Capacity,
  type CapacityOptions,
  type CapacityPoint,
} from './capacity.js';
export {
  atLeastWorking,
  erlangC,
  queueLatency,
  squareRootStaffing,
  type QueueLatency,
  type QueueLoad,
} from './queueing.js';
export {
  simulateFleet,
  type FleetShape,
  type Hedging,
  type Routing,
  type SimulatedFleet,
  type SimulateOptions,
} from './simulate.js';
export {
  DEFAULT_PRICES,
  parsePrices,
  readPrices,
  type MachinePrice,
  type PriceTable,
} from './prices.js';
export type { Demand, Fleet, Unfit } from './fleet.js';
export { planCapacity, type CapacityPlan, type PlanOptions } from './plan.js';
export { codesign, type CodesignResult, type DesignResult } from './codesign.js';
export type { CodesignOptions } from './codesign-options.js';
export { codesignReport, codesignSummary, type CodesignReportContext } from './codesign-report.js';
export type { DesignItemAttributes, DesignRanker, DesignRequest } from './design-bench.js';
export { designName, type Design, type DesignSpace, type ResultCacheDesign } from './design.js';
export type { DesignCost } from './design-cost.js';
