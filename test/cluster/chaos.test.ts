import { describe, expect, it } from 'vitest';
import { NAMESPACES_MISSING, NAMESPACES_NOTE } from '../servers/namespaces.js';
import { NATS_MISSING, NATS_NOTE } from '../servers/nats.js';
import { chaos, type Fault } from './chaos.js';

// `npm run chaos` goes on for hundreds of rounds, with faults that last longer.

const OF_PROCESSES: readonly Fault[] = [
  'kill a replica and its files',
  'halt a replica',
  'kill the leader of a stream',
  'kill both replicas of a shard',
];

describe.skipIf(NATS_MISSING)(`an index on NATS under faults${NATS_NOTE}`, () => {
  it('loses nothing that was acknowledged and does nothing twice when processes die or halt', async () => {
    const options = { seed: 1, mostMs: 1500, namespaces: false };
    const report = await chaos({ ...options, faults: OF_PROCESSES });
    expect(report.violations).toEqual([]);
    expect(report.rounds).toHaveLength(OF_PROCESSES.length);
    expect(report.keys).toBeGreaterThan(100);
    expect(report.rejected).toBe(0);
    // With one fault at a time that leaves a replica of every shard, searches are answered.
    const [killed, halted] = report.rounds;
    for (const { searches, failed } of [killed!, halted!])
      expect(failed).toBeLessThan(searches / 2);
  }, 180_000);

  it.skipIf(NAMESPACES_MISSING)(
    `nor when the network parts${NAMESPACES_NOTE}`,
    async () => {
      const options = { seed: 2, mostMs: 1500, namespaces: true };
      const report = await chaos({ ...options, faults: ['cut a NATS server off from the others'] });
      expect(report.violations).toEqual([]);
      expect(report.keys).toBeGreaterThan(30);
    },
    120_000,
  );
});
