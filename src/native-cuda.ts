import type { IndexHandle } from './native.js';

/** A device as the NVIDIA driver describes it. */
export interface CudaDevice {
  readonly name: string;
  /** Such as '9.0'; lichen has code for 8.0 and later. */
  readonly computeCapability: string;
  readonly multiprocessors: number;
  readonly memoryBytes: number;
  /** Bytes that nobody had taken when it was asked. */
  readonly freeBytes: number;
  /** The version of CUDA that the driver is for, such as '13.0'. */
  readonly driver: string;
  /** The version of CUDA that the module was built with. */
  readonly runtime: string;
}

/** What an index has on its device. */
export interface DeviceRows {
  /** The device's number. */
  readonly device: number;
  /** Rows that the last search found there, those that were removed included. */
  readonly rows: number;
  /** Of them in memory of the device; searches read the others from this machine's memory. */
  readonly residentRows: number;
  /** Memory of the device that they take. */
  readonly bytes: number;
  /** Queries that were searched for. */
  readonly searches: number;
  /**
   * Of these so many were done by the processor: for want of the device's memory, since `k` was too large, or since rows lie
   * so near to each other that rounding could hide the nearest.
   */
  readonly fallbacks: number;
}

/** The addon's functions on NVIDIA devices; they throw ERR_LICHEN_NO_DEVICE until a module is open. */
export interface CudaCalls {
  /** Opens the module for NVIDIA devices, once a process; the same path again does nothing. */
  cudaOpen(path: string): void;
  cudaDevices(): CudaDevice[];
  /** Searches of a flat index are done on a device from now on; `bytes` 0: as much of its memory as is free. */
  indexUseDevice(index: IndexHandle, device: number, bytes: number): void;
  indexDevice(index: IndexHandle): DeviceRows;
}
