/* global uPlot */

const SECONDS = 120;
const COLOURS = ['--accent', '--good', '--warn', '--bad', '--quiet'];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Lines over the last two minutes; names may come as they are met. */
export class LineChart {
  constructor(element, names = []) {
    this.element = element;
    this.times = [];
    this.series = new Map(names.map((name) => [name, []]));
    this.plot = undefined;
    new ResizeObserver(() => this.resize()).observe(element);
  }

  /** Values by name at a time in seconds; what is not there is a gap. */
  add(time, values) {
    const isNew = Object.keys(values).some((name) => !this.series.has(name));
    for (const name of Object.keys(values)) {
      if (!this.series.has(name))
        this.series.set(
          name,
          this.times.map(() => null),
        );
    }
    this.times.push(time);
    for (const [name, points] of this.series) points.push(values[name] ?? null);
    while (this.times[0] < time - SECONDS) {
      this.times.shift();
      for (const points of this.series.values()) points.shift();
    }
    if (isNew || this.plot === undefined) this.make();
    else this.plot.setData(this.data());
  }

  data() {
    return [this.times, ...this.series.values()];
  }

  make() {
    this.plot?.destroy();
    const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--line'), width: 1 } };
    this.plot = new uPlot(
      {
        width: this.element.clientWidth,
        height: 180,
        cursor: { y: false },
        legend: { live: false },
        scales: { y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
        axes: [axis, { ...axis, size: 52 }],
        series: [
          {},
          ...[...this.series.keys()].map((label, at) => ({
            label,
            stroke: colour(COLOURS[at % COLOURS.length]),
            width: 1.5,
            points: { show: false },
            value: (_, value) => (value === null ? '–' : value.toFixed(value < 10 ? 2 : 0)),
          })),
        ],
      },
      this.data(),
      this.element,
    );
  }

  resize() {
    this.plot?.setSize({ width: this.element.clientWidth, height: 180 });
  }
}

/** Rows of a name, a bar and a number. */
export function drawBars(element, rows) {
  const most = Math.max(1, ...rows.map(([, value]) => value));
  element.replaceChildren(
    ...rows.flatMap(([name, value, text]) => {
      const label = document.createElement('span');
      label.textContent = name;
      const bar = document.createElement('div');
      bar.className = 'bar';
      bar.style.width = `${(100 * value) / most}%`;
      const number = document.createElement('span');
      number.textContent = text ?? value.toLocaleString();
      return [label, bar, number];
    }),
  );
}
