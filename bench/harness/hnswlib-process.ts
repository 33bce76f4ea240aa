import type { AnnSide, AnnTask } from './ann-sides.js';
import { buildHnswlibBench } from './native-bench.js';
import { processSide, writeVectorFiles } from './process-side.js';

/** hnswlib in C++. */
export async function hnswlibNativeSide(task: AnnTask): Promise<AnnSide> {
  const { base, metric, m, efConstruction, k } = task;
  const program = buildHnswlibBench();
  const numbers = [base.dim, metric, m, efConstruction, k].map(String);
  const args = [...writeVectorFiles(task), ...numbers];
  return processSide('hnswlib C++', program, args, task, { batches: true });
}
