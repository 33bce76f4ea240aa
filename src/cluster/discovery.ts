import type { NatsConnection, Subscription } from '@nats-io/transport-node';

/** What a service tells of itself. */
export interface ServiceDescription {
  readonly name: string;
  readonly id: string;
  readonly version: string;
  readonly description: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly endpoints: readonly {
    readonly name: string;
    readonly subject: string;
    readonly queue_group: string;
  }[];
}

/** What a service has done. */
export interface ServiceFigures {
  readonly requests: number;
  readonly errors: number;
  readonly ms: number;
}

/**
 * Answers as services of NATS do when they are looked for (`nats micro ls`; ADR-32 of the NATS project): PING, INFO and
 * STATS, asked of all, of all of a name, or of one. Without the right to subscribe there it is only not found.
 */
export function announceService(
  connection: NatsConnection,
  describe: () => ServiceDescription,
  figures: () => ServiceFigures,
): { close(): void } {
  const started = new Date().toISOString();
  const { name, id } = describe();
  const kinds: Record<string, () => object> = {
    PING: () => ({ type: 'io.nats.micro.v1.ping_response' }),
    INFO: () => {
      const { description, endpoints } = describe();
      return { type: 'io.nats.micro.v1.info_response', description, endpoints };
    },
    STATS: () => {
      const { requests, errors, ms } = figures();
      return {
        ...{ type: 'io.nats.micro.v1.stats_response', started },
        endpoints: describe().endpoints.map((endpoint) => ({
          ...endpoint,
          ...{ num_requests: requests, num_errors: errors, last_error: '' },
          processing_time: Math.round(ms * 1e6),
          average_processing_time: Math.round((ms * 1e6) / Math.max(1, requests)),
        })),
      };
    },
  };
  const subscriptions: Subscription[] = [];
  for (const [kind, answer] of Object.entries(kinds)) {
    for (const subject of [kind, `${kind}.${name}`, `${kind}.${name}.${id}`]) {
      const subscription = connection.subscribe(`$SRV.${subject}`, {
        callback: (error, message) => {
          if (error !== null) return;
          const { version, metadata } = describe();
          message.respond(JSON.stringify({ name, id, version, metadata, ...answer() }));
        },
      });
      subscriptions.push(subscription);
    }
  }
  return {
    close() {
      for (const subscription of subscriptions) subscription.unsubscribe();
    },
  };
}
