/** Shorter arrays are cheaper to make than to look for. */
const LEAST_LENGTH = 1024;

/** Bytes kept for later at most. */
const MOST_BYTES = 256 * 2 ** 20;

/**
 * Float32Arrays of tensors that are gone, for the next tensor of the same size: a step of training makes the same ones
 * again and again, and a new array costs a page fault for every 4 KiB and work of the garbage collector.
 *
 * An array that anything but a native kernel has seen is never used again: `dataSync` hands out the array itself.
 */
export class RecycledArrays {
  private readonly free = new Map<number, Float32Array[]>();
  /** Arrays made here that nobody else has seen. */
  private readonly own = new WeakSet<ArrayBufferView>();
  private bytes = 0;

  /** An array whose values are whatever they are. */
  take(length: number): Float32Array {
    if (length < LEAST_LENGTH) return new Float32Array(length);
    const array = this.free.get(length)?.pop();
    if (array !== undefined) {
      this.bytes -= array.byteLength;
      return array;
    }
    const made = new Float32Array(length);
    this.own.add(made);
    return made;
  }

  /** Somebody else sees the array: it is not used again. */
  release(array: unknown): void {
    if (ArrayBuffer.isView(array)) this.own.delete(array);
  }

  /** The tensor that had the array is gone. */
  giveBack(array: unknown): void {
    if (!(array instanceof Float32Array) || !this.own.has(array)) return;
    // What is kept has become useless when its sizes are not asked for any more.
    if (this.bytes + array.byteLength > MOST_BYTES) this.clear();
    const same = this.free.get(array.length);
    if (same === undefined) this.free.set(array.length, [array]);
    else same.push(array);
    this.bytes += array.byteLength;
  }

  /** Forgets all that is kept. */
  clear(): void {
    this.free.clear();
    this.bytes = 0;
  }
}
