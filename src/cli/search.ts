import { Command } from 'commander';
import { LichenArgumentError } from '../errors.js';
import { openIndex } from '../index/open.js';
import type { Key } from '../index/types.js';
import type { Where } from '../index/where.js';
import { readMatrix, writeIntMatrix } from '../vectors/files.js';
import { openTerminal, timed } from './terminal.js';
import { examples, integer, json as jsonObject, outputPath, share } from './usage.js';

interface SearchFlags {
  index: string;
  queries: string;
  k: number;
  ef?: number;
  recall?: number;
  oversample?: number;
  exact?: boolean;
  filter?: Where;
  groupBy?: string;
  groupSize?: number;
  threads?: number;
  output?: string;
  json?: boolean;
}

/** `lichen search` */
export function searchCommand(): Command {
  return new Command('search')
    .description('Search an index for the nearest vectors of each query.')
    .requiredOption('--index <file>', 'a snapshot that lichen build saved')
    .requiredOption('--queries <file>', 'vectors, any kind that lichen build reads')
    .option('--k <n>', 'results a query', integer(1), 10)
    .option('--ef <n>', 'search beam of a graph index (default: 64)', integer(1))
    .option('--recall <share>', 'instead of --ef: the recall wanted, as calibrated', share)
    .option('--oversample <n>', 'candidates a result (default: by storage type)', integer(1))
    .option('--exact', 'score every vector in the finest storage')
    .option(
      '--filter <json>',
      'a condition on attributes, such as {"year":{"gte":1990}}',
      jsonObject<Where>,
    )
    .option('--group-by <attribute>', 'find few vectors of each of its values')
    .option('--group-size <n>', 'with --group-by: at most so many (default: 1)', integer(1))
    .option('--threads <n>', 'threads (default: every processor)', integer(1, 1024))
    .option('--output <file>', 'write the keys, one row a query: .npy, .ivecs or .ibin', outputPath)
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      examples(
        'lichen search --index items.lichen --queries users.npy --k 5',
        `lichen search --index items.lichen --queries users.npy --filter '{"year":1990}'`,
      ),
    )
    .action(search);
}

async function search(flags: SearchFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  const { signal } = terminal;
  const { index: path, queries: file, output, k, ef, recall, oversample, exact } = flags;
  const { filter: where, groupBy, groupSize, threads } = flags;
  const options = { k, ef, recall, oversample, exact, where, groupBy, groupSize, threads };
  using index = await openIndex<Key>(path);
  const queries = await readMatrix(file, { signal });
  const [result, seconds] = await timed(() =>
    terminal.withProgress('searching', (onProgress) =>
      index.searchBatch(queries, { ...options, signal, onProgress }),
    ),
  );
  const { keys, scores, counts, rows } = result;
  if (output !== undefined) {
    if (keys instanceof Array) {
      throw new LichenArgumentError(
        'ERR_LICHEN_UNSUPPORTED',
        `cannot write ${output}: the keys of ${path} are strings; leave --output out`,
      );
    }
    await writeIntMatrix(output, { data: keys, rows, dim: k }, { signal });
    terminal.say(`${rows} × ${k} keys written to ${output} (${seconds.toFixed(3)} s)`);
    terminal.result({ queries: rows, k, seconds, output });
    return;
  }
  const results = Array.from({ length: rows }, (_, query) =>
    Array.from({ length: counts[query]! }, (_, place) => ({
      key: keys[query * k + place]!,
      score: scores[query * k + place]!,
    })),
  );
  results.forEach((hits, query) => {
    const line = hits.map(({ key, score }) => `${key}:${score.toPrecision(6)}`).join(' ');
    terminal.say(`${query}\t${line}`);
  });
  terminal.result({ queries: rows, k, seconds, results });
}
