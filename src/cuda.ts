import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LichenError } from './errors.js';
import type { CudaDevice } from './native-cuda.js';
import { native } from './native.js';

export type { CudaDevice };

/** What lichen can do with NVIDIA devices here, and if nothing, why. */
export interface CudaStatus {
  /** The file of the module, where one was found. */
  readonly module?: string;
  /** Those that lichen can use; none where there is a reason. */
  readonly devices: CudaDevice[];
  /** Why there are none. */
  readonly reason?: string;
}

const FILE = 'lichen-cuda.so';
const PACKAGE = join(__dirname, '..');
/** Folders of the package, in the order in which they are looked into. */
const FOLDERS = [
  'build/cuda',
  'native/build/cuda',
  `prebuilds/${process.platform}-${process.arch}`,
];
const HOW_TO_BUILD =
  'cmake -S native -B build/cuda -DLICHEN_ADDON=OFF -DLICHEN_CUDA=ON && cmake --build build/cuda --target lichen_cuda';

/** Of the module: the variable LICHEN_CUDA_MODULE, else the first folder that has it. */
function modulePath(): string | undefined {
  const told = process.env['LICHEN_CUDA_MODULE'];
  if (told !== undefined && told !== '') return told;
  return FOLDERS.map((folder) => join(PACKAGE, folder, FILE)).find((path) => existsSync(path));
}

let isOpen = false;

/**
 * Opens the module for NVIDIA devices; once it is open, nothing happens. It is the file that the variable
 * LICHEN_CUDA_MODULE names, else `lichen-cuda.so` in `build/cuda`, `native/build/cuda` or `prebuilds/<platform>-<arch>`
 * of the package.
 * @throws ERR_LICHEN_NO_DEVICE where there is no module, no driver or no device, ERR_LICHEN_OLD_DRIVER; ERR_LICHEN_ARGUMENT when another
 * module is open.
 */
export function openCuda(): void {
  if (isOpen) return;
  const path = modulePath();
  if (path === undefined) {
    throw new LichenError(
      'ERR_LICHEN_NO_DEVICE',
      `there is no ${FILE} in ${FOLDERS.join(', ')} of the package (built with: ${HOW_TO_BUILD}), and ` +
        'LICHEN_CUDA_MODULE names none',
    );
  }
  native().cudaOpen(path);
  if (native().cudaDevices().length === 0) {
    throw new LichenError('ERR_LICHEN_NO_DEVICE', 'the driver finds no NVIDIA device');
  }
  isOpen = true;
}

/**
 * The NVIDIA devices, by their numbers, with what memory is free now.
 * @throws ERR_LICHEN_NO_DEVICE where there is no module, no driver or no device, ERR_LICHEN_OLD_DRIVER, ERR_LICHEN_ARGUMENT when
 * another module is open.
 *
 * @example
 * for (const { name, freeBytes } of cudaDevices()) console.log(name, freeBytes);
 */
export function cudaDevices(): CudaDevice[] {
  openCuda();
  return native().cudaDevices();
}

/**
 * What there is, without throwing.
 *
 * @example
 * const { devices, reason } = cudaStatus();
 * if (devices.length === 0) console.log(reason);
 */
export function cudaStatus(): CudaStatus {
  const path = modulePath();
  const module = path === undefined ? {} : { module: path };
  try {
    return { ...module, devices: cudaDevices() };
  } catch (error) {
    return {
      ...module,
      devices: [],
      reason: error instanceof Error ? error.message : String(error),
    };
  }
}
