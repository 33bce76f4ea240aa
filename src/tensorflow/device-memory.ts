import type { DataId } from '@tensorflow/tfjs-core';
import { LichenError } from '../errors.js';
import type { CudaTensorHandle } from '../native-cuda.js';
import { native } from '../native.js';

const DEVICE = 0;

/** The values of a tensor on the device. */
interface Copy {
  readonly tensor: CudaTensorHandle;
  readonly length: number;
  /** Nobody else has the values. */
  alone: boolean;
}

/**
 * Memory of a device for tensors, within a number of bytes: copies of operands, since they tend to come again, and
 * results that nobody has read yet. The copies that were not used for the longest time make room for others.
 */
export class DeviceMemory {
  /** The least recently used first. */
  private readonly copies = new Map<DataId, Copy>();
  /** Tensors whose values nobody wants, by length: taking memory anew makes the device wait. */
  private readonly free = new Map<number, CudaTensorHandle[]>();
  private bytes = 0;

  /**
   * @param mostBytes of the device's memory.
   * @param bringHome has `read` called for values that are here alone.
   */
  constructor(
    private readonly mostBytes: number,
    private readonly bringHome: (dataId: DataId) => void,
  ) {}

  has(dataId: DataId): boolean {
    return this.copies.has(dataId);
  }

  hasAlone(dataId: DataId): boolean {
    return this.copies.get(dataId)?.alone === true;
  }

  /**
   * A copy of values, `inUse` being the tensors whose copies must stay.
   * @throws ERR_LICHEN_DEVICE_MEMORY
   */
  copyOf(dataId: DataId, values: () => Float32Array, inUse: ReadonlySet<DataId>): CudaTensorHandle {
    const known = this.copies.get(dataId);
    if (known !== undefined) {
      this.copies.delete(dataId);
      this.copies.set(dataId, known);
      return known.tensor;
    }
    const array = values();
    return this.filled(array.length, inUse, (tensor) => {
      native().cudaTensorPut(tensor, array);
      this.copies.set(dataId, { tensor, length: array.length, alone: false });
      return tensor;
    });
  }

  /**
   * Gives `fill` a tensor of so many values, which is kept unless `fill` throws.
   * @throws ERR_LICHEN_DEVICE_MEMORY
   */
  filled<T>(length: number, inUse: ReadonlySet<DataId>, fill: (tensor: CudaTensorHandle) => T): T {
    const tensor = this.take(length, inUse);
    try {
      return fill(tensor);
    } catch (error) {
      this.putAside(tensor, length);
      throw error;
    }
  }

  /** The tensor has the values of `dataId`, and nobody else has them. */
  keepAlone(dataId: DataId, tensor: CudaTensorHandle, length: number): void {
    this.copies.set(dataId, { tensor, length, alone: true });
  }

  /** Writes the values of a copy, which then is not alone with them. */
  read(dataId: DataId, values: Float32Array): void {
    const copy = this.copies.get(dataId)!;
    native().cudaTensorGet(copy.tensor, values);
    copy.alone = false;
  }

  /** The tensor is gone. */
  forget(dataId: DataId): void {
    const copy = this.copies.get(dataId);
    if (copy === undefined) return;
    this.copies.delete(dataId);
    this.putAside(copy.tensor, copy.length);
  }

  /** Gives the device back what can be had again. */
  shrink(): void {
    this.closeFree();
    for (const [dataId, { alone }] of this.copies) {
      if (!alone) this.close(dataId);
    }
  }

  /** Gives the device back everything. */
  clear(): void {
    this.closeFree();
    for (const dataId of this.copies.keys()) this.close(dataId);
  }

  private take(length: number, inUse: ReadonlySet<DataId>): CudaTensorHandle {
    const known = this.free.get(length)?.pop();
    if (known !== undefined) return known;
    this.makeRoom(bytesOf(length), inUse);
    const tensor = native().cudaTensor(DEVICE, length);
    this.bytes += bytesOf(length);
    return tensor;
  }

  private makeRoom(bytes: number, inUse: ReadonlySet<DataId>): void {
    if (this.bytes + bytes > this.mostBytes) this.closeFree();
    for (const [dataId, { alone }] of this.copies) {
      if (this.bytes + bytes <= this.mostBytes) return;
      if (inUse.has(dataId)) continue;
      if (alone) this.bringHome(dataId);
      this.close(dataId);
    }
    if (this.bytes + bytes <= this.mostBytes) return;
    throw new LichenError(
      'ERR_LICHEN_DEVICE_MEMORY',
      `${bytes} bytes of the device are wanted, beside ${this.bytes} in use of at most ${this.mostBytes}`,
    );
  }

  private putAside(tensor: CudaTensorHandle, length: number): void {
    const same = this.free.get(length);
    if (same === undefined) this.free.set(length, [tensor]);
    else same.push(tensor);
  }

  private close(dataId: DataId): void {
    const { tensor, length } = this.copies.get(dataId)!;
    this.copies.delete(dataId);
    native().cudaTensorClose(tensor);
    this.bytes -= bytesOf(length);
  }

  private closeFree(): void {
    for (const [length, tensors] of this.free) {
      for (const tensor of tensors) native().cudaTensorClose(tensor);
      this.bytes -= tensors.length * bytesOf(length);
    }
    this.free.clear();
  }
}

function bytesOf(length: number): number {
  return length * Float32Array.BYTES_PER_ELEMENT;
}
