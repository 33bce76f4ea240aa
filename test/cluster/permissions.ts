import type { NatsSubjects } from '../servers/nats-server.js';

/** Of whom somebody may use what. */
export interface PermittedIndex {
  readonly tenant: string;
  readonly name: string;
  readonly shards: number;
  /** Names of streams bear the epoch, and a wildcard stands for a whole name only. */
  readonly epochs: readonly number[];
}

interface Permissions {
  publish: NatsSubjects;
  subscribe: NatsSubjects;
}

/** The streams of the shards. */
function streamsOf({ tenant, name, shards, epochs }: PermittedIndex): string[] {
  return epochs.flatMap((epoch) =>
    Array.from({ length: shards }, (_, shard) => `LICHEN_${tenant}_${name}_${epoch}_${shard}`),
  );
}

const of = (index: PermittedIndex) => ({
  bucket: `lichen_${index.tenant}_${index.name}`,
  subjects: `lichen.${index.tenant}.${index.name}`,
  inbox: `_INBOX.${index.tenant}.>`,
});

/** What `ClusterIndex` needs: to search and to change. */
export function clientPermissions(index: PermittedIndex): Permissions {
  const { bucket, subjects, inbox } = of(index);
  return {
    publish: {
      allow: [
        `${subjects}.>`,
        '$JS.API.INFO',
        `$JS.API.STREAM.INFO.KV_${bucket}`,
        `$JS.API.STREAM.MSG.GET.KV_${bucket}`,
        // Whether a shard that takes no changes is gone.
        ...streamsOf(index).map((stream) => `$JS.API.STREAM.INFO.${stream}`),
      ],
    },
    subscribe: { allow: [inbox] },
  };
}

/** The same of who only searches. */
export function searcherPermissions(index: PermittedIndex): Permissions {
  const { bucket, subjects, inbox } = of(index);
  return {
    publish: {
      allow: [
        ...[`${subjects}.*.search`, `${subjects}.*.*.hedge`, `${subjects}.*.*.ask`],
        ...[`${subjects}.stats`, '$JS.API.INFO'],
        ...[`$JS.API.STREAM.INFO.KV_${bucket}`, `$JS.API.STREAM.MSG.GET.KV_${bucket}`],
      ],
    },
    subscribe: { allow: [inbox] },
  };
}

/** What `ClusterNode` needs. */
export function nodePermissions(index: PermittedIndex): Permissions {
  const { bucket, subjects, inbox } = of(index);
  const snapshots = `OBJ_${bucket}_snapshots`;
  return {
    publish: {
      allow: [
        // Answers.
        inbox,
        '$JS.API.INFO',
        ...[`KV_${bucket}`, snapshots].flatMap((stream) => [
          `$JS.API.STREAM.INFO.${stream}`,
          `$JS.API.STREAM.MSG.GET.${stream}`,
        ]),
        ...[`$KV.${bucket}.prepared.>`, `$KV.${bucket}.checkpoint.>`],
        // Whose turn it is to make a checkpoint.
        `$JS.API.STREAM.MSG.GET.KV_${bucket}_claims`,
        `$KV.${bucket}_claims.checkpoint.>`,
        // Snapshots, to read, to write and to remove.
        ...[`$O.${bucket}_snapshots.>`, `$JS.API.STREAM.PURGE.${snapshots}`],
        ...[`$JS.API.STREAM.MSG.DELETE.${snapshots}`, `$JS.API.CONSUMER.MSG.NEXT.${snapshots}.*`],
        ...[`$JS.API.CONSUMER.*.${snapshots}.>`, `$JS.FC.${snapshots}.>`],
        // Changes, to follow; those that a snapshot holds go, and all of an epoch that is over.
        ...streamsOf(index).flatMap((stream) => [
          `$JS.API.STREAM.MSG.GET.${stream}`,
          ...[`$JS.API.STREAM.INFO.${stream}`, `$JS.API.STREAM.PURGE.${stream}`],
          ...[`$JS.API.STREAM.DELETE.${stream}`, `$JS.API.DIRECT.GET.${stream}`],
          ...[`$JS.API.CONSUMER.*.${stream}.>`, `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`],
        ]),
      ],
    },
    subscribe: {
      allow: [
        inbox,
        ...[`${subjects}.*.search`, `${subjects}.*.*.hedge`, `${subjects}.*.*.ask`],
        ...[`${subjects}.stats`, '$SRV.>'],
      ],
    },
  };
}

/** What making an index, laying it out anew and removing it need. */
export function adminPermissions(index: PermittedIndex): Permissions {
  const { bucket, subjects, inbox } = of(index);
  const stores = [`KV_${bucket}`, `KV_${bucket}_claims`, `OBJ_${bucket}_snapshots`];
  const snapshots = stores[2]!;
  return {
    publish: {
      allow: [
        ...['$JS.API.INFO', '$JS.API.STREAM.NAMES', `${subjects}.stats`],
        ...stores.flatMap((store) =>
          ['CREATE', 'DELETE', 'INFO', 'MSG.GET'].map((what) => `$JS.API.STREAM.${what}.${store}`),
        ),
        // To seal a stream is to update it.
        ...streamsOf(index).flatMap((stream) =>
          ['CREATE', 'UPDATE', 'DELETE', 'INFO'].map((what) => `$JS.API.STREAM.${what}.${stream}`),
        ),
        ...[`$JS.API.STREAM.PURGE.${snapshots}`, `$JS.API.STREAM.MSG.DELETE.${snapshots}`],
        `$JS.API.CONSUMER.MSG.NEXT.${snapshots}.*`,
        ...[`$KV.${bucket}.>`, `$KV.${bucket}_claims.>`, `$O.${bucket}_snapshots.>`],
        // Laying out anew reads snapshots and follows streams.
        ...[`$JS.API.CONSUMER.*.${snapshots}.>`, `$JS.FC.${snapshots}.>`],
        ...streamsOf(index).flatMap((stream) => [
          ...[`$JS.API.DIRECT.GET.${stream}`, `$JS.API.CONSUMER.*.${stream}.>`],
          `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
        ]),
      ],
    },
    subscribe: { allow: [inbox] },
  };
}
