import { createHash } from 'node:crypto';

/** The first 53 bits of a SHA-256, which a number holds exactly. */
export function hash53(...parts: readonly (string | Uint8Array)[]): number {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  const digest = hash.digest();
  return digest.readUInt32LE(0) * 2 ** 21 + (digest.readUInt32LE(4) >>> 11);
}
