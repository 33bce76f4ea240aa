import { cudaStatus, FlatIndex, GpuFlatIndex, machine, type Matrix } from '../../src/index.js';
import { alternate } from '../harness/alternate.js';
import { recallJudge } from '../harness/recall.js';
import { ratioFields, sectionTables, type SectionResult } from '../harness/report.js';
import {
  integerOption,
  integersOption,
  listOption,
  type Result,
  type Suite,
  type SuiteContext,
} from '../harness/suite.js';
import { vectorOptions, vectorsOf } from '../harness/vectors.js';

const DEFAULTS = { rows: 1_000_000, dim: 128, limit: 4096 };
/** What devices have. */
const STORAGE = ['f32', 'f16', 'bf16', 'i8', 'b1'] as const;
const BATCHES = [1, 16, 256, 4096];

/** `GpuFlatIndex` beside `FlatIndex`, from JavaScript; bench/gpu measures the device itself, beside PyTorch. */
export const gpuSuite: Suite = {
  name: 'gpu',
  description: 'exact search on an NVIDIA device beside all processors',
  options: {
    ...vectorOptions(DEFAULTS),
    storage: `storage types, with commas between (default ${STORAGE.join(',')})`,
    batches: `queries of a call (default ${BATCHES.join(',')})`,
    k: 'results (default 10)',
    rounds: 'rounds that count (default 5)',
  },
  quick: { rows: '100000', dim: '64', rounds: '1' },
  missing: () => cudaStatus().reason,
  run,
  tables: sectionTables,
};

async function run(context: SuiteContext): Promise<Result[]> {
  const types = listOption(context, 'storage', STORAGE);
  const batches = integersOption(context, 'batches', BATCHES);
  const k = integerOption(context, 'k', 10);
  const rounds = integerOption(context, 'rounds', 5);
  const { devices } = cudaStatus();
  const { base, queries, label, metric } = await vectorsOf(context, DEFAULTS);
  context.say(`${label}, ${metric}, k ${k}; ${devices[0]!.name}, ${machine().threads} processors`);
  const judge = await recallJudge(base, queries, metric, k);
  const results: SectionResult[] = [];
  for (const storage of types) {
    using cpu = closing(new FlatIndex({ dim: base.dim, metric, storage }));
    using gpu = closing(new GpuFlatIndex({ dim: base.dim, metric, storage }));
    await cpu.index.add(base);
    await gpu.index.add(base);
    for (const batch of batches) {
      const given = firstRows(queries, batch);
      const sides = [gpu, cpu].map(({ index }, at) => ({
        name: at === 0 ? 'device' : 'processors',
        work: async () => {
          await index.searchBatch(given, { k });
          return given.rows;
        },
      }));
      const compared = await alternate(sides, { rounds });
      results.push({
        ...{ section: `batches of ${given.rows}`, name: storage },
        ...{ ...compared.rates.get('device')!, unit: 'queries/s' },
        ...ratioFields(compared.ratio('device', 'processors')),
      });
      context.say(`${storage}, batches of ${given.rows}: done`);
    }
    const { keys } = await gpu.index.searchBatch(queries, { k });
    results.push({ section: `recall@${k}, codes alone`, name: storage, median: judge(keys) });
    const { fallbacks, searches, residentRows, rows } = gpu.index.device;
    context.say(
      `${storage}: ${residentRows} of ${rows} rows on the device, ${fallbacks} of ${searches} queries left to the processors`,
    );
  }
  return results;
}

function closing<I extends FlatIndex>(index: I) {
  return { index, [Symbol.dispose]: () => index.close() };
}

function firstRows({ data, rows, dim }: Matrix, most: number): Matrix {
  const count = Math.min(rows, most);
  return { data: data.subarray(0, count * dim), rows: count, dim };
}
