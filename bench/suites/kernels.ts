import { FlatIndex, matrixRow, type Matrix, type Metric } from '../../src/index.js';
import { alternate, type Side } from '../harness/alternate.js';
import {
  buildKernelsBench,
  COMPILE_OPTION,
  kernelsBenchMissing,
  runKernelsBench,
} from '../harness/native-bench.js';
import { loadPeer, toInt8 } from '../harness/peers.js';
import { ratioFields, sectionTables, type SectionResult } from '../harness/report.js';
import { integerOption, type Result, type Suite, type SuiteContext } from '../harness/suite.js';
import { mixture } from '../harness/vectors.js';

const SECTION = 'called from JavaScript, beside simsimd';
const ROWS = 4096;
const DIMS = [64, 128, 768];
const METRICS = ['dot', 'l2'] as const;
const K = 10;

type SimsimdCall = (a: Float32Array | Int8Array, b: Float32Array | Int8Array) => number;

/** What this suite calls of simsimd's JavaScript API, which knows no f16, bf16 or smaller codes but bits. */
interface Simsimd {
  readonly inner: SimsimdCall;
  readonly sqeuclidean: SimsimdCall;
}

/** The native bench of the kernels, built by CMake; then one search beside as many calls of simsimd as it scores rows. */
export const kernelsSuite: Suite = {
  name: 'kernels',
  description: 'scoring kernels beside limits of the machine and simsimd (CMake)',
  options: { rounds: 'rounds that count (default 5)', ...COMPILE_OPTION },
  quick: { rounds: '1', compile: 'no' },
  missing: kernelsBenchMissing,
  run,
  tables: sectionTables,
};

async function run(context: SuiteContext): Promise<Result[]> {
  const rounds = integerOption(context, 'rounds', 5);
  buildKernelsBench(context);
  context.say('one thread; medians of rounds in which limits, kernels and simsimd take turns;');
  context.say(
    'ratio: rate of lichen divided by that of simsimd, limit share: by that of the machine',
  );
  const results = runKernelsBench('--rounds', String(rounds));
  const simsimd = loadPeer<Simsimd>('simsimd');
  if (simsimd === undefined) {
    context.say('simsimd is not installed: nothing to compare with from JavaScript');
    return results;
  }
  for (const dim of DIMS) {
    for (const metric of METRICS)
      results.push(...(await fromJavaScript(simsimd, dim, metric, rounds)));
  }
  return results;
}

async function fromJavaScript(
  simsimd: Simsimd,
  dim: number,
  metric: (typeof METRICS)[number],
  rounds: number,
): Promise<SectionResult[]> {
  const base: Matrix = { data: mixture(1, ROWS, dim), rows: ROWS, dim };
  const query = mixture(2, 1, dim);
  const bytes = toInt8(base.data);
  const results: SectionResult[] = [];
  const types = {
    f32: { rows: rowsOf(base), query },
    i8: {
      rows: Array.from({ length: ROWS }, (_, row) => bytes.subarray(row * dim, (row + 1) * dim)),
      query: toInt8(query),
    },
  };
  for (const [storage, given] of Object.entries(types)) {
    const distance = metric === 'dot' ? simsimd.inner : simsimd.sqeuclidean;
    const peer: Side = {
      name: `${storage} ${metric} ${dim}, simsimd`,
      work() {
        let nearest = Infinity;
        for (const row of given.rows) nearest = Math.min(nearest, distance(given.query, row));
        return Number.isNaN(nearest) ? 0 : ROWS;
      },
    };
    const { side, close } = searching(base, storage as 'f32' | 'i8', metric, query);
    const compared = await alternate([side, peer], { rounds, secondsASide: 0.1 });
    close();
    for (const { name } of [peer, side]) {
      const { median, min, max } = compared.rates.get(name)!;
      const nanoseconds = { median: 1e9 / median, min: 1e9 / max, max: 1e9 / min };
      const ratio = name === side.name ? ratioFields(compared.ratio(name, peer.name)) : {};
      const note = name === side.name ? `FlatIndex.searchSync, the best ${K} kept` : 'a call a row';
      results.push({ section: SECTION, name, ...nanoseconds, unit: 'ns a row', ...ratio, note });
    }
  }
  return results;
}

function searching(base: Matrix, storage: 'f32' | 'i8', metric: Metric, query: Float32Array) {
  const index = new FlatIndex({ dim: base.dim, metric, storage });
  index.addSync(base);
  const side: Side = {
    name: `${storage} ${metric} ${base.dim}`,
    work() {
      index.searchSync(query, { k: K });
      return base.rows;
    },
  };
  return { side, close: () => index.close() };
}

function rowsOf(vectors: Matrix): Float32Array[] {
  return Array.from({ length: vectors.rows }, (_, row) => matrixRow(vectors, row));
}
