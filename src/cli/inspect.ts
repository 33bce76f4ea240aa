import { Command } from 'commander';
import { cudaStatus } from '../cuda.js';
import { LichenFileError } from '../errors.js';
import { inspectSnapshot } from '../index/snapshot.js';
import { machine, native } from '../native.js';
import { memoryBytes } from '../vectors/memory.js';
import { grouped, openTerminal, table } from './terminal.js';
import { examples } from './usage.js';

interface InspectFlags {
  index?: string;
  system?: boolean;
  json?: boolean;
}

/** `lichen inspect` */
export function inspectCommand(): Command {
  const command = new Command('inspect')
    .description('Tell what is in a snapshot file and whether its checksums hold.')
    .option('--index <file>', 'a snapshot that lichen build saved')
    .option('--system', 'tell instead what lichen uses of this machine')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      examples('lichen inspect --index items.lichen', 'lichen inspect --system'),
    );
  return command.action(async (flags: InspectFlags) => {
    if ((flags.index === undefined) !== (flags.system === true)) {
      command.error("error: expected one of '--index <file>' and '--system'");
    }
    await (flags.index === undefined ? inspectSystem(flags) : inspectFile(flags.index, flags));
  });
}

async function inspectFile(path: string, flags: InspectFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  const report = await inspectSnapshot(path);
  const { sections, attributes, ...facts } = report;
  const kinds = Object.entries(attributes).map(([name, kind]) => `${name} (${kind})`);
  const told = kinds.length === 0 ? facts : { ...facts, attributes: kinds.join(', ') };
  for (const [name, value] of Object.entries(told)) {
    terminal.say(`${name.padEnd(16)}${typeof value === 'number' ? grouped(value) : value}`);
  }
  terminal.say('');
  terminal.say(
    table([
      ['section', 'offset', 'bytes', 'crc32c', 'checksum'],
      ...sections.map(({ name, offset, bytes, checksum, ok }) => [
        name,
        grouped(offset),
        grouped(bytes),
        checksum.toString(16).padStart(8, '0'),
        ok ? 'holds' : 'DOES NOT HOLD',
      ]),
    ]),
  );
  const damaged = sections.filter(({ ok }) => !ok).map(({ name }) => name);
  terminal.result({ ...report, ok: damaged.length === 0 });
  if (damaged.length > 0) {
    throw new LichenFileError(
      'ERR_LICHEN_FORMAT',
      `${path} is damaged: the checksum does not hold for ${damaged.join(', ')}`,
    );
  }
}

function inspectSystem(flags: InspectFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  const { isa, runnable, threads } = machine();
  const limits = native().limits();
  const { processors, quota, quotaFrom, memoryFrom } = limits;
  const system = { isa, runnable, threads, node: process.version, platform: process.platform };
  const allowed = quota > 0 ? `, of which ${quotaFrom} allows the time of ${quota}` : '';
  const told = {
    ...{ ...system, processors: `${processors} to run on${allowed}` },
    memory: `${gib(memoryBytes())}, ${memoryFrom === '' ? 'all of the machine' : `as ${memoryFrom} allows`}`,
  };
  for (const [name, value] of Object.entries(told)) {
    terminal.say(`${name.padEnd(16)}${[value].flat().join(', ')}`);
  }
  const cuda = cudaStatus();
  const devices = cuda.devices.map(
    ({ name, computeCapability, memoryBytes, freeBytes, driver }) =>
      `${name}, compute capability ${computeCapability}, ${gib(memoryBytes)} of memory (${gib(freeBytes)} free), driver for CUDA ${driver}`,
  );
  terminal.say(
    `${'cuda'.padEnd(16)}${cuda.reason === undefined ? devices.join('; ') : `not used: ${cuda.reason}`}`,
  );
  terminal.result({ ...system, ...limits, memoryBytes: memoryBytes(), cuda });
  return Promise.resolve();
}

function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
