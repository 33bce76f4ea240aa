import { appendFile, mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError, LichenFileError } from '../errors.js';
import type { BuiltSide } from './sweep-sides.js';

/** What was measured of one point in one round. */
export interface RoundRecord {
  readonly qps: number;
  readonly p50us: number;
  readonly p99us: number;
  /** See `loadedLatency`. */
  readonly loadedP99us: number;
  readonly searches: number;
}

type Entry =
  | { readonly type: 'sweep'; readonly format: number; readonly fingerprint: string }
  | ({ readonly type: 'built'; readonly side: string } & BuiltSide)
  | { readonly type: 'recalls'; readonly point: string; readonly recalls: readonly number[] }
  | ({ readonly type: 'round'; readonly point: string; readonly round: number } & RoundRecord);

const FORMAT = 1;

/**
 * What a sweep has done so far, a JSON document a line in a file of its folder, so that it can go on where it ended. The
 * last line counts once it is whole.
 */
export class SweepJournal {
  readonly built = new Map<string, BuiltSide>();
  /** Recall of each query, by point. */
  readonly recalls = new Map<string, readonly number[]>();
  /** By point and round. */
  readonly rounds = new Map<string, Map<number, RoundRecord>>();

  private constructor(
    readonly folder: string,
    private readonly path: string,
  ) {}

  /**
   * @param fingerprint of the data and all that must be the same for measurements to go together.
   * @throws ERR_LICHEN_FORMAT for a folder with another sweep, ERR_LICHEN_IO.
   */
  static async open(folder: string, fingerprint: string): Promise<SweepJournal> {
    const path = join(folder, 'sweep.jsonl');
    const journal = new SweepJournal(folder, path);
    try {
      await mkdir(folder, { recursive: true });
    } catch (cause) {
      throw fileError('make', folder, cause);
    }
    const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return undefined;
      throw fileError('read', path, cause);
    });
    const end = text === undefined ? 0 : text.lastIndexOf('\n') + 1;
    if (text === undefined || end === 0) {
      await writeFile(path, '').catch((cause: unknown) => {
        throw fileError('write', path, cause);
      });
      await journal.write({ type: 'sweep', format: FORMAT, fingerprint });
      return journal;
    }
    const whole = text.slice(0, end);
    if (end < text.length) await truncate(path, Buffer.byteLength(whole));
    const lines = whole.split('\n').slice(0, -1);
    for (const [at, line] of lines.entries()) {
      journal.take(parsed(line, path, at + 1), at === 0 ? fingerprint : undefined);
    }
    return journal;
  }

  async addBuilt(side: string, built: BuiltSide): Promise<void> {
    await this.add({ type: 'built', side, ...built });
  }

  async addRecalls(point: string, recalls: readonly number[]): Promise<void> {
    await this.add({ type: 'recalls', point, recalls });
  }

  async addRound(point: string, round: number, record: RoundRecord): Promise<void> {
    await this.add({ type: 'round', point, round, ...record });
  }

  private async add(entry: Entry): Promise<void> {
    await this.write(entry);
    this.take(entry, undefined);
  }

  private async write(entry: Entry): Promise<void> {
    try {
      await appendFile(this.path, `${JSON.stringify(entry)}\n`);
    } catch (cause) {
      throw fileError('write', this.path, cause);
    }
  }

  private take(entry: Entry, fingerprint: string | undefined): void {
    if (fingerprint !== undefined) {
      const isOurs = entry.type === 'sweep' && entry.format === FORMAT;
      if (isOurs && entry.fingerprint === fingerprint) return;
      throw new LichenFileError(
        'ERR_LICHEN_FORMAT',
        `${this.path} is of a sweep with other data, another k or on another machine: remove ${this.folder}, or name another folder`,
      );
    }
    if (entry.type === 'built') {
      const { seconds, threads, bytes } = entry;
      this.built.set(entry.side, { seconds, threads, bytes });
    } else if (entry.type === 'recalls') {
      this.recalls.set(entry.point, entry.recalls);
    } else if (entry.type === 'round') {
      const { qps, p50us, p99us, loadedP99us, searches } = entry;
      const rounds = this.rounds.get(entry.point) ?? new Map<number, RoundRecord>();
      rounds.set(entry.round, { qps, p50us, p99us, loadedP99us, searches });
      this.rounds.set(entry.point, rounds);
    }
  }
}

function parsed(line: string, path: string, number: number): Entry {
  try {
    const entry = JSON.parse(line) as Entry | null;
    if (entry !== null && typeof entry === 'object' && typeof entry.type === 'string') return entry;
  } catch {
    // Told below.
  }
  throw new LichenFileError('ERR_LICHEN_FORMAT', `${path}: line ${number} is no record of a sweep`);
}
