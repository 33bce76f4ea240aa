import { cpus } from 'node:os';
import { machine } from '../native.js';
import { memoryBytes } from '../vectors/memory.js';
import { ownVersion } from '../vectors/packages.js';

/** Where something was measured. */
export interface MachineDescription {
  /** What the processor calls itself. */
  readonly processor: string;
  /** Threads that run side by side. */
  readonly threads: number;
  /** That a process may have. */
  readonly memoryGiB: number;
  /** The instruction set of the kernels. */
  readonly isa: string;
  /** The version of Node.js. */
  readonly node: string;
  /** Operating system and architecture, such as `linux-x64`. */
  readonly platform: string;
  /** The version of lichen. */
  readonly version: string;
}

/**
 * This machine, as reports tell it.
 *
 * @example
 * const { processor, isa, node } = describeMachine();
 */
export function describeMachine(): MachineDescription {
  const { isa, threads } = machine();
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    threads,
    memoryGiB: gibibytes(memoryBytes()),
    isa,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    version: ownVersion(),
  };
}

/** Containers may have less than one. */
function gibibytes(bytes: number): number {
  return Number((bytes / 2 ** 30).toFixed(bytes < 2 ** 32 ? 1 : 0));
}
