import { appendFile, mkdir, open, readFile, rm, rmdir, truncate } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileError, LichenFileError } from '../errors.js';
import type { BuiltSide } from './sweep-sides.js';

/** An index that was built, and what its file holds. */
export interface BuiltFile extends BuiltSide {
  readonly digest: string;
}

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
  | ({ readonly type: 'built'; readonly side: string } & BuiltFile)
  | { readonly type: 'recalls'; readonly point: string; readonly recalls: readonly number[] }
  | ({ readonly type: 'round'; readonly point: string; readonly round: number } & RoundRecord);

const FORMAT = 2;
const ROUND_FIELDS = ['round', 'qps', 'p50us', 'p99us', 'loadedP99us', 'searches'];
const BUILT_FIELDS = ['seconds', 'threads', 'bytes'];

/** Folders in which a sweep of this process is at work. */
const atWork = new Set<string>();

/**
 * What a sweep has done so far, a JSON document a line in a file of its folder, so that it can go on where it ended. The
 * last line counts once it is whole.
 */
export class SweepJournal {
  readonly built = new Map<string, BuiltFile>();
  /** Recall of each query, by point. */
  readonly recalls = new Map<string, readonly number[]>();
  /** By point and round. */
  readonly rounds = new Map<string, Map<number, RoundRecord>>();
  private readonly path: string;

  private constructor(
    readonly folder: string,
    private readonly queries: number,
  ) {
    this.path = join(folder, 'sweep.jsonl');
  }

  /**
   * @param fingerprint of the data and all that must be the same for measurements to go together.
   * @param queries how many there are.
   * @throws ERR_LICHEN_FORMAT for a folder with another sweep or damaged records, ERR_LICHEN_LOCKED for one in which a
   * sweep is at work, ERR_LICHEN_IO.
   */
  static async open(folder: string, fingerprint: string, queries: number): Promise<SweepJournal> {
    const journal = new SweepJournal(folder, queries);
    try {
      await mkdir(folder, { recursive: true });
    } catch (cause) {
      throw fileError('make', folder, cause);
    }
    await lock(folder);
    try {
      await journal.read(fingerprint);
    } catch (error) {
      await journal.close();
      throw error;
    }
    return journal;
  }

  /** Lets another sweep have the folder. */
  async close(): Promise<void> {
    await unlock(this.folder);
  }

  async addBuilt(side: string, built: BuiltFile): Promise<void> {
    await this.add({ type: 'built', side, ...built });
  }

  async addRecalls(point: string, recalls: readonly number[]): Promise<void> {
    await this.add({ type: 'recalls', point, recalls });
  }

  async addRound(point: string, round: number, record: RoundRecord): Promise<void> {
    await this.add({ type: 'round', point, round, ...record });
  }

