import { table } from '../../src/cli/terminal.js';
import { ratioText, type Spread } from './alternate.js';
import type { Result } from './suite.js';

/**
 * A result that stands in a section: `median`, `min` and `max` of a value in `unit`, and beside them, where there is
 * one, `limitShare` (of what the machine can do), `ratio` (to another library) and a `note`.
 */
export type SectionResult = Result & { section: string };

/** Columns as the results have them, numbers to four digits. */
export function resultTable(results: readonly Result[]): string {
  const columns = [...new Set(results.flatMap((result) => Object.keys(result)))];
  return table([columns, ...results.map((row) => columns.map((column) => cell(row[column])))]);
}

/** A table for each section. */
export function sectionTables(results: readonly Result[]): string {
  const names = [...new Set(results.map(({ section }) => section))];
  return names
    .map((name) => `${name}\n${sectionTable(results.filter(({ section }) => section === name))}`)
    .join('\n\n');
}

function sectionTable(rows: readonly Result[]): string {
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
  return table([head, ...body].map((row) => row.filter((_, column) => used[column])));
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
