import { Command } from 'commander';
import { FlatIndex } from '../index/flat.js';
import { HnswIndex } from '../index/hnsw.js';
import type { Key } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import { readMatrix } from '../vectors/files.js';
import { METRICS, type Metric } from '../vectors/metric.js';
import { readKeys } from './keys.js';
import { grouped, openTerminal, timed } from './terminal.js';
import { integer, oneOf } from './usage.js';

interface BuildFlags {
  input: string;
  metric: Metric;
  index: 'flat' | 'hnsw';
  storage: 'f32';
  keys?: string;
  m?: number;
  efConstruction?: number;
  seed?: number;
  threads?: number;
  output: string;
  json?: boolean;
}

/** `lichen build` */
export function buildCommand(): Command {
  return new Command('build')
    .description('Build an index over vectors; save it as a snapshot file.')
    .requiredOption('--input <file>', '.npy .fvecs .bvecs .fbin .u8bin .i8bin, also with .gz')
    .requiredOption('--metric <metric>', METRICS.join(', '), oneOf(METRICS))
    .option('--index <kind>', 'flat or hnsw', oneOf(['flat', 'hnsw']), 'hnsw')
    .option('--storage <type>', 'storage of the vectors: f32', oneOf(['f32']), 'f32')
    .option('--keys <file>', 'the keys, one a line (default: row numbers)')
    .option('--m <n>', 'links a vector (default: 16)', integer(2, 512))
    .option('--ef-construction <n>', 'beam while building (default: 200)', integer(1, 65536))
    .option('--seed <n>', 'decides the levels (default: 42)', integer(0))
    .option('--threads <n>', 'threads that build (default: every processor)', integer(1, 1024))
    .requiredOption('--output <file>', 'the snapshot file, by custom .lichen')
    .option('--json', 'print the result as JSON')
    .action(build);
}

async function build(flags: BuildFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  const { signal } = terminal;
  const { metric, threads } = flags;
  const vectors = await terminal.withProgress('reading', (onProgress) =>
    readMatrix(flags.input, { signal, onProgress }),
  );
  const { rows, dim } = vectors;
  const keys = flags.keys === undefined ? undefined : await readKeys(flags.keys, rows, signal);
  const { m, efConstruction, seed } = flags;
  using index: VectorIndex<Key> =
    flags.index === 'flat'
      ? new FlatIndex<Key>({ dim, metric })
      : new HnswIndex<Key>({ dim, metric, m, efConstruction, seed });
  const [, seconds] = await timed(() =>
    terminal.withProgress('building', (onProgress) =>
      index.add(vectors, { keys, threads, signal, onProgress }),
    ),
  );
  const bytes = await terminal.withProgress('writing', (onProgress) =>
    index.save(flags.output, { signal, onProgress }),
  );
  terminal.say(
    `${grouped(rows)} vectors of dim ${dim} (${metric}, ${flags.index}, ${flags.storage}) built in ` +
      `${seconds.toFixed(2)} s; ${flags.output} has ${grouped(bytes)} bytes, ${(bytes / rows).toFixed(1)} a vector`,
  );
  terminal.result({
    rows,
    dim,
    metric,
    index: flags.index,
    storage: flags.storage,
    seconds,
    bytes,
    bytesPerVector: bytes / rows,
    output: flags.output,
  });
}
