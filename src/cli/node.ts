import { Command, InvalidArgumentError } from 'commander';
import { ClusterNode } from '../cluster/cluster-node.js';
import { addressOf, withNats, type NatsFlags } from './nats-options.js';
import { openTerminal } from './terminal.js';
import { examples, integer } from './usage.js';

interface ShardNumber {
  readonly shard: number;
  readonly shards: number;
}

interface NodeFlags extends NatsFlags {
  shard: ShardNumber;
  dir: string;
  checkpointEvery?: number;
  grace?: number;
  json?: boolean;
}

/** `lichen node` */
export function nodeCommand(): Command {
  return withNats(new Command('node'))
    .description('Hold a replica of a shard of an index that is spread over NATS.')
    .requiredOption('--shard <i/n>', 'the shard, from 0, and of how many', shardOfShards)
    .requiredOption('--dir <folder>', "for this replica's snapshots; of no other replica")
    .option('--checkpoint-every <n>', 'changes from which a snapshot is made', integer(1))
    .option('--grace <ms>', 'for answering to a version that was replaced', integer(0, 86_400_000))
    .option('--json', 'print when it is ready as JSON')
    .addHelpText(
      'after',
      examples('lichen node --name items --shard 0/3 --dir replica-0 --nats nats://10.0.0.7'),
    )
    .action(runNode);
}

function shardOfShards(text: string): ShardNumber {
  const [, shard, shards] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  if (shard !== undefined && Number(shard) < Number(shards)) {
    return { shard: Number(shard), shards: Number(shards) };
  }
  throw new InvalidArgumentError('Expected i/n, such as 0/3 for the first of three shards.');
}

async function runNode(flags: NodeFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  const { shard, dir, checkpointEvery, grace } = flags;
  const node = await ClusterNode.start({
    ...addressOf(flags),
    ...shard,
    ...{ directory: dir, checkpointEvery, grace },
    onEvent: (text) => process.stderr.write(`lichen: ${text}\n`),
  });
  const stop = () => void node.close();
  terminal.signal.addEventListener('abort', stop, { once: true });
  const isReady = await node.ready.then(
    () => true,
    () => false,
  );
  if (isReady) {
    terminal.say(`replica ${node.replica} answers for shard ${shard.shard} of ${shard.shards}`);
    terminal.result({ replica: node.replica, ...shard });
  }
  const reason = await node.ended;
  if (reason !== undefined) throw reason as Error;
}
