/** What a bar writes to: a terminal. */
export interface BarStream {
  readonly columns?: number;
  write(text: string): unknown;
}

const CELLS = 40;
/** A terminal takes no more than a person can read. */
const EVERY_MS = 100;
/** To the beginning of the line, and away with what stands there. */
const CLEARED_LINE = '\r\u001b[K';

/** How far work is, on one line of a terminal, which it leaves empty. */
export class ProgressBar {
  readonly #label: string;
  readonly #stream: BarStream;
  readonly #now: () => number;
  readonly #started: number;
  #shown = -Infinity;

  /** @param started when the work began, by `now`. */
  constructor(
    label: string,
    stream: BarStream,
    started: number,
    now: () => number = () => performance.now(),
  ) {
    this.#label = label;
    this.#stream = stream;
    this.#started = started;
    this.#now = now;
  }

  update(done: number, total: number): void {
    const now = this.#now();
    if (now - this.#shown < EVERY_MS) return;
    this.#shown = now;
    const share = Math.min(1, done / total);
    const filled = Math.round(share * CELLS);
    const bar = '='.repeat(filled) + '-'.repeat(CELLS - filled);
    const left =
      share > 0 ? ` | ${duration(((now - this.#started) * (1 - share)) / share)} left` : '';
    const line = `${this.#label} [${bar}] ${Math.floor(share * 100)}%${left}`;
    // A line that wraps could not be cleared.
    this.#stream.write(CLEARED_LINE + line.slice(0, (this.#stream.columns ?? 80) - 1));
  }

  clear(): void {
    this.#stream.write(CLEARED_LINE);
  }
}

/** Such as `12s`, `3m 5s`, `2h 4m`. */
function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${seconds % 60}s`;
  return `${Math.floor(minutes / 60)}h ${minutes % 60}m`;
}
