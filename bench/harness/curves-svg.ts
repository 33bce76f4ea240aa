import { rising, type Curve, type CurvePoint } from './curves.js';

const HEIGHT = 560;
const PLOT = { left: 100, right: 740, top: 50, bottom: 500 };
const LEGEND = { left: PLOT.right + 20, line: 34, lead: 22, letter: 7.5 };
const LEAST_RECALL = 0.8;
const RECALL_TICKS = [0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 1];
const NEAREST = 0.002; // errors of this size and less lie close together at the right

// A row for each library, in the order that they come in; dashes tell its curves apart where colours do not.
const COLOURS = [
  ['#1b7837', '#5aae61', '#a6c96a', '#2f4f2f'],
  ['#d7301f', '#7f0000', '#fc8d59', '#b30059'],
  ['#045a8d', '#2b8cbe', '#74a9cf', '#5e4fa2'],
  ['#b5651d', '#e6a010', '#7a5c00', '#d8b365'],
  ['#88419d', '#b58ac4', '#4d004b', '#c51b8a'],
  ['#555555', '#999999', '#222222', '#bbbbbb'],
];
const DASHES = ['', '7 3', '2 3', '10 3 2 3'];

/**
 * A picture of curves: recall to the right, on a scale that widens towards 1, queries a second upwards, by powers of
 * ten, on so many threads. Points below a recall of 0.8 and those where a curve rises no more are left out.
 */
export function curvesSvg(title: string, curves: readonly Curve[], threads = 1): string {
  const shown = curves.map(({ points }) =>
    rising(points.filter(({ recall, qps }) => recall >= LEAST_RECALL && qps > 0)),
  );
  const ticks = rateTicks(shown.flat().map(({ qps }) => qps));
  const y = rateScale(ticks[0]!, ticks[ticks.length - 1]!);
  const styles = curveStyles(curves.map(({ name }) => name));
  const labels = curves.map(({ name }, at) =>
    shown[at]!.length > 0 ? name : `${name}: below ${LEAST_RECALL}`,
  );
  const longest = Math.max(0, ...labels.map(({ length }) => length));
  const width = Math.ceil(LEGEND.left + LEGEND.line + 8 + longest * LEGEND.letter + 12);
  const lead = Math.min(LEGEND.lead, (PLOT.bottom - PLOT.top) / Math.max(1, curves.length));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${HEIGHT}" font-family="sans-serif" font-size="13">`,
    `<rect width="${width}" height="${HEIGHT}" fill="#fff"/>`,
    text(PLOT.left, 30, title, 'font-size="16"'),
    ...axes(ticks, y, threads),
    ...shown.map((points, at) => drawn(points, y, styles[at]!)),
    ...labels.map((label, at) => {
      const height = PLOT.top + 12 + at * lead;
      const key = `<path d="M${LEGEND.left} ${fixed(height)}h${LEGEND.line}" ${styles[at]!.line}/>`;
      return key + text(LEGEND.left + LEGEND.line + 8, height + 4, label, '');
    }),
    '</svg>\n',
  ].join('\n');
}

const MIDDLE = 'text-anchor="middle"';
const END = 'text-anchor="end"';

function axes(ticks: readonly number[], y: (rate: number) => number, threads: number): string[] {
  const { left, right, top, bottom } = PLOT;
  const [centre, middle] = [(left + right) / 2, (top + bottom) / 2];
  return [
    ...RECALL_TICKS.map((recall) => {
      const at = recallPosition(recall);
      return line(at, top, at, bottom) + text(at, bottom + 20, recall, MIDDLE);
    }),
    ...ticks.map((rate) => {
      const label = text(left - 8, y(rate) + 4, rate.toLocaleString('en-US'), END);
      return line(left, y(rate), right, y(rate)) + label;
    }),
    `<path d="M${left} ${top}V${bottom}H${right}" fill="none" stroke="#777"/>`,
    text(centre, bottom + 44, 'recall (the scale widens towards 1)', MIDDLE),
    text(
      24,
      middle,
      threads === 1
        ? 'queries a second, one thread'
        : `queries a second, batches on ${threads} threads`,
      `${MIDDLE} transform="rotate(-90 24 ${middle})"`,
    ),
  ];
}

interface Style {
  readonly colour: string;
  /** Attributes of its line. */
  readonly line: string;
}

/** Shades of one colour for the curves of one library, which is what a name begins with. */
export function curveStyles(names: readonly string[]): Style[] {
  const libraries = new Map<string, string[]>();
  return names.map((name) => {
    const library = /^[^\s-]*/.exec(name)![0];
    const before = libraries.get(library) ?? [];
    libraries.set(library, [...before, name]);
    const row = COLOURS[[...libraries.keys()].indexOf(library) % COLOURS.length]!;
    const colour = row[before.length % row.length]!;
    const dashes = DASHES[before.length % DASHES.length]!;
    const dashed = dashes === '' ? '' : ` stroke-dasharray="${dashes}"`;
    return { colour, line: `fill="none" stroke="${colour}" stroke-width="2"${dashed}` };
  });
}

function drawn(
  points: readonly CurvePoint[],
  y: (rate: number) => number,
  { colour, line }: Style,
): string {
  if (points.length === 0) return '';
  const places = points.map(({ recall, qps }) => [fixed(recallPosition(recall)), fixed(y(qps))]);
  const path = places.map((place) => place.join(',')).join(' ');
  const dots = places.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3"/>`).join('');
  return `<polyline points="${path}" ${line}/><g fill="${colour}">${dots}</g>`;
}

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
export function rateTicks(rates: readonly number[]): number[] {
  const least = rates.length === 0 ? 100 : Math.min(...rates);
  const most = rates.length === 0 ? 1000 : Math.max(...rates);
  const ticks = Array.from({ length: 15 }, (_, power) =>
    [1, 2, 5].map((n) => Number(`${n}e${power - 2}`)),
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
