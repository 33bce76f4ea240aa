import { Command } from 'commander';
import { openIndex } from '../index/open.js';
import { publishIndex, readPublished } from '../index/published.js';
import type { Key } from '../index/types.js';
import { grouped, openTerminal } from './terminal.js';
import { examples, integer } from './usage.js';

interface PublishFlags {
  index: string;
  folder: string;
  modelVersion?: string;
  keep: number;
  json?: boolean;
}

/** `lichen publish` */
export function publishCommand(): Command {
  return new Command('publish')
    .description('Make a snapshot the next version of a folder that services follow.')
    .requiredOption('--index <file>', 'the snapshot file, by lichen build')
    .requiredOption('--folder <folder>', 'where versions are; it is made if it is not there')
    .option('--model-version <text>', 'of the model that made the vectors')
    .option('--keep <n>', 'versions kept besides', integer(0, 1000), 1)
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      examples('lichen publish --index items.lichen --folder items --model-version towers-7'),
    )
    .action(publish);
}

async function publish({ index, folder, modelVersion, keep, json }: PublishFlags): Promise<void> {
  const terminal = openTerminal(json === true);
  const { signal } = terminal;
  using opened = await openIndex<Key>(index, { map: true, verify: 'full' });
  const version = await terminal.withProgress('writing', (onProgress) =>
    publishIndex(folder, opened, { keep, modelVersion, signal, onProgress }),
  );
  const { bytes, path, ...published } = await readPublished(folder);
  terminal.say(`version ${version} is published: ${path}, ${grouped(bytes)} bytes`);
  terminal.result({ ...published, bytes, path });
}
