import { readFile } from 'node:fs/promises';
import { badArgument } from '../cache/cache-limits.js';
import { requireInteger, requireRange } from '../index/arguments.js';
import { fileError, LichenFileError, shown } from '../errors.js';

/** A machine that can be rented. */
export interface MachinePrice {
  /** What its owner calls it. */
  readonly name: string;
  /** Threads that run side by side. */
  readonly vcpus: number;
  /** Memory in GiB. */
  readonly memoryGiB: number;
  /** US dollars an hour. */
  readonly usdPerHour: number;
  /** How fast one of its vCPUs is, the processor that times were measured on being 1. Default 1. */
  readonly speed?: number | undefined;
}

/** What machines cost, and when they did. */
export interface PriceTable {
  /** The day that the prices are of. */
  readonly asOf: string;
  /** Where they come from. */
  readonly source: string;
  /** What can be rented. */
  readonly machines: readonly MachinePrice[];
  /** A gigabyte between two zones of a region, both directions paid. */
  readonly usdPerGB: number;
  /** The share of the time that one machine works. */
  readonly machineAvailability: number;
}

const SIZES: readonly (readonly [name: string, vcpus: number])[] = [
  ['large', 2],
  ['xlarge', 4],
  ['2xlarge', 8],
  ['4xlarge', 16],
  ['8xlarge', 32],
  ['16xlarge', 64],
];
/** Memory a vCPU in GiB, and the price of the size `large`. One vCPU of these is a whole core, not half of one. */
const FAMILIES: readonly (readonly [name: string, memoryGiB: number, usdPerHour: number])[] = [
  ['c7g', 2, 0.0725],
  ['m7g', 4, 0.0816],
  ['r7g', 8, 0.1071],
  ['c7a', 2, 0.10264],
  ['m7a', 4, 0.11592],
  ['r7a', 8, 0.15215],
];

/** On-demand prices of one large provider; larger sizes cost in proportion. */
export const DEFAULT_PRICES: PriceTable = Object.freeze<PriceTable>({
  asOf: '2025-06-01',
  source: 'Amazon EC2 on demand, Linux, us-east-1 (aws.amazon.com/ec2/pricing/on-demand)',
  machines: Object.freeze(
    FAMILIES.flatMap(([family, memory, price]) =>
      SIZES.map(([size, vcpus]) =>
        Object.freeze({
          ...{ name: `${family}.${size}`, vcpus, memoryGiB: vcpus * memory },
          usdPerHour: Number(((price * vcpus) / 2).toFixed(5)),
        }),
      ),
    ),
  ),
  // 0.01 in each of the two directions.
  usdPerGB: 0.02,
  // What the provider's agreement promises of a single machine.
  machineAvailability: 0.995,
});

/**
 * Reads a table of prices: JSON, `{ asOf, source, machines: [{ name, vcpus, memoryGiB, usdPerHour, speed? }], usdPerGB?,
 * machineAvailability? }`.
 * @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_FORMAT
 *
 * @example
 * const prices = await readPrices('prices.json');
 */
export async function readPrices(path: string): Promise<PriceTable> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw fileError('read', path, cause);
  });
  try {
    return parsePrices(JSON.parse(text));
  } catch (cause) {
    throw new LichenFileError('ERR_LICHEN_FORMAT', `${path}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/**
 * A table of prices from JSON.
 * @throws ERR_LICHEN_ARGUMENT
 *
 * @example
 * const machines = [{ name: 'own', vcpus: 8, memoryGiB: 32, usdPerHour: 0.2 }];
 * const prices = parsePrices({ asOf: '2026-01-01', source: 'our own', machines });
 */
export function parsePrices(value: unknown): PriceTable {
  const given = (value ?? {}) as Partial<Record<keyof PriceTable, unknown>>;
  const { asOf, source = 'of the caller', machines } = given;
  const { usdPerGB = DEFAULT_PRICES.usdPerGB } = given;
  const { machineAvailability = DEFAULT_PRICES.machineAvailability } = given;
  if (typeof asOf !== 'string')
    throw badArgument(`asOf must be the day of the prices, got ${shown(asOf)}`);
  if (typeof source !== 'string') throw badArgument(`source must be a text, got ${shown(source)}`);
  if (!Array.isArray(machines) || machines.length === 0) {
    throw badArgument('machines must be a list of at least one');
  }
  return {
    ...{ asOf, source, machines: machines.map(requireMachine) },
    usdPerGB: requireRange('usdPerGB', usdPerGB, 0, Number.MAX_VALUE),
    machineAvailability: requireRange('machineAvailability', machineAvailability, 0.5, 1),
  };
}

function requireMachine(value: unknown, at: number): MachinePrice {
  const { name, vcpus, memoryGiB, usdPerHour, speed } = (value ?? {}) as Partial<MachinePrice>;
  const where = `machines[${at}]`;
  if (typeof name !== 'string' || name === '') {
    throw badArgument(`${where}.name must be a text, got ${shown(name)}`);
  }
  const number = (key: string, given: unknown) =>
    requireRange(`${where}.${key}`, given, Number.MIN_VALUE, Number.MAX_VALUE);
  return {
    ...{ name, vcpus: requireInteger(`${where}.vcpus`, vcpus, 1, 100_000) },
    ...{ memoryGiB: number('memoryGiB', memoryGiB) },
    usdPerHour: number('usdPerHour', usdPerHour),
    ...(speed !== undefined && { speed: requireRange(`${where}.speed`, speed, 0.001, 1000) }),
  };
}
