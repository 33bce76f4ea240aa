import { LichenError, type LichenErrorCode } from '../../src/errors.js';

/** The code of what a call throws; undefined where it throws nothing. What lichen did not raise goes on. */
export function codeThrown(call: () => unknown): LichenErrorCode | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (error instanceof LichenError) return error.code;
    throw error;
  }
}

/** As {@link codeThrown}, of a promise. */
export async function codeRejected(
  promise: Promise<unknown>,
): Promise<LichenErrorCode | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof LichenError) return error.code;
    throw error;
  }
}
