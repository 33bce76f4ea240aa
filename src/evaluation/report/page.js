/* global uPlot, document, window, getComputedStyle, matchMedia */
(() => {
  'use strict';
  const report = JSON.parse(document.getElementById('data').textContent);
  const byId = (id) => document.getElementById(id);
  const element = (name, text, attributes = {}) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const axes = new Map(report.axes.map((axis) => [axis.key, axis]));
  const seriesNames = [...new Set(report.points.map(({ series }) => series))];
  const hidden = new Set();
  const colours = seriesNames.map((_, at) => {
    const hue = Math.round((at * 137.508) % 360);
    return `hsl(${hue} 60% ${at % 2 === 0 ? 42 : 56}%)`;
  });

  const number = (value, { digits }) => {
    if (!Number.isFinite(value)) return String(value);
    if (digits !== undefined) return value.toLocaleString('en-US', fixed(digits));
    if (Math.abs(value) >= 1000) return value.toLocaleString('en-US', fixed(0));
    return String(Number(value.toPrecision(4)));
  };
  const fixed = (digits) => ({ minimumFractionDigits: digits, maximumFractionDigits: digits });
  const range = (point, axis) => {
    const ends = point.ranges?.[axis.key];
    return ends === undefined ? '' : ` (${number(ends[0], axis)}–${number(ends[1], axis)})`;
  };

  /** Points that no other one beats in both quantities. */
  function frontOf(points, x, y) {
    const cost = (point, axis) => (axis.better === 'higher' ? -1 : 1) * point.values[axis.key];
    return points.filter(
      (point) =>
        !points.some((other) => {
          const [ax, ay, bx, by] = [cost(other, x), cost(other, y), cost(point, x), cost(point, y)];
          return ax <= bx && ay <= by && (ax < bx || ay < by);
        }),
    );
  }

  // The picture.

  let chart;
  let placed = [];
  let view;

  function shownPoints() {
    const [x, y] = [axes.get(byId('x').value), axes.get(byId('y').value)];
    const [xLog, yLog] = [byId('x-log').checked, byId('y-log').checked];
    const fits = (value, log) => Number.isFinite(value) && (!log || value > 0);
    const points = report.points.filter(
      (point) =>
        !hidden.has(point.series) &&
        fits(point.values[x.key], xLog) &&
        fits(point.values[y.key], yLog),
    );
    return { x, y, xLog, yLog, points: byId('front').checked ? frontOf(points, x, y) : points };
  }

  function draw() {
    view = shownPoints();
    const { x, y, xLog, yLog, points } = view;
    chart?.destroy();
    byId('chart').textContent = '';
    const style = getComputedStyle(document.body);
    const ink = style.getPropertyValue('--ink').trim();
    const line = style.getPropertyValue('--line').trim();
    const loose = new Set(report.loose ?? []);
    const across = (a, b) => a.values[x.key] - b.values[x.key];
    const groups = seriesNames.map((name) => {
      const group = points.filter(({ series }) => series === name);
      // The points of a joined series have an order of their own: that of the beam, say.
      return report.sorted === true ? group.sort(across) : group;
    });
    const data = [
      null,
      ...groups.map((group) => [
        group.map(({ values }) => values[x.key]),
        group.map(({ values }) => values[y.key]),
      ]),
    ];
    const padded = (log) => (u, low, high) => {
      if (low === null || high === null) return log ? [1, 10] : [0, 1];
      if (log) return [low / 1.3, high * 1.3];
      const space = high > low ? 0.06 * (high - low) : Math.abs(high) * 0.05 || 1;
      return [low - space, high + space];
    };
    // 1, 2 and 5 times powers of ten, or the powers alone where there are many.
    const logSplits = (u, at, low, high) => {
      const decades = Math.log10(high / low);
      const factors = decades > 6 ? [1] : [1, 2, 5];
      const splits = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
        for (const factor of factors) splits.push(factor * 10 ** power);
      }
      const within = splits.filter((value) => value >= low && value <= high);
      return within.length > 1 ? within : [low, high];
    };
    const axisOf = (axis, side, log) => ({
      ...(log && { splits: logSplits }),
      label: axis.label + (axis.better === 'higher' ? ' (higher is better)' : ' (lower is better)'),
      stroke: ink,
      grid: { stroke: line, width: 1 },
      ticks: { stroke: line, width: 1 },
      side,
      size: side === 3 ? 80 : 50,
      values: (u, splits) => splits.map((value) => (value === null ? '' : number(value, {}))),
    });
    placed = [];
    chart = new uPlot(
      {
        mode: 2,
        width: byId('chart').clientWidth,
        height: Math.max(420, Math.min(640, window.innerHeight * 0.6)),
        legend: { show: false },
        cursor: { points: { show: false }, drag: { x: true, y: true, uni: 12 } },
        scales: {
          x: { time: false, distr: xLog ? 3 : 1, range: padded(xLog) },
          y: { distr: yLog ? 3 : 1, range: padded(yLog) },
        },
        axes: [axisOf(x, 2, xLog), axisOf(y, 3, yLog)],
        series: [
          null,
          ...groups.map((group, at) => ({
            label: seriesNames[at],
            stroke: colours[at],
            paths: (u) => paint(u, group, colours[at], !loose.has(seriesNames[at])),
          })),
        ],
        hooks: { setCursor: [showTip], drawClear: [() => (placed = [])] },
      },
      data,
      byId('chart'),
    );
  }

  /** Dots joined by a line, with bars where a range is known. */
  function paint(u, group, colour, isJoined) {
    const { ctx } = u;
    const { x, y } = view;
    const at = (value, scale) => u.valToPos(value, scale, true);
    ctx.save();
    ctx.beginPath();
    ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    ctx.clip();
    ctx.strokeStyle = colour;
    ctx.fillStyle = colour;
    ctx.lineWidth = 1.5 * uPlot.pxRatio;
    ctx.beginPath();
    group.forEach((point, index) => {
      const place = [at(point.values[x.key], 'x'), at(point.values[y.key], 'y')];
      if (index === 0) ctx.moveTo(...place);
      else ctx.lineTo(...place);
    });
    ctx.globalAlpha = 0.6;
    if (isJoined) ctx.stroke();
    for (const point of group) {
      const [px, py] = [at(point.values[x.key], 'x'), at(point.values[y.key], 'y')];
      const ends = point.ranges?.[y.key];
      ctx.globalAlpha = 0.45;
      if (ends !== undefined && ends.every((value) => Number.isFinite(value) && value > 0)) {
        ctx.beginPath();
        ctx.moveTo(px, at(ends[0], 'y'));
        ctx.lineTo(px, at(ends[1], 'y'));
        ctx.stroke();
      }
      ctx.globalAlpha = 1;
      ctx.beginPath();
      ctx.arc(px, py, (point.isChosen ? 8 : 4) * uPlot.pxRatio, 0, 2 * Math.PI);
      if (point.isChosen) ctx.stroke();
      ctx.fill();
      placed.push({ point, px: px / uPlot.pxRatio, py: py / uPlot.pxRatio });
    }
    ctx.restore();
    return null;
  }

  function showTip(u) {
    const tip = byId('tip');
    const { left, top } = u.cursor;
    const [ox, oy] = [u.bbox.left / uPlot.pxRatio, u.bbox.top / uPlot.pxRatio];
    let nearest;
    let least = 24;
    for (const one of placed) {
      const distance = Math.hypot(one.px - ox - left, one.py - oy - top);
      if (distance < least) [nearest, least] = [one, distance];
    }
    tip.hidden = nearest === undefined;
    if (nearest === undefined) return;
    const { point } = nearest;
    const lines = report.axes
      .filter(({ key }) => point.values[key] !== undefined)
      .map((axis) => `${axis.label}: ${number(point.values[axis.key], axis)}${range(point, axis)}`);
    const texts = Object.entries(point.texts ?? {}).map(([name, text]) => `${name}: ${text}`);
    tip.textContent = [point.label, ...lines, ...texts].join('\n');
    const box = byId('chart').getBoundingClientRect();
    const width = tip.offsetWidth;
    tip.style.left = `${Math.min(window.innerWidth - width - 12, box.left + nearest.px + 16)}px`;
    tip.style.top = `${Math.max(8, box.top + nearest.py - 20)}px`;
  }

  function legend() {
    const list = byId('legend');
    list.textContent = '';
    seriesNames.forEach((name, at) => {
      const button = element('button', undefined, {
        type: 'button',
        'aria-pressed': String(!hidden.has(name)),
      });
      const dot = element('i');
      dot.style.background = colours[at];
      button.append(dot, name);
      button.addEventListener('click', () => {
        if (!hidden.delete(name)) hidden.add(name);
        legend();
        draw();
      });
      list.append(button);
    });
  }

  // The table.

  const textColumns = [...new Set(report.points.flatMap(({ texts }) => Object.keys(texts ?? {})))];
  const columns = [
    { name: 'what', text: true, value: (point) => point.label },
    ...report.axes.map((axis) => ({ name: axis.label, axis, value: (p) => p.values[axis.key] })),
    ...textColumns.map((name) => ({ name, text: true, value: (p) => p.texts?.[name] ?? '' })),
  ];
  let order = { column: -1, down: false };

  function fill() {
    const wanted = byId('filter').value.toLowerCase();
    const textOf = (point) => columns.map(({ value }) => String(value(point))).join(' ');
    const rows = report.points.filter((point) => textOf(point).toLowerCase().includes(wanted));
    if (order.column >= 0) {
      const { value } = columns[order.column];
      const sign = order.down ? -1 : 1;
      rows.sort((a, b) => {
        const [one, other] = [value(a), value(b)];
        if (one === other) return 0;
        if (one === undefined || other === undefined) return one === undefined ? 1 : -1;
        return sign * (one < other ? -1 : 1);
      });
    }
    const table = byId('table');
    table.textContent = '';
    const head = element('tr');
    columns.forEach(({ name, text }, at) => {
      const cell = element('th', undefined, text ? { class: 'text' } : {});
      const mark = order.column === at ? (order.down ? ' ▾' : ' ▴') : '';
      const button = element('button', name + mark, { type: 'button' });
      button.addEventListener('click', () => {
        order = { column: at, down: order.column === at && !order.down };
        fill();
      });
      cell.append(button);
      head.append(cell);
    });
    const top = element('thead');
    top.append(head);
    const body = element('tbody');
    for (const point of rows) {
      const row = element('tr', undefined, point.isChosen ? { class: 'chosen' } : {});
      for (const { text, axis, value } of columns) {
        const content = value(point);
        const cell = element('td', undefined, text ? { class: 'text' } : {});
        if (text) cell.textContent = content;
        else if (content !== undefined) {
          cell.append(number(content, axis), element('small', range(point, axis)));
        }
        row.append(cell);
      }
      body.append(row);
    }
    table.append(top, body);
    byId('count').textContent = `${rows.length} of ${report.points.length}`;
  }

  // The rest of the page.

  byId('title').textContent = report.title;
  for (const text of report.summary) byId('summary').append(element('p', text));
  const { machine } = report;
  const facts = {
    ...report.facts,
    machine: `${machine.processor}, ${machine.threads} threads, ${machine.memoryGiB} GiB, ${machine.isa}`,
    software: `lichen ${machine.version}, Node.js ${machine.node}, ${machine.platform}`,
    made: report.made,
  };
  for (const [name, value] of Object.entries(facts)) {
    byId('facts').append(element('dt', name), element('dd', String(value)));
  }
  for (const note of report.notes) byId('notes').append(element('li', note));
  for (const { title, rows } of report.tables ?? []) {
    const section = element('section');
    const table = element('table');
    rows.forEach((cells, at) => {
      const row = element('tr');
      for (const cell of cells) {
        row.append(element(at === 0 ? 'th' : 'td', cell, { class: 'text' }));
      }
      table.append(row);
    });
    const scroll = element('div', undefined, { class: 'scroll' });
    scroll.append(table);
    section.append(element('h2', title), scroll);
    byId('tables').append(section);
  }
  for (const which of ['x', 'y']) {
    const select = byId(which);
    for (const { key, label } of report.axes)
      select.append(element('option', label, { value: key }));
    select.value = report[which];
    byId(`${which}-log`).checked = axes.get(report[which]).log === true;
    select.addEventListener('change', () => {
      byId(`${which}-log`).checked = axes.get(select.value).log === true;
      draw();
    });
    byId(`${which}-log`).addEventListener('change', draw);
  }
  byId('front').addEventListener('change', draw);
  byId('filter').addEventListener('input', fill);
  for (const form of [byId('controls'), byId('filters')]) {
    form.addEventListener('submit', (event) => event.preventDefault());
  }
  window.addEventListener('resize', draw);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  legend();
  fill();
  draw();
})();
