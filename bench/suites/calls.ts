import { createRequire } from 'node:module';
import Benchmark from 'benchmark';
import type { HierarchicalNSW as HierarchicalNSWType } from 'hnswlib-node';
import { FlatIndex, HnswIndex } from '../../src/index.js';
import { mixture } from '../harness/vectors.js';
import { packageMissing } from '../harness/peers.js';
import { numberOption, type Result, type Suite, type SuiteContext } from '../harness/suite.js';

const DIM = 64;
const IN_FLIGHT = 64;

/** What a call from JavaScript costs: an index of one vector leaves nothing but the way there and back. */
export const callsSuite: Suite = {
  name: 'calls',
  description: 'cost of one call from JavaScript; hnswlib-node beside',
  options: { seconds: 'of a measurement at most (default 5)' },
  quick: { seconds: '0.3' },
  missing: () => packageMissing('hnswlib-node'),
  run,
};

async function run(context: SuiteContext): Promise<Result[]> {
  const maxTime = numberOption(context, 'seconds', 5);
  const data = mixture(1, IN_FLIGHT, DIM);
  const query = data.subarray(0, DIM);
  const flat = new FlatIndex({ dim: DIM, metric: 'dot' });
  flat.addSync(query);
  const named = new HnswIndex<string>({ dim: DIM, metric: 'dot' });
  named.addSync(query, { keys: ['only'] });
  const { HierarchicalNSW } = createRequire(__filename)('hnswlib-node') as {
    HierarchicalNSW: typeof HierarchicalNSWType;
  };
  const peer = new HierarchicalNSW('ip', DIM);
  peer.initIndex(1);
  peer.addPoint([...query], 0);
  const array = [...query];

  const suite = new Benchmark.Suite();
  const deferred = (name: string, work: () => Promise<unknown>): void => {
    suite.add(name, {
      ...{ defer: true, maxTime },
      fn: (done: Benchmark.Deferred) => void work().then(() => done.resolve()),
    });
  };
  const sync = (name: string, fn: () => unknown): void => void suite.add(name, { fn, maxTime });
  sync('searchSync, integer keys', () => flat.searchSync(query, { k: 1 }));
  sync('searchSync, string keys', () => named.searchSync(query, { k: 1 }));
  sync('searchSync, plain array', () => flat.searchSync(array, { k: 1 }));
  sync('hnswlib-node searchKnn', () => peer.searchKnn(array, 1));
  deferred('search, one in flight', () => flat.search(query, { k: 1 }));
  deferred(`search, ${IN_FLIGHT} in flight`, () =>
    Promise.all(Array.from({ length: IN_FLIGHT }, () => flat.search(query, { k: 1 }))),
  );
  deferred(`searchBatch of ${IN_FLIGHT}`, () => flat.searchBatch(data, { k: 1 }));

  await new Promise<void>((resolve, reject) => {
    suite.on('complete', () => resolve());
    suite.on('error', (event: Benchmark.Event) =>
      reject((event.target as { error?: Error }).error ?? new Error('a benchmark failed')),
    );
    suite.run({ async: true });
  });
  const results = suite.map((bench: Benchmark): Result => {
    const many = bench.name?.includes(`${IN_FLIGHT}`) ? IN_FLIGHT : 1;
    return {
      name: bench.name ?? '',
      microseconds: (bench.stats.mean * 1e6) / many,
      spreadPercent: bench.stats.rme,
      samples: bench.stats.sample.length,
    };
  }) as unknown as Result[];
  context.say(`dim ${DIM}, index of one vector; microseconds a query`);
  return Array.from(results);
}
