import { describe, expect, it } from 'vitest';
import { NAMESPACES_MISSING, NAMESPACES_NOTE } from '../servers/namespaces.js';
import { NATS_MISSING, NATS_NOTE } from '../servers/nats.js';
import { chaos, type Fault } from './chaos.js';

// `npm run chaos` goes on for hundreds of rounds, with faults of all kinds that last longer.

const FAULTS: readonly Fault[] = [
  'kill a replica and its files',
  'halt a replica',
  'kill the leader of a stream',
  ...(NAMESPACES_MISSING ? [] : (['cut a NATS server off from the others'] as const)),
];

describe.skipIf(NATS_MISSING)(`an index on NATS under faults${NATS_NOTE}`, () => {
  it(`loses nothing that was acknowledged and does nothing twice; of the network too${NAMESPACES_NOTE}`, async () => {
    const options = { seed: 1, mostMs: 1000, namespaces: !NAMESPACES_MISSING };
    const report = await chaos({ ...options, faults: FAULTS });
    expect(report.violations).toEqual([]);
    expect(report.rounds).toHaveLength(FAULTS.length);
    expect(report.keys).toBeGreaterThan(50);
    expect(report.rejected).toBe(0);
  }, 180_000);
});
