import { setTimeout as sleep } from 'node:timers/promises';
import { networkBytes } from '../../src/index.js';
import type { NatsCluster } from '../../test/servers/nats.js';
import { closedLoop } from './closed-loop.js';
import type { Deployment } from './cluster-fleet.js';
import { searchOf, type Searches } from './cluster-probes.js';
import type { SectionResult } from './report.js';

/**
 * Bytes that clients, replicas among them, exchange with NATS for a search, without what goes on when there is none. NATS
 * counts a message where it comes in and where it goes out, so a request comes in once and goes out to every shard.
 */
export async function bytesRow(
  nats: NatsCluster,
  { index, shards }: Deployment,
  searches: Searches,
  { name, dim, seconds }: { readonly name: string; readonly dim: number; readonly seconds: number },
): Promise<SectionResult> {
  const during = async (work: () => Promise<unknown>) => {
    const before = await nats.bytes();
    const since = performance.now();
    await work();
    const after = await nats.bytes();
    const elapsed = (performance.now() - since) / 1000;
    return { in: after.in - before.in, out: after.out - before.out, elapsed };
  };
  const idle = await during(() => sleep(1000 * seconds));
  let requests = 0;
  const search = searchOf(index, searches);
  const busy = await during(async () => {
    ({
      micros: { length: requests },
    } = await closedLoop(1, seconds, search));
  });
  const each = (way: 'in' | 'out') =>
    (busy[way] - (idle[way] / idle.elapsed) * busy.elapsed) / requests;
  const predicted = networkBytes(shards, { dim, k: searches.k });
  return {
    ...{ section: 'bytes of a search', name, bytesIn: each('in'), bytesOut: each('out') },
    ...{ predictedRequests: predicted.requests, predictedResponses: predicted.responses },
    ...{ predicted: predicted.total, outToPredicted: each('out') / predicted.total },
    ...{ idleBytesInASecond: idle.in / idle.elapsed, idleBytesOutASecond: idle.out / idle.elapsed },
  };
}
