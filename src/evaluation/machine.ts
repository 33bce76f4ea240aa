import { cpus, totalmem } from 'node:os';
import { machine } from '../native.js';
import { ownVersion } from '../vectors/packages.js';

/** Where something was measured. */
export interface MachineDescription {
  readonly processor: string;
  readonly threads: number;
  readonly memoryGiB: number;
  /** The instruction set of the kernels. */
  readonly isa: string;
  readonly node: string;
  readonly platform: string;
  /** The version of lichen. */
  readonly version: string;
}

/** This machine, as reports tell it. */
export function describeMachine(): MachineDescription {
  const { isa, threads } = machine();
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    threads,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    isa,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    version: ownVersion(),
  };
}
