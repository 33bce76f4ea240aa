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

/** The addon's functions on NVIDIA devices; they throw ERR_LICHEN_NO_DEVICE until a module is open. */
export interface CudaCalls {
  /** Opens the module for NVIDIA devices, once a process; the same path again does nothing. */
  cudaOpen(path: string): void;
  cudaDevices(): CudaDevice[];
}
