import { table } from '../../src/cli/terminal.js';
import { ratioText, type Spread } from './alternate.js';
import type { Result } from './suite.js';

/**
 * A result that stands in a section: `median`, `min` and `max` of a value in `unit`, and beside them, where there is
 * one, `limitShare` (of what the machine can do), `ratio` (to another library) and a `note`.
 */
export type SectionResult = Result & { section: string };

/** Results for people: rows of cells, the first of them the head. */
export interface ResultTable {
  readonly title?: string;
  readonly rows: readonly (readonly string[])[];
}

/** Tables as a terminal shows them. */
export function tablesText(tables: readonly ResultTable[]): string {
  const text = ({ title, rows }: ResultTable): string =>
    (title === undefined ? '' : `${title}\n`) + table(rows);
  return tables.map(text).join('\n\n');
}

/** Columns as the results have them, numbers to four digits. */
export function resultTable(results: readonly Result[], title?: string): ResultTable {
  const columns = [...new Set(results.flatMap((result) => Object.keys(result)))];
  const rows = results.map((row) => columns.map((column) => cell(row[column])));
  return { ...(title !== undefined && { title }), rows: [columns, ...rows] };
}

/** The sections of results, in their order. */
export function sectionsOf(results: readonly Result[]): string[] {
  return [...new Set(results.map(({ section }) => String(section)))];
}

/** A table for each section. */
export function sectionTables(results: readonly Result[]): ResultTable[] {
  return sectionsOf(results).map((title) => ({
    title,
    rows: sectionRows(results.filter(({ section }) => section === title)),
  }));
}

function sectionRows(rows: readonly Result[]): string[][] {
  const head = ['name', 'value', 'min', 'max', 'unit', 'limit share', 'ratio', 'note'];
  const body = rows.map((row) => [
    row.name,
    cell(row.median),
    cell(row.min),
    cell(row.max),
    cell(row.unit),
    row.limitShare === undefined ? '' : percent(row.limitShare),
    row.ratio === undefined ? '' : ratioText(spreadOf(row, 'ratio')),
    [
      row.packingShare === undefined ? '' : `packing ${percent(row.packingShare)} of the time`,
      cell(row.note),
    ]
      .filter((text) => text !== '')
      .join(', '),
  ]);
  const used = head.map((_, column) => body.some((row) => row[column] !== ''));
  return [head, ...body].map((row) => row.filter((_, column) => used[column]));
}

/** A ratio as a result keeps it. */
export function ratioFields({ median, min, max }: Spread): Record<string, number> {
  return { ratio: median, ratioMin: min, ratioMax: max };
}

function spreadOf(row: Result, key: string): Spread {
  return {
    median: Number(row[key]),
    min: Number(row[`${key}Min`]),
    max: Number(row[`${key}Max`]),
  };
}

function percent(share: string | number): string {
  return `${(100 * Number(share)).toFixed(1)}%`;
}

function cell(value: string | number | undefined): string {
  return typeof value === 'number' ? significant(value) : (value ?? '');
}

export function significant(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 1000 ? value.toFixed(0) : value.toPrecision(4);
}
