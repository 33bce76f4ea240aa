/** How often each kernel ran on the cpu backend's code, because the native one does not take such a call. */
const counts = new Map<string, number>();

/**
 * Kernels that ran in plain JavaScript on the backend `lichen` since the counts were reset, 10 to 100 times slower than
 * a native one, and how often. Kernels that only relabel data do not count.
 *
 * @example
 * resetLichenFallbacks();
 * layers.predict(tf.zeros([1, 20]));
 * for (const [kernel, times] of lichenFallbacks()) console.log(kernel, times);
 */
export function lichenFallbacks(): ReadonlyMap<string, number> {
  return new Map(counts);
}

/** How often each kernel ran on the processor because the device did not have the memory, or not the code, for it. */
const fromDevice = new Map<string, number>();

/**
 * Kernels of the backend `lichen-cuda` that were worth the device, which then had no memory for them or no code, so that
 * the processor did them; and how often.
 *
 * @example
 * for (const [kernel, times] of lichenCudaFallbacks()) console.log(kernel, times);
 */
export function lichenCudaFallbacks(): ReadonlyMap<string, number> {
  return new Map(fromDevice);
}

/**
 * Begins to count both anew.
 *
 * @example
 * resetLichenFallbacks();
 * lichenFallbacks().size; // 0
 */
export function resetLichenFallbacks(): void {
  counts.clear();
  fromDevice.clear();
}

/** Counts one. */
export function countFallback(kernelName: string): void {
  countOne(counts, kernelName);
}

/** Counts one. */
export function countDeviceFallback(kernelName: string): void {
  countOne(fromDevice, kernelName);
}

/** Adds one to a count. */
export function countOne(of: Map<string, number>, name: string): void {
  of.set(name, (of.get(name) ?? 0) + 1);
}
