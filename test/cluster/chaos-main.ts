// npm run chaos -- [--rounds 200] [--seed 1] [--most 6000] [--fault TEXT]: faults of an index on NATS, again and again.

import { parseArgs } from 'node:util';
import { Random } from '../../src/vectors/random.js';
import { NAMESPACES_MISSING, NAMESPACES_NOTE } from '../servers/namespaces.js';
import { NATS_MISSING } from '../servers/nats.js';
import { chaos, FAULTS, NETWORK_FAULTS, type RoundReport } from './chaos.js';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '200' },
      seed: { type: 'string', default: '1' },
      most: { type: 'string', default: '6000' },
      fault: { type: 'string', default: '' },
    },
  });
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  if (NATS_MISSING) throw new Error('nats-server is not installed');
  const usable = FAULTS.filter(
    (fault) =>
      fault.includes(values.fault) && !(NAMESPACES_MISSING && NETWORK_FAULTS.includes(fault)),
  );
  if (NAMESPACES_MISSING) say(`no faults of the network${NAMESPACES_NOTE}`);
  const random = new Random(Number(values.seed));
  const faults = Array.from(
    { length: Number(values.rounds) },
    () => usable[random.below(usable.length)]!,
  );
  const options = { faults, seed: Number(values.seed), mostMs: Number(values.most), say };
  const report = await chaos({ ...options, namespaces: !NAMESPACES_MISSING });
  for (const fault of FAULTS)
    say(
      summary(
        fault,
        report.rounds.filter((one) => one.fault === fault),
      ),
    );
  const sum = (pick: (one: RoundReport) => number) =>
    report.rounds.reduce((total, one) => total + pick(one), 0);
  say(
    `${report.rounds.length} rounds: ${sum(({ writes }) => writes)} changes acknowledged, ${sum(({ unknown }) => unknown)} ` +
      `of unknown fate, ${sum(({ stale }) => stale)} stale reads, ${report.duplicates} copies not done twice, ` +
      `${report.mended} changes mended; ${report.keys} keys in the end, ` +
      `${report.violations.length} violations`,
  );
  if (report.violations.length > 0) process.exitCode = 1;
}

function summary(fault: string, rounds: readonly RoundReport[]): string {
  if (rounds.length === 0) return `${fault}: never`;
  const sum = (pick: (one: RoundReport) => number) =>
    rounds.reduce((total, one) => total + pick(one), 0);
  const spread = (pick: (one: RoundReport) => number) => {
    const sorted = rounds.map(pick).sort((a, b) => a - b);
    const at = (share: number) =>
      (sorted[Math.floor(share * (sorted.length - 1))]! / 1000).toFixed(2);
    return `${at(0.5)} (to ${at(1)}) s`;
  };
  const searches = sum((one) => one.searches);
  const share = (count: number) => `${((100 * count) / searches).toFixed(2)}%`;
  return [
    `${fault}, ${rounds.length} rounds`,
    `searches partial ${share(sum((one) => one.partial))}, failed ${share(sum((one) => one.failed))}`,
    `longest gap of answers ${spread((one) => one.longestAny)}, of whole ones ${spread((one) => one.longestWhole)}`,
    `longest write ${spread((one) => one.longestWrite)}`,
    `caught up after ${spread((one) => one.recoveryMs)}`,
  ].join('; ');
}

main().catch((error: Error) => {
  process.stderr.write(`${error.stack ?? error.message}\n`);
  process.exitCode = 1;
});
