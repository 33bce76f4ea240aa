import type { AnnSide, AnnTask } from './ann-sides.js';
import { processSide } from './line-process.js';
import { buildHnswlibBench } from './native-bench.js';

/** hnswlib in C++. */
export async function hnswlibNativeSide(task: AnnTask): Promise<AnnSide> {
  return processSide('hnswlib C++', task, buildHnswlibBench());
}
