import { SingleBar } from 'cli-progress';

/** What a command needs from the terminal: where it writes, its progress bar, its wish to stop. */
export interface Terminal {
  /** Whether stdout holds one JSON document and nothing else. */
  readonly json: boolean;
  /** Fires at Ctrl-C, and when the process is told to end. */
  readonly signal: AbortSignal;
  /** Writes a line to stdout, unless it is JSON that is wanted. */
  say(line: string): void;
  /** Writes the JSON document to stdout, if it is wanted. */
  result(document: unknown): void;
  /** Runs `work` under a progress bar, which shows on a terminal once a second has passed. */
  withProgress<T>(
    label: string,
    work: (report: (done: number, total: number) => void) => Promise<T>,
  ): Promise<T>;
}

const BAR_AFTER_MS = 1000;

/** The signals that end a command, and the status that it ends with then. */
const STATUS_OF = { SIGINT: 130, SIGTERM: 143 } as const;
let interruption: keyof typeof STATUS_OF | undefined;
let kept: string | undefined;

/** What interrupted the command of this process, if something did, and the exit status that says so. */
export function interrupted() {
  return interruption && { signal: interruption, status: STATUS_OF[interruption], kept };
}

/** What becomes of the work of a command that is interrupted from now on, if it is not all given up. */
export function keepsWhenInterrupted(what: string): void {
  kept = what;
}

/** The terminal of this process. */
export function openTerminal(json: boolean): Terminal {
  const controller = new AbortController();
  // Once: who asks again does not want to wait for the work to give up.
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      interruption ??= name;
      controller.abort(new Error('interrupted'));
    });
  }
  return {
    json,
    signal: controller.signal,
    say(line) {
      if (!json) process.stdout.write(`${line}\n`);
    },
    result(document) {
      if (json) process.stdout.write(`${JSON.stringify(document)}\n`);
    },
    async withProgress(label, work) {
      const started = performance.now();
      let bar: SingleBar | undefined;
      const report = (done: number, total: number): void => {
        if (!process.stderr.isTTY || total === 0) return;
        if (bar === undefined) {
          if (performance.now() - started < BAR_AFTER_MS) return;
          bar = new SingleBar({
            format: `${label} [{bar}] {percentage}% | {eta_formatted} left`,
            stream: process.stderr,
            clearOnComplete: true,
            hideCursor: true,
          });
          bar.start(total, done);
          return;
        }
        bar.setTotal(total);
        bar.update(done);
      };
      try {
        return await work(report);
      } finally {
        bar?.stop();
      }
    },
  };
}

/** Rows of cells in columns, the first row being the head; numbers stand to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => [...(row[column] ?? '')].length)),
  );
  const isNumeric = numericColumns(rows);
  return rows
    .map((row) =>
      row
        .map((cell, column) => {
          const blanks = ' '.repeat(widths[column]! - [...cell].length);
          return isNumeric[column] ? blanks + cell : cell + blanks;
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Whether a column holds numbers alone, for each column of rows as {@link table} takes them. */
export function numericColumns(rows: readonly (readonly string[])[]): boolean[] {
  return (rows[0] ?? []).map((_, column) =>
    rows.slice(1).every((row) => /^[-\d.,%]*$/.test(row[column] ?? '')),
  );
}

/** A number with thousands separated. */
export function grouped(value: number, digits = 0): string {
  return value.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** Runs `work` and says how many seconds it took. */
export async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const start = performance.now();
  const result = await work();
  return [result, (performance.now() - start) / 1000];
}
