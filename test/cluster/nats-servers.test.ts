import { jetstream, jetstreamManager, type JetStreamClient } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterEach, describe, expect, it } from 'vitest';
import { NAMESPACES_MISSING, NAMESPACES_NOTE } from '../servers/namespaces.js';
import { NATS_MISSING, NATS_NOTE, startNatsCluster, type NatsCluster } from '../servers/nats.js';
import { until } from '../servers/processes.js';

describe.skipIf(NATS_MISSING)(`a cluster of nats-server${NATS_NOTE}`, () => {
  let cluster: NatsCluster | undefined;
  let connection: NatsConnection | undefined;

  afterEach(async () => {
    await connection?.close();
    await cluster?.stop();
    cluster = connection = undefined;
  });

  async function connectTo(servers: string[]): Promise<JetStreamClient> {
    connection = await connect({ servers, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
    return jetstream(connection, { timeout: 2000 });
  }

  /** Publishes until it is acknowledged: there is nobody to do so before a leader is elected. */
  async function publish(client: JetStreamClient, id: string): Promise<number> {
    let seq = 0;
    await until(async () => {
      const ack = await client.publish('a.b', id, { msgID: id }).catch(() => undefined);
      seq = ack?.seq ?? 0;
      return seq > 0;
    }, `an acknowledgement of ${id}`);
    return seq;
  }

  async function leaderOf(its: NatsCluster, but?: number): Promise<number> {
    let leader: number | undefined;
    await until(async () => {
      leader = await its.streamLeader('S');
      return leader !== undefined && leader !== but;
    }, 'a leader of the stream');
    return leader!;
  }

  it('goes on without the leader of a stream, and takes it back', async () => {
    cluster = await startNatsCluster();
    const client = await connectTo(cluster.urls);
    const manager = await jetstreamManager(connection!);
    await manager.streams.add({ name: 'S', subjects: ['a.>'], num_replicas: 3 });
    expect(await publish(client, 'one')).toBe(1);
    const before = await cluster.bytes();
    expect(before.in).toBeGreaterThan(0);
    const leader = await leaderOf(cluster);
    await cluster.kill(leader);
    expect(await publish(client, 'two')).toBe(2);
    expect(await leaderOf(cluster)).not.toBe(leader);
    await cluster.start(leader);
    await cluster.caughtUp('S');
    const { state, cluster: info } = await manager.streams.info('S');
    expect(state.messages).toBe(2);
    expect(info!.replicas!.map(({ current }) => current)).toEqual([true, true]);
  });

  it.skipIf(NAMESPACES_MISSING)(`can be cut off and mended${NAMESPACES_NOTE}`, async () => {
    cluster = await startNatsCluster(3, { namespaces: true, pingIntervalSeconds: 1 });
    let client = await connectTo(cluster.urls);
    const manager = await jetstreamManager(connection!);
    await manager.streams.add({ name: 'S', subjects: ['a.>'], num_replicas: 3 });
    const one = ((await leaderOf(cluster)) + 1) % 3;
    await connection!.close();
    client = await connectTo([cluster.urls[one]!]);
    for (const from of ['everyone', 'hosts'] as const) {
      await publish(client, `before ${from}`);
      cluster.cut(one, from);
      await expect(client.publish('a.b', from, { timeout: 500 })).rejects.toThrow();
      // Its own clients reach it where it is cut off from the other servers alone.
      if (from === 'hosts') await connection!.flush();
      await cluster.settled();
      cluster.mend(one);
      await publish(client, `after ${from}`);
    }
  });
});
