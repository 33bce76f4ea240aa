import { Command } from 'commander';
import {
  createCluster,
  dropCluster,
  publishToCluster,
  reshardCluster,
  switchCluster,
} from '../cluster/admin.js';
import { ClusterIndex } from '../cluster/cluster-index.js';
import type { ClusterStatistics } from '../cluster/cluster-statistics.js';
import type { ShardMap } from '../cluster/shard-map.js';
import { readStreams } from '../cluster/stream-report.js';
import { METRICS } from '../vectors/metric.js';
import { STORAGE_TYPES } from '../vectors/storage-type.js';
import { addressOf, withNats, type NatsFlags } from './nats-options.js';
import { grouped, openTerminal, table, type Terminal } from './terminal.js';
import { examples, integer, json, oneOf } from './usage.js';

interface CreateFlags extends NatsFlags {
  shards: number;
  copies?: number;
  from?: string;
  modelVersion?: string;
  index?: 'hnsw' | 'flat';
  dim?: number;
  metric?: (typeof METRICS)[number];
  storage?: (typeof STORAGE_TYPES)[number];
  rerank?: (typeof STORAGE_TYPES)[number];
  keys?: 'integer' | 'string';
  m?: number;
  efConstruction?: number;
  attributes?: Record<string, 'number' | 'category' | 'tags'>;
  json?: boolean;
}

interface ChangeFlags extends NatsFlags {
  from: string;
  shards?: number;
  modelVersion?: string;
  wait: number;
  json?: boolean;
}

type PlainFlags = NatsFlags & { json?: boolean };

const WAIT = ['--wait <s>', 'seconds for all replicas to be prepared', integer(0, 86_400)] as const;

/** `lichen cluster …` */
export function clusterCommand(): Command {
  const cluster = new Command('cluster').description(
    'Make, watch, change and remove an index that is spread over NATS.',
  );
  const one = (name: string, description: string): Command =>
    withNats(cluster.command(name).description(description)).option(
      '--json',
      'print the result as JSON',
    );
  cluster.addHelpText(
    'after',
    examples(
      'lichen cluster create --name items --shards 3 --from items.lichen',
      'lichen cluster status --name items --nats nats://10.0.0.7',
      'lichen cluster publish --name items --from items-2.lichen',
    ),
  );
  one('create', 'Make an index: empty, or of the vectors of a snapshot file.')
    .requiredOption('--shards <n>', 'how many', integer(1, 1024))
    .option(
      '--copies <n>',
      'NATS servers that keep each change (default: 3 of a cluster)',
      integer(1, 5),
    )
    .option('--from <file>', 'a snapshot file, by lichen build, whose vectors it begins with')
    .option('--model-version <text>', 'of the model that made the vectors')
    .option('--index <kind>', 'of an empty index: hnsw or flat', oneOf(['hnsw', 'flat'] as const))
    .option('--dim <n>', 'of an empty index: values a vector', integer(1, 65_536))
    .option('--metric <metric>', `of an empty index: ${METRICS.join(', ')}`, oneOf(METRICS))
    .option(
      '--storage <type>',
      `of an empty index: ${STORAGE_TYPES.join(', ')}`,
      oneOf(STORAGE_TYPES),
    )
    .option('--rerank <type>', 'of an empty index: a finer storage', oneOf(STORAGE_TYPES))
    .option(
      '--keys <kind>',
      'of an empty index: integer or string',
      oneOf(['integer', 'string'] as const),
    )
    .option('--m <n>', 'of an empty index: links a vector', integer(2, 512))
    .option('--ef-construction <n>', 'of an empty index', integer(1, 65_536))
    .option('--attributes <json>', 'of an empty index: names and kinds, as JSON', json)
    .action(create);
  one('status', 'Show shards, replicas, how far each is, and versions.').action(status);
  one('publish', 'Put another version in force, once all replicas have loaded it.')
    .requiredOption('--from <file>', 'a snapshot file: what the index holds from then on')
    .option('--shards <n>', 'as many shards from then on (default: as now)', integer(1, 1024))
    .option('--model-version <text>', 'of the model that made the vectors')
    .option(...WAIT, 60)
    .action(publish);
  one('reshard', 'Spread the index over another number of shards.')
    .requiredOption('--shards <n>', 'how many', integer(1, 1024))
    .option(...WAIT, 60)
    .action(reshard);
  one('switch', 'Put in force what was prepared but not switched to in time.')
    .option(...WAIT, 60)
    .action(switchOver);
  one('drop', 'Remove an index with everything that it has in NATS.')
    .requiredOption('--yes', 'it is meant')
    .action(drop);
  return cluster;
}

