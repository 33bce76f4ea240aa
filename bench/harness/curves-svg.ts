import type { Curve } from './curves.js';

const WIDTH = 960;
const HEIGHT = 560;
const PLOT = { left: 80, right: 720, top: 66, bottom: 500 };
const LEAST_RECALL = 0.8;
const RECALL_TICKS = [0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995, 1];
const NEAREST = 0.002; // errors of this size and less lie close together at the right
const COLOURS = [
  '#1b7837',
  '#5aae61',
  '#e6850e',
  '#d7301f',
  '#7f0000',
  '#2b8cbe',
  '#045a8d',
  '#74a9cf',
  '#a6c96a',
  '#b5651d',
  '#88419d',
  '#555555',
];

/**
 * A picture of curves: recall to the right, on a scale that widens towards 1, queries a second upwards, by powers of
 * ten. Points below a recall of 0.8 are left out.
 */
export function curvesSvg(title: string, curves: readonly Curve[]): string {
  const shown = curves.map(({ name, points }) => ({
    name,
    points: points.filter(({ recall, qps }) => recall >= LEAST_RECALL && qps > 0),
  }));
  const rates = shown.flatMap(({ points }) => points.map(({ qps }) => qps));
  const ticks = rateTicks(rates);
  const y = rateScale(ticks[0]!, ticks[ticks.length - 1]!);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(16, 26, title, 'font-size="16"'),
    ...RECALL_TICKS.map((recall) => {
      const at = recallPosition(recall);
      return line(at, PLOT.top, at, PLOT.bottom) + text(at, PLOT.bottom + 20, recall, MIDDLE);
    }),
    ...ticks.map((rate) => {
      const label = rate.toLocaleString('en-US');
      return (
        line(PLOT.left, y(rate), PLOT.right, y(rate)) + text(PLOT.left - 8, y(rate) + 4, label, END)
      );
    }),
    text((PLOT.left + PLOT.right) / 2, PLOT.bottom + 44, 'recall', MIDDLE),
    text(16, PLOT.top - 16, 'queries a second, one thread', ''),
    ...shown.map(({ name, points }, at) => {
      const colour = COLOURS[at % COLOURS.length]!;
      const height = PLOT.top + 12 + at * 22;
      const places = points.map(({ recall, qps }) => [
        fixed(recallPosition(recall)),
        fixed(y(qps)),
      ]);
      const path = places.map((place) => place.join(',')).join(' ');
      const dots = places.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3"/>`).join('');
      return (
        `<g fill="${colour}" stroke="${colour}">` +
        `<polyline points="${path}" fill="none" stroke-width="2"/>${dots}` +
        `<path d="M${PLOT.right + 16} ${height}h22" stroke-width="3"/></g>` +
        text(PLOT.right + 44, height + 4, name, '')
      );
    }),
    '</svg>\n',
  ].join('\n');
}

const MIDDLE = 'text-anchor="middle"';
const END = 'text-anchor="end"';

/** Where a recall stands: by the logarithm of what is missing. */
export function recallPosition(recall: number): number {
  const missing = Math.log(1 - Math.min(1, recall) + NEAREST);
  const [most, least] = [Math.log(1 - LEAST_RECALL + NEAREST), Math.log(NEAREST)];
  return PLOT.left + ((most - missing) / (most - least)) * (PLOT.right - PLOT.left);
}

function rateScale(least: number, most: number): (rate: number) => number {
  const height = PLOT.bottom - PLOT.top;
  return (rate) => PLOT.bottom - (Math.log(rate / least) / Math.log(most / least)) * height;
}

/** Ones, twos and fives of every power of ten that the rates touch, with one beyond at each end. */
function rateTicks(rates: readonly number[]): number[] {
  const least = rates.length === 0 ? 100 : Math.min(...rates);
  const most = rates.length === 0 ? 1000 : Math.max(...rates);
  const ticks = Array.from({ length: 13 }, (_, power) =>
    [1, 2, 5].map((n) => n * 10 ** power),
  ).flat();
  const first = Math.max(
    0,
    ticks.findLastIndex((tick) => tick <= least),
  );
  const last = ticks.findIndex((tick) => tick > most);
  return ticks.slice(first, last < 0 ? ticks.length : last + 1);
}

function line(x1: number, y1: number, x2: number, y2: number): string {
  return `<path d="M${fixed(x1)} ${fixed(y1)}L${fixed(x2)} ${fixed(y2)}" stroke="#ddd"/>`;
}

function text(x: number, y: number, content: string | number, attributes: string): string {
  const escaped = String(content).replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  return `<text x="${fixed(x)}" y="${fixed(y)}" ${attributes}>${escaped}</text>`;
}

function fixed(value: number): string {
  return value.toFixed(1);
}
