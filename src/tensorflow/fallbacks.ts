/** How often each kernel ran on the cpu backend's code, because the native one does not take such a call. */
const counts = new Map<string, number>();

/**
 * Kernels that ran in plain JavaScript on the backend `lichen` since the counts were reset, 10 to 100 times slower than
 * a native one, and how often. Kernels that only relabel data do not count.
 */
export function lichenFallbacks(): ReadonlyMap<string, number> {
  return new Map(counts);
}

/** Begins to count anew. */
export function resetLichenFallbacks(): void {
  counts.clear();
}

/** Counts one. */
export function countFallback(kernelName: string): void {
  counts.set(kernelName, (counts.get(kernelName) ?? 0) + 1);
}
