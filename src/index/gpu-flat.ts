import { cudaDevices, openCuda, type CudaDevice } from '../cuda.js';
import { LichenArgumentError, shown } from '../errors.js';
import type { DeviceRows } from '../native-cuda.js';
import { native, type IndexHandle } from '../native.js';
import { requireInteger } from './arguments.js';
import type { OpenIndexOptions } from './file-options.js';
import { FlatIndex, type FlatOptions } from './flat.js';
import { adopt, openNativeOf } from './snapshot.js';
import type { Key } from './types.js';

/** Which device, and what of it. */
export interface DeviceOptions {
  /** The device's number, as `cudaDevices()` counts. Default 0. */
  device?: number | undefined;
  /**
   * Bytes of the device's memory that vectors may take; those that do not fit are read from this machine's memory by each
   * search. Default: what is free when they come.
   */
  deviceBytes?: number | undefined;
}

/** Options of {@link GpuFlatIndex}. */
export interface GpuFlatOptions extends FlatOptions, DeviceOptions {}

/** What a {@link GpuFlatIndex} has on its device. */
export interface GpuFlatState extends DeviceRows, CudaDevice {}

const MOST_DEVICES = 1024;

/**
 * A {@link FlatIndex} whose exhaustive searches run on an NVIDIA device (compute capability 8.0 or later), with the same
 * calls and the same results within rounding. The vectors stay in this machine's memory as well, where they are changed,
 * saved and, with `rerank`, scored anew; the next search brings to the device what has changed. Scores are computed in tiles
 * on the tensor cores, where the best are kept as well (`k`, times `oversample`, up to 4,096; beyond it the processor
 * searches). Storage types: f32, f16, bf16, i8 and b1; of f32, f16 and bf16 the best are found with products of 11, 11 and 8
 * significant bits and scored anew with 24.
 *
 * It pays for batches: a search of one query takes the device tens of microseconds beside reading all vectors once.
 *
 * @example
 * const index = new GpuFlatIndex({ dim: 128, metric: 'dot', storage: 'f16' });
 * await index.add(vectors);
 * const { keys, scores } = await index.searchBatch(queries, { k: 100 });
 */
export class GpuFlatIndex<K extends Key = number> extends FlatIndex<K> {
  /**
   * @throws ERR_LICHEN_NO_DEVICE, ERR_LICHEN_OLD_DRIVER, ERR_LICHEN_WRONG_DEVICE; ERR_LICHEN_UNSUPPORTED for a storage type
   * that devices have not; as {@link FlatIndex}.
   */
  constructor(options: GpuFlatOptions) {
    const { flat, device } = split(options);
    openCuda();
    super(flat);
    useDevice(this.handle, device);
  }

  /** As {@link FlatIndex.open}, and with the errors of the constructor. */
  static override async open<K extends Key = number>(
    path: string,
    options: OpenIndexOptions & DeviceOptions = {},
  ): Promise<GpuFlatIndex<K>> {
    const { flat, device } = split(options);
    openCuda();
    const opened = await openNativeOf('flat', path, flat);
    useDevice(opened.handle, device);
    return adopt<GpuFlatIndex<K>>(GpuFlatIndex, opened);
  }

  /** The device, and what is there of this index. */
  get device(): GpuFlatState {
    const rows = native().indexDevice(this.handle);
    return { ...cudaDevices()[rows.device]!, ...rows };
  }
}

interface ResolvedDevice {
  readonly number: number;
  readonly bytes: number;
}

function split<T extends DeviceOptions>(
  options: T,
): { flat: Omit<T, keyof DeviceOptions>; device: ResolvedDevice } {
  if (typeof options !== 'object' || options === null) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `options must be an object, got ${shown(options)}`,
    );
  }
  const { device = 0, deviceBytes = 0, ...flat } = options;
  requireInteger('device', device, 0, MOST_DEVICES);
  if (deviceBytes !== 0) requireInteger('deviceBytes', deviceBytes, 1, Number.MAX_SAFE_INTEGER);
  return { flat, device: { number: device, bytes: deviceBytes } };
}

/** Or closes the index. */
function useDevice(handle: IndexHandle, { number, bytes }: ResolvedDevice): void {
  try {
    native().indexUseDevice(handle, number, bytes);
  } catch (error) {
    native().indexClose(handle);
    throw error;
  }
}
