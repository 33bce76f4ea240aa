import { createRequire } from 'node:module';

/** Another library, or undefined if it is not installed: a comparison with it is then left out. */
export function loadPeer<T>(name: string): T | undefined {
  try {
    return createRequire(__filename)(name) as T;
  } catch (error) {
    if ((error as { code?: string }).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

/** Whether another library is installed, without loading it. */
export function hasPeer(name: string): boolean {
  try {
    createRequire(__filename).resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** Why a suite that is nothing without a package cannot run; undefined if it is installed. */
export function packageMissing(name: string): string | undefined {
  return hasPeer(name) ? undefined : `${name} is not installed (npm ci)`;
}

/** Values as signed bytes: the greatest magnitude becomes 127. */
export function toInt8(values: Float32Array): Int8Array {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  const scale = most > 0 ? 127 / most : 0;
  const bytes = new Int8Array(values.length);
  for (let at = 0; at < values.length; at++) bytes[at] = Math.round(values[at]! * scale);
  return bytes;
}
