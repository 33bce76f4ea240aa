import { FlatIndex } from '../../src/index.js';
import { BACKENDS, type BackendName } from '../../src/tensorflow/backends.js';
import { loadTensorFlow } from '../../src/tensorflow/tensorflow.js';
import { TfScorer } from '../../src/tensorflow/tf-scorer.js';
import { alternate, type Side } from '../harness/alternate.js';
import { ratioFields, sectionTables, type SectionResult } from '../harness/report.js';
import {
  integerOption,
  listOption,
  type Result,
  type Suite,
  type SuiteContext,
} from '../harness/suite.js';
import { vectorOptions, vectorsOf } from '../harness/vectors.js';

const K = 10;
const DEFAULTS = { rows: 50_000, dim: 64, limit: 256 };
const FLAT = 'FlatIndex, 1 thread';

/** TfScorer on each backend of TensorFlow.js that starts here, beside FlatIndex. */
export const tfScorerSuite: Suite = {
  name: 'tf-scorer',
  description: 'exact batches by TensorFlow.js backends beside FlatIndex',
  options: {
    ...vectorOptions(DEFAULTS),
    backends: `backends, with commas between (default: all but cpu, of ${BACKENDS.join(', ')})`,
    rounds: 'rounds that count (default 5)',
  },
  quick: { rows: '10000', rounds: '1' },
  run,
  tables: sectionTables,
};

async function run(context: SuiteContext): Promise<Result[]> {
  const named = listOption(context, 'backends', BACKENDS);
  const wanted = context.options.has('backends') ? named : named.filter((name) => name !== 'cpu');
  const { base, queries, label, metric } = await vectorsOf(context, DEFAULTS);
  const rounds = integerOption(context, 'rounds', 5);
  context.say(`${label}, ${metric}, batches of ${queries.rows} queries, k ${K}`);
  using flat = new FlatIndex({ dim: base.dim, metric });
  flat.addSync(base);
  const scorers: [BackendName, TfScorer][] = [];
  for (const backend of wanted) {
    try {
      await loadTensorFlow(backend);
      scorers.push([backend, new TfScorer(base, { metric, backend })]);
    } catch (error) {
      context.say(`${backend} is left out: ${(error as Error).message}`);
    }
  }
  const sides: Side[] = [
    {
      name: FLAT,
      work: async () => (await flat.searchBatch(queries, { k: K, threads: 1 })).rows,
    },
    ...scorers.map(([backend, scorer]) => ({
      name: `TfScorer, ${backend}`,
      work: async () => (await scorer.search(queries, { k: K })).rows,
    })),
  ];
  const compared = await alternate(sides, { rounds });
  for (const [, scorer] of scorers) scorer.dispose();
  return sides.map(({ name }): SectionResult => ({
    ...{ section: 'batch', name, ...compared.rates.get(name)!, unit: 'queries/s' },
    ...(name === FLAT ? {} : ratioFields(compared.ratio(name, FLAT))),
  }));
}
