import type { NatsConnection } from '@nats-io/transport-node';

/** Another server is not gone to more often. */
const BETWEEN_MS = 10_000;

/**
 * Leaves a server that answers and yet is of no use, for another one: one that is cut off from the others goes on taking
 * messages of its clients, and by default NATS notices after minutes.
 */
export class LinkWatch {
  #since: number | undefined;
  #moved = -Infinity;

  /** @param patienceMs how long nothing comes before it is left. */
  constructor(
    private readonly connection: Pick<NatsConnection, 'isClosed' | 'reconnect'>,
    private readonly patienceMs: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** What was asked for has come. */
  fine(): void {
    this.#since = undefined;
  }

  /** It has not, and nobody said that it could not. */
  silent(): void {
    const now = this.now();
    this.#since ??= now;
    if (now - this.#since < this.patienceMs || now - this.#moved < BETWEEN_MS) return;
    this.#moved = now;
    this.#since = undefined;
    if (!this.connection.isClosed()) this.connection.reconnect().catch(() => undefined);
  }
}
