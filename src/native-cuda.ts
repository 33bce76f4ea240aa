import type { IndexHandle } from './native.js';

/** A device as the NVIDIA driver describes it. */
export interface CudaDevice {
  /** What the driver calls it. */
  readonly name: string;
  /** Such as '9.0'; lichen has code for 8.0 and later. */
  readonly computeCapability: string;
  /** Its multiprocessors, each of which works on blocks of its own. */
  readonly multiprocessors: number;
  /** Bytes of its memory. */
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

declare const cudaKind: unique symbol;
/** float32 values on a device; freed when closed or collected. */
export type CudaTensorHandle = { readonly [cudaKind]: 'tensor' };

/** The addon's functions on NVIDIA devices; they throw ERR_LICHEN_NO_DEVICE until a module is open. */
export interface CudaCalls {
  /** Opens the module for NVIDIA devices, once a process; the same path again does nothing. */
  cudaOpen(path: string): void;
  cudaDevices(): CudaDevice[];
  /** Searches of a flat index are done on a device from now on; `bytes` 0: as much of its memory as is free. */
  indexUseDevice(index: IndexHandle, device: number, bytes: number): void;
  indexDevice(index: IndexHandle): DeviceRows;
  /** Memory for so many values on a device, which are whatever they are; ERR_LICHEN_DEVICE_MEMORY. */
  cudaTensor(device: number, length: number): CudaTensorHandle;
  cudaTensorClose(tensor: CudaTensorHandle): void;
  /** The array is as long as the tensor. */
  cudaTensorPut(tensor: CudaTensorHandle, values: Float32Array): void;
  cudaTensorGet(tensor: CudaTensorHandle, values: Float32Array): void;
  /**
   * `out = op(a) op(b)` for each of a batch, `out` being another tensor than the operands; an operand of one matrix
   * serves the whole batch.
   */
  cudaTensorProduct(
    a: CudaTensorHandle,
    b: CudaTensorHandle,
    out: CudaTensorHandle,
    batch: number,
    rows: number,
    depth: number,
    columns: number,
    transposeA: boolean,
    transposeB: boolean,
  ): void;
  /** May be in place. */
  cudaTensorSoftmax(
    x: CudaTensorHandle,
    rows: number,
    columns: number,
    out: CudaTensorHandle,
  ): void;
  /** Descending, of equals the lower column first, NaN last; ERR_LICHEN_UNSUPPORTED for k above 1024. */
  cudaTensorTopK(
    x: CudaTensorHandle,
    rows: number,
    columns: number,
    k: number,
    values: Float32Array,
    places: Int32Array,
  ): void;
}
