/** Shorter arrays are cheaper to make than to look for. */
const LEAST_LENGTH = 1024;

/** Bytes kept for later at most. */
const MOST_BYTES = 256 * 2 ** 20;

/**
 * Memory of tensors that are gone, for the next tensor of about the same size: a step of training makes the same ones
 * again and again, or ones that differ a little, and new memory costs a page fault for every 4 KiB and work of the
 * garbage collector.
 *
 * Memory that anything but a native kernel has seen is never used again.
 */
export class RecycledArrays {
  private readonly free = new Map<number, ArrayBuffer[]>();
  /** Arrays made here that nobody else has seen. */
  private readonly own = new WeakSet<ArrayBufferView>();
  private bytes = 0;

  /** An array whose values are whatever they are. */
  take(length: number): Float32Array {
    if (length < LEAST_LENGTH) return new Float32Array(length);
    const size = sizeClass(length * Float32Array.BYTES_PER_ELEMENT);
    const buffer = this.free.get(size)?.pop();
    if (buffer !== undefined) this.bytes -= size;
    const array = new Float32Array(buffer ?? new ArrayBuffer(size), 0, length);
    this.own.add(array);
    return array;
  }

  /** Somebody else sees the array: its memory is not used again. */
  release(array: unknown): void {
    if (ArrayBuffer.isView(array)) this.own.delete(array);
  }

  /** The values for a caller to keep, and nothing but them in their buffer. */
  handOut<T>(array: T): T | Float32Array {
    if (array instanceof Float32Array && array.buffer.byteLength > array.byteLength) {
      return array.slice();
    }
    this.release(array);
    return array;
  }

  /** The tensor that had the array is gone. */
  giveBack(array: unknown): void {
    if (!(array instanceof Float32Array) || !this.own.delete(array)) return;
    const buffer = array.buffer as ArrayBuffer;
    const size = buffer.byteLength;
    // What is kept has become useless when its sizes are not asked for any more.
    if (this.bytes + size > MOST_BYTES) this.clear();
    const same = this.free.get(size);
    if (same === undefined) this.free.set(size, [buffer]);
    else same.push(buffer);
    this.bytes += size;
  }

  /** Forgets all that is kept. */
  clear(): void {
    this.free.clear();
    this.bytes = 0;
  }
}

/** The bytes rounded up to four to eight times a power of two: at most a quarter is more than was asked for. */
function sizeClass(bytes: number): number {
  const unit = 2 ** (Math.floor(Math.log2(bytes)) - 2);
  return Math.ceil(bytes / unit) * unit;
}
