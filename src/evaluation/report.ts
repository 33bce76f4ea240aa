import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LichenError } from '../errors.js';
import { writeChunks } from '../vectors/bytes.js';
import { describeMachine } from './machine.js';

/** A quantity that points of a report have. */
export interface ReportAxis {
  /** The name under which points have it. */
  readonly key: string;
  /** What readers see. */
  readonly label: string;
  /** Which way is better. */
  readonly better: 'higher' | 'lower';
  /** Whether a logarithmic scale shows it best. */
  readonly log?: boolean | undefined;
  /** Digits after the point in tables. Default: four significant ones. */
  readonly digits?: number | undefined;
}

/** Something that was measured. */
export interface ReportPoint {
  /** Points of one series have a colour, and are joined by a line; see `loose`. */
  readonly series: string;
  /** What readers see. */
  readonly label: string;
  /** By the keys of the axes. */
  readonly values: Readonly<Record<string, number>>;
  /** Where values lie, least and greatest, as far as is known. */
  readonly ranges?: Readonly<Record<string, readonly [number, number]>> | undefined;
  /** Further columns of the table. */
  readonly texts?: Readonly<Record<string, string>> | undefined;
  /** What stands out in the picture. */
  readonly isChosen?: boolean | undefined;
}

/** What a report tells. */
export interface Report {
  /** The heading. */
  readonly title: string;
  /** Sentences below the title. */
  readonly summary: readonly string[];
  /** What was measured, with which settings. */
  readonly facts: Readonly<Record<string, string | number>>;
  /** Quantities, in the order of the table's columns. */
  readonly axes: readonly ReportAxis[];
  /** Keys of the axes that are shown first. */
  readonly x: string;
  /** Key of the axis that goes up. */
  readonly y: string;
  /** What was measured. */
  readonly points: readonly ReportPoint[];
  /** Whether lines go from left to right, whatever the order of the points. Default false. */
  readonly sorted?: boolean | undefined;
  /** Series whose points are not joined. */
  readonly loose?: readonly string[] | undefined;
  /** How the figures came about. */
  readonly notes: readonly string[];
  /** Further tables, the first row being the head. */
  readonly tables?: readonly {
    /** The heading. */
    readonly title: string;
    /** The head, then the others; a text a column. */
    readonly rows: readonly string[][];
  }[];
}

/** Where a part goes: in a comment, in quotation marks or as it is, as the languages of the places want it. */
const PLACE = /(?:\/\* |")?\{\{(\w+)\}\}(?: \*\/|")?/g;

/**
 * A page that shows the points in a picture, by any two of the axes, and in a table; all of it is in the one document,
 * which fetches nothing. By the package uplot, an optional peer.
 * @throws ERR_LICHEN_MISSING_PACKAGE
 *
 * @example
 * const result = await sweep(sweepOptions);
 * const html = await reportHtml(sweepReport(result, 'Items'));
 */
export async function reportHtml(report: Report): Promise<string> {
  const own = (name: string) => readFile(join(__dirname, 'report', name), 'utf8');
  const [page, script, style, chart, chartStyle] = await Promise.all([
    ...[own('page.html'), own('page.js'), own('page.css')],
    ...[readFile(uplot('uPlot.iife.min.js'), 'utf8'), readFile(uplot('uPlot.min.css'), 'utf8')],
  ]);
  const data = { ...report, machine: describeMachine(), made: new Date().toISOString() };
  const parts: Record<string, string> = {
    title: escaped(report.title),
    style: `${chartStyle}\n${style}`,
    chart: chart!,
    script: script!,
    // A text in the data must not end the element that holds it.
    data: JSON.stringify(data).replaceAll('<', '\\u003c'),
  };
  return page!.replace(PLACE, (_, name: string) => parts[name] ?? '');
}

/**
 * Writes {@link reportHtml} as a file, atomically.
 * @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO; as `reportHtml`.
 *
 * @example
 * const result = await sweep(sweepOptions);
 * await writeReport('sweep.html', sweepReport(result, 'Items'));
 */
export async function writeReport(path: string, report: Report): Promise<void> {
  const page = await reportHtml(report);
  await writeChunks(path, () => [Buffer.from(page)]);
}

/** For who would otherwise learn it when the work is done. @throws ERR_LICHEN_MISSING_PACKAGE where no page can be made. */
export function requireCharts(): void {
  uplot('uPlot.iife.min.js');
}

function uplot(file: string): string {
  try {
    return require.resolve(`uplot/dist/${file}`);
  } catch (cause) {
    throw new LichenError(
      'ERR_LICHEN_MISSING_PACKAGE',
      'reports need the package uplot: npm install uplot@1',
      { cause },
    );
  }
}

/** A text as HTML shows it. */
export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
