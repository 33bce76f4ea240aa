import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { numericColumns } from '../../src/cli/terminal.js';
import { describeMachine } from '../../src/evaluation/machine.js';
import { escaped } from '../../src/evaluation/report.js';
import type { ResultTable } from './report.js';
import { stateOf, type Outcome } from './run-all.js';
import { tablesOf } from './run-suite.js';

const STYLE = join(__dirname, '..', '..', 'src', 'evaluation', 'report', 'page.css');
const MORE_STYLE = `
a { color: var(--accent); }
nav ul { columns: 3 16rem; padding: 0; list-style: none; }
h3 { font-size: 0.95rem; margin: 1.2rem 0 0.3rem; }
pre { margin: 0.6rem 0; white-space: pre-wrap; font-size: 0.82rem; color: var(--quiet); }
.failure { color: #b3261e; }
svg { max-width: 100%; height: auto; margin-top: 1rem; }
.scroll { max-height: none; }
section { border-top: 1px solid var(--line); margin-top: 2rem; }
`;

/** A page with the tables and pictures of suites; all of it is in the one document, which fetches and runs nothing. */
export function benchPage(outcomes: readonly Outcome[], isQuick = false): string {
  const { processor, threads, memoryGiB, isa, node, platform, version } = describeMachine();
  const machine = `${processor}, ${threads} threads, ${memoryGiB} GiB, ${isa}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="content-security-policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>lichen, measured</title>
<style>${readFileSync(STYLE, 'utf8')}${MORE_STYLE}</style>
</head>
<body>
<header>
<h1>lichen, measured</h1>
<dl>${facts({ machine, software: `lichen ${version}, Node.js ${node}, ${platform}`, made: new Date().toISOString() })}</dl>
${isQuick ? '<p>A quick run: sizes are small, and the figures say little.</p>' : ''}
</header>
<nav aria-label="Suites"><ul>${outcomes.map(link).join('')}</ul></nav>
<main>${outcomes.map(section).join('\n')}</main>
</body>
</html>
`;
}

function facts(all: Record<string, string>): string {
  return Object.entries(all)
    .map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${escaped(value)}</dd>`)
    .join('');
}

function link(outcome: Outcome): string {
  const { name } = outcome.suite;
  return `<li><a href="#${name}">${name}</a> <small>${escaped(stateOf(outcome))}</small></li>`;
}

function section({ suite, report, failure }: Outcome): string {
  const tables = report === undefined ? [] : tablesOf(suite, report.results);
  // How far it has come is for those who wait.
  const said = (report?.said ?? []).filter((line) => !/: (done|building the graph)$/.test(line));
  return `<section id="${suite.name}">
<h2>${suite.name}</h2>
<p>${escaped(suite.description)}</p>
${report === undefined ? '' : `<p><code>npm run bench -- ${escaped(commandOf(suite.name, report.options))}</code></p>`}
${failure === undefined ? '' : `<pre class="failure">${escaped(failure)}</pre>`}
${said.length > 0 ? `<pre>${escaped(said.join('\n'))}</pre>` : ''}
${(report?.pictures ?? []).join('\n')}
${tables.map(tableHtml).join('\n')}
</section>`;
}

function commandOf(name: string, options: Readonly<Record<string, string>>): string {
  return [name, ...Object.entries(options).map((pair) => `--${pair.join(' ')}`)].join(' ');
}

function tableHtml({ title, rows }: ResultTable): string {
  const isNumeric = numericColumns(rows);
  const line = (cells: readonly string[], tag: 'th' | 'td'): string =>
    cells
      .map((cell, at) => {
        const kind = isNumeric[at] ? '' : ' class="text"';
        return `<${tag}${kind}>${escaped(cell)}</${tag}>`;
      })
      .join('');
  const [head = [], ...body] = rows;
  return `${title === undefined ? '' : `<h3>${escaped(title)}</h3>`}
<div class="scroll"><table><thead><tr>${line(head, 'th')}</tr></thead>
<tbody>${body.map((cells) => `<tr>${line(cells, 'td')}</tr>`).join('\n')}</tbody></table></div>`;
}
