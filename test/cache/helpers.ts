import { expect } from 'vitest';
import { seal, type Enveloped } from '../../src/cache/envelope.js';

/** A clock that a test moves. */
export class FakeClock {
  constructor(public ms = 1000) {}

  readonly now = (): number => this.ms;

  pass(ms: number): void {
    this.ms += ms;
  }
}

/** Lets all that waits for nothing but promises go on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

interface LoadCall<K, V> {
  readonly keys: readonly K[];
  readonly signal: AbortSignal;
  readonly resolve: (values: (V | undefined)[]) => void;
  readonly reject: (reason: unknown) => void;
}

/** An origin whose answers the test gives, when it wants to. */
export class ManualOrigin<K, V> {
  readonly calls: LoadCall<K, V>[] = [];

  readonly load = (
    keys: readonly K[],
    { signal }: { signal: AbortSignal },
  ): Promise<(V | undefined)[]> =>
    new Promise((resolve, reject) => {
      this.calls.push({ keys: [...keys], signal, resolve, reject });
    });

  /** Answers the call of this number. */
  async answer(call: number, ...values: (V | undefined)[]): Promise<void> {
    this.calls[call]!.resolve(values);
    await settled();
  }
}

/** Exact least-recently-used: what a cache is measured against. */
export class Lru {
  private readonly entries = new Map<number, true>();
  hits = 0;

  constructor(private readonly most: number) {}

  /** Whether the key was there; it is afterwards. */
  ask(key: number): boolean {
    const isHit = this.entries.delete(key);
    this.entries.set(key, true);
    if (isHit) this.hits++;
    else if (this.entries.size > this.most) {
      const [oldest] = this.entries.keys();
      this.entries.delete(oldest!);
    }
    return isHit;
  }
}

/** The bytes of an array as they would lie in the shared tier, with times that a test chooses. */
export function sealed(value: Float32Array, times: Partial<Enveloped>): Buffer {
  const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  const all = { freshUntil: 0, freshMs: 1000, servedMs: 1000, loadMs: 0, ...times };
  return seal({ kind: 8, bytes, ...all });
}

export const withCode = (code: string): Error => expect.objectContaining({ code }) as Error;