async function create(flags: CreateFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  const { shards, copies, from, modelVersion } = flags;
  const map = await terminal.withProgress('laying out', (onProgress) =>
    createCluster({
      ...{ ...addressOf(flags), shards, copies, from, modelVersion, onProgress },
      ...(from === undefined && { index: emptyIndexOf(flags) }),
      signal: terminal.signal,
    }),
  );
  terminal.say(
    `${flags.name} has ${shards} shards: lichen node --name ${flags.name} --shard 0/${shards} …`,
  );
  terminal.result(map);
}

/** What is not given is missed by the index itself, which says so. */
function emptyIndexOf(flags: CreateFlags) {
  const { index: kind = 'hnsw', keys = 'integer', dim, metric, storage, rerank } = flags;
  const { m, efConstruction, attributes } = flags;
  return {
    ...{ kind, keys, dim: dim!, metric: metric!, storage, rerank, m, efConstruction, attributes },
  };
}

async function status(flags: PlainFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  await using index = await ClusterIndex.connect(addressOf(flags));
  const statistics = await index.stats(2000);
  const streams = await readStreams(addressOf(flags), statistics.map);
  terminal.result({ ...statistics, streams });
  const { map } = statistics;
  terminal.say(
    `${flags.name}: epoch ${map.epoch}, ${map.shards} shards, model ${map.modelVersion ?? 'unversioned'}`,
  );
  terminal.say(statusTable(statistics, streams));
  for (const { shard, replicas } of statistics.shards) {
    for (const { replica, checkpointError } of replicas) {
      if (checkpointError === undefined) continue;
      terminal.say(`shard ${shard}: replica ${replica} made no checkpoint: ${checkpointError}`);
    }
  }
  for (const { replica, shard, shards } of statistics.others) {
    terminal.say(`replica ${replica} holds shard ${shard} of ${shards}, of another epoch`);
  }
}

function statusTable(
  { shards }: ClusterStatistics,
  streams: Awaited<ReturnType<typeof readStreams>>,
): string {
  const head = [
    'shard',
    'replica',
    'host',
    'pid',
    'state',
    'vectors',
    'change',
    'lag',
    'checkpoint',
  ];
  const rows = shards.flatMap(({ shard, replicas }) => {
    const stream = streams[shard];
    const own = replicas.map((one) => [
      ...[String(shard), one.replica, one.host, String(one.pid), one.isReady ? 'ready' : 'loading'],
      ...[grouped(one.size), grouped(one.sequence), String(one.lag ?? '')],
      grouped(one.checkpoint),
    ]);
    const leader = stream?.leader ?? 'none';
    const last = stream === undefined ? '' : grouped(stream.lastSequence);
    return [
      ...own,
      [String(shard), 'stream', leader, '', stream?.sealed ? 'sealed' : '', '', last, '', ''],
    ];
  });
  return table([head, ...rows]);
}

async function publish(flags: ChangeFlags): Promise<void> {
  const { from, shards, modelVersion } = flags;
  await change(flags, (options) =>
    publishToCluster({ ...addressOf(flags), ...options, from, shards, modelVersion }),
  );
}

async function reshard(flags: ChangeFlags): Promise<void> {
  await change(flags, (options) =>
    reshardCluster({ ...addressOf(flags), ...options, shards: flags.shards! }),
  );
}

async function switchOver(flags: ChangeFlags): Promise<void> {
  await change(flags, ({ waitMs, signal, onPrepared }) =>
    switchCluster({ ...addressOf(flags), waitMs, signal, onPrepared }),
  );
}

interface ChangeOptions {
  readonly waitMs: number;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
  readonly onPrepared: (shards: number, of: number) => void;
}

async function change(
  { json: isJson, wait, name }: ChangeFlags,
  work: (options: ChangeOptions) => Promise<ShardMap>,
): Promise<void> {
  const terminal: Terminal = openTerminal(isJson === true);
  const map = await terminal.withProgress('laying out', (onProgress) =>
    work({
      ...{ waitMs: wait * 1000, signal: terminal.signal, onProgress },
      onPrepared: (shards, of) => terminal.say(`${shards} of ${of} shards are prepared`),
    }),
  );
  terminal.say(`${name}: epoch ${map.epoch} is in force, with ${map.shards} shards`);
  terminal.result(map);
}

async function drop(flags: PlainFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  await dropCluster(addressOf(flags));
  terminal.say(`${flags.name} of ${flags.tenant} is removed`);
  terminal.result({ name: flags.name, tenant: flags.tenant });
}
