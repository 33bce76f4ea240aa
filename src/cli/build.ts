import { Command } from 'commander';
import { FlatIndex } from '../index/flat.js';
import { HnswIndex } from '../index/hnsw.js';
import type { Key } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import { readMatrix } from '../vectors/files.js';
import { METRICS, type Metric } from '../vectors/metric.js';
import { readParquetKeys } from '../vectors/parquet.js';
import { isFiner, STORAGE_TYPES, takesPca, type StorageType } from '../vectors/storage-type.js';
import { readAttributes } from './attributes.js';
import { readKeys } from './keys.js';
import { grouped, openTerminal, timed } from './terminal.js';
import { examples, integer, oneOf, outputPath } from './usage.js';

interface BuildFlags {
  input: string;
  metric: Metric;
  index: 'flat' | 'hnsw';
  storage: StorageType;
  rerank?: StorageType;
  subspaces?: number;
  pca?: number;
  column?: string;
  keys?: string;
  keyColumn?: string;
  attributes?: string;
  m?: number;
  efConstruction?: number;
  seed?: number;
  threads?: number;
  output: string;
  json?: boolean;
}

/** `lichen build` */
export function buildCommand(): Command {
  const command = new Command('build')
    .description('Build an index over vectors; save it as a snapshot file.')
    .optionsGroup('Vectors:')
    .requiredOption(
      '--input <file>',
      '.npy .fvecs .bvecs .fbin .u8bin .i8bin .parquet, also with .gz',
    )
    .requiredOption('--metric <metric>', METRICS.join(', '), oneOf(METRICS))
    .optionsGroup('Index:')
    .option('--index <kind>', 'flat or hnsw', oneOf(['flat', 'hnsw']), 'hnsw')
    .option('--storage <type>', STORAGE_TYPES.join(', '), oneOf(STORAGE_TYPES), 'f32')
    .option('--rerank <type>', 'finer storage to score the best anew by', oneOf(STORAGE_TYPES))
    .option('--subspaces <n>', 'codes a vector of storage pq (default: dim / 2)', integer(1, 65536))
    .option('--pca <n>', 'principal components that codes are of (default: all)', integer(1, 65536))
    .optionsGroup('Vectors:')
    .option('--column <name>', 'column of vectors of a .parquet file with several')
    .option('--keys <file>', 'the keys, one a line (default: row numbers)')
    .option('--key-column <name>', 'column of a .parquet file that holds the keys')
    .option('--attributes <file>', 'their attributes, one JSON object a line')
    .optionsGroup('Index:')
    .option('--m <n>', 'links a vector (default: 16)', integer(2, 512))
    .option('--ef-construction <n>', 'beam while building (default: 100)', integer(1, 65536))
    .option('--seed <n>', 'decides levels, rotation and k-means (default: 42)', integer(0))
    .option('--threads <n>', 'threads that build (default: every processor)', integer(1, 1024))
    .optionsGroup('Options:')
    .requiredOption('--output <file>', 'the snapshot file (.lichen)', outputPath)
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      examples(
        'lichen build --input items.npy --metric cosine --output items.lichen',
        'lichen build --input items.npy --keys ids.txt --metric dot --storage i8 \\',
        '             --rerank f16 --output items.lichen',
      ),
    );
  return command.action(async (flags: BuildFlags) => {
    const wrong = contradiction(flags);
    if (wrong !== undefined) command.error(`error: ${wrong}`);
    await build(flags);
  });
}

/** What about the options does not go together. */
function contradiction(flags: BuildFlags): string | undefined {
  const { storage, rerank, subspaces, pca } = flags;
  if (pca !== undefined && !takesPca(storage)) {
    return "option '--pca' wants '--storage' i8, i4 or b1";
  }
  const whole = pca !== undefined && rerank === storage;
  if (rerank !== undefined && !isFiner(rerank, storage) && !whole) {
    return `option '--rerank' must be a finer storage than ${storage}, got ${rerank}`;
  }
  if (subspaces !== undefined && storage !== 'pq') {
    return "option '--subspaces' wants '--storage pq'";
  }
  if (flags.keys !== undefined && flags.keyColumn !== undefined) {
    return "options '--keys' and '--key-column' exclude each other";
  }
  if (flags.keyColumn !== undefined && !/\.parquet(\.gz)?$/i.test(flags.input)) {
    return "option '--key-column' wants a .parquet file as '--input'";
  }
  return undefined;
}

async function build(flags: BuildFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  const { signal } = terminal;
  const { metric, threads } = flags;
  const vectors = await terminal.withProgress('reading', (onProgress) =>
    readMatrix(flags.input, { column: flags.column, signal, onProgress }),
  );
  const { rows, dim } = vectors;
  const keys = await keysOf(flags, rows, signal);
  const given =
    flags.attributes === undefined
      ? undefined
      : await readAttributes(flags.attributes, rows, signal);
  const { storage, rerank, subspaces, pca, m, efConstruction, seed } = flags;
  const kept = { storage, rerank, subspaces, pca, seed };
  const options = { dim, metric, ...kept, attributes: given?.schema };
  using index: VectorIndex<Key> =
    flags.index === 'flat'
      ? new FlatIndex<Key>(options)
      : new HnswIndex<Key>({ ...options, m, efConstruction });
  const [, seconds] = await timed(() =>
    terminal.withProgress('building', (onProgress) =>
      index.add(vectors, { keys, attributes: given?.attributes, threads, signal, onProgress }),
    ),
  );
  const bytes = await terminal.withProgress('writing', (onProgress) =>
    index.save(flags.output, { signal, onProgress }),
  );
  const types = rerank === undefined ? storage : `${storage} and ${rerank}`;
  terminal.say(
    `${grouped(rows)} vectors of dim ${dim} (${metric}, ${flags.index}, ${types}) built in ` +
      `${seconds.toFixed(2)} s; ${flags.output} has ${grouped(bytes)} bytes, ${(bytes / rows).toFixed(1)} a vector`,
  );
  terminal.result({
    rows,
    dim,
    metric,
    index: flags.index,
    storage,
    ...(rerank !== undefined && { rerank }),
    ...(index.subspaces !== undefined && { subspaces: index.subspaces }),
    ...(pca !== undefined && { pca }),
    seconds,
    bytes,
    bytesPerVector: bytes / rows,
    output: flags.output,
  });
}

async function keysOf(
  { input, keys, keyColumn }: BuildFlags,
  rows: number,
  signal: AbortSignal,
): Promise<Float64Array | string[] | undefined> {
  if (keyColumn !== undefined) return readParquetKeys(input, keyColumn, { signal });
  return keys === undefined ? undefined : readKeys(keys, rows, signal);
}