  private async read(fingerprint: string): Promise<void> {
    const { path } = this;
    const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return '';
      throw fileError('read', path, cause);
    });
    const end = text.lastIndexOf('\n') + 1;
    const whole = text.slice(0, end);
    if (end < text.length) {
      await truncate(path, Buffer.byteLength(whole)).catch((cause: unknown) => {
        throw fileError('write', path, cause);
      });
    }
    if (whole === '') {
      await this.write({ type: 'sweep', format: FORMAT, fingerprint });
      return;
    }
    const [first, ...lines] = whole.split('\n').slice(0, -1);
    const head = this.parsed(first!, 1);
    const isOurs = head.type === 'sweep' && head.format === FORMAT;
    if (!isOurs || head.fingerprint !== fingerprint) {
      throw new LichenFileError(
        'ERR_LICHEN_FORMAT',
        `${path} is of a sweep with other data, another k or on another machine: remove ${this.folder}, or name another folder`,
      );
    }
    for (const [at, line] of lines.entries()) this.take(this.parsed(line, at + 2));
  }

  private async add(entry: Entry): Promise<void> {
    await this.write(entry);
    this.take(entry);
  }

  private async write(entry: Entry): Promise<void> {
    try {
      await appendFile(this.path, `${JSON.stringify(entry)}\n`);
    } catch (cause) {
      throw fileError('write', this.path, cause);
    }
  }

  private take(entry: Entry): void {
    if (entry.type === 'built') {
      const { seconds, threads, bytes, digest } = entry;
      this.built.set(entry.side, { seconds, threads, bytes, digest });
      // What was measured of an index that is no more says nothing of the new one.
      for (const map of [this.recalls, this.rounds]) {
        for (const point of map.keys())
          if (point.startsWith(`${entry.side} ef `)) map.delete(point);
      }
    } else if (entry.type === 'recalls') {
      this.recalls.set(entry.point, entry.recalls);
    } else if (entry.type === 'round') {
      const { qps, p50us, p99us, loadedP99us, searches } = entry;
      const rounds = this.rounds.get(entry.point) ?? new Map<number, RoundRecord>();
      rounds.set(entry.round, { qps, p50us, p99us, loadedP99us, searches });
      this.rounds.set(entry.point, rounds);
    }
  }

  private parsed(line: string, number: number): Entry {
    try {
      const entry = JSON.parse(line) as Entry | null;
      if (entry !== null && typeof entry === 'object' && this.isRecord(entry)) return entry;
    } catch {
      // Told below.
    }
    throw new LichenFileError(
      'ERR_LICHEN_FORMAT',
      `${this.path}: line ${number} is no record of a sweep`,
    );
  }

  private isRecord(entry: Entry): boolean {
    const fields = entry as unknown as Record<string, unknown>;
    const areNumbers = (names: readonly string[]) =>
      names.every((name) => Number.isFinite(fields[name]) && (fields[name] as number) >= 0);
    const isText = (name: string) => typeof fields[name] === 'string';
    switch (entry.type) {
      case 'sweep':
        return true;
      case 'built':
        return isText('side') && isText('digest') && areNumbers(BUILT_FIELDS);
      case 'round':
        return isText('point') && areNumbers(ROUND_FIELDS);
      case 'recalls': {
        const recalls: unknown = entry.recalls;
        return (
          isText('point') &&
          Array.isArray(recalls) &&
          recalls.length === this.queries &&
          recalls.every((recall) => typeof recall === 'number' && recall >= 0 && recall <= 1)
        );
      }
      default:
        return false;
    }
  }
}

/** Removes what sweeps have put into a folder, and the folder if nothing else is there. */
export async function removeSweep(folder: string): Promise<void> {
  const path = join(folder, 'sweep.jsonl');
  const text = await readFile(path, 'utf8').catch(() => '');
  for (const [, file] of text.matchAll(/"side":"([^"]+)"/g)) {
    await rm(join(folder, indexFile(file!)), { force: true });
  }
  await rm(path, { force: true });
  await rmdir(folder).catch(() => undefined);
}

/** What the file of a side is called. */
export function indexFile(side: string): string {
  return `${side.replace(/[^\w.+]+/g, '-')}.index`;
}

/** A file that is there while a sweep is at work, with the number of its process. */
async function lock(folder: string): Promise<void> {
  const path = join(folder, 'sweep.lock');
  const key = resolve(folder);
  if (atWork.has(key)) throw locked(folder);
  atWork.add(key);
  try {
    for (;;) {
      try {
        const file = await open(path, 'wx');
        await file.writeFile(String(process.pid)).finally(() => file.close());
        return;
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== 'EEXIST')
          throw fileError('make', path, cause);
      }
      const text = await readFile(path, 'utf8').catch(() => undefined);
      // An empty one has just been made.
      if (text === '') throw locked(folder);
      const owner = Number(text);
      if (owner !== process.pid && isAlive(owner)) throw locked(folder);
      // Its process has ended.
      await rm(path, { force: true });
    }
  } catch (error) {
    atWork.delete(key);
    throw error;
  }
}

async function unlock(folder: string): Promise<void> {
  await rm(join(folder, 'sweep.lock'), { force: true }).catch(() => undefined);
  atWork.delete(resolve(folder));
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function locked(folder: string): LichenFileError {
  return new LichenFileError('ERR_LICHEN_LOCKED', `a sweep is at work in ${folder}`);
}
