import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readAnnBenchmarks } from '../../src/evaluation/ann-benchmarks.js';
import { reportHtml, type Report } from '../../src/evaluation/report.js';
import { readIntMatrix, readMatrix } from '../../src/vectors/files.js';
import { withHdf5, writeHdf5, type Hdf5Content } from '../../src/vectors/hdf5.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const at = temporaryFolder();
const code = (name: string) => expect.objectContaining({ code: `ERR_LICHEN_${name}` }) as Error;
const data = Float32Array.of(1, 2, 3, 4);
const both = [
  { name: 'train', data, shape: [2, 2] },
  { name: 'test', data, shape: [2, 2] },
];

describe('readAnnBenchmarks', () => {
  it.each([
    ['constructor', 'constructor'],
    ['toString', 'toString'],
    ['__proto__', '__proto__'],
    ['a whole number', 3],
    ['a number', 0.5],
    ['true', true],
  ])('knows no distance %s', async (name, distance) => {
    const path = at(`distance-${name}.hdf5`);
    await writeHdf5(path, { attributes: { distance }, datasets: both });
    await expect(readAnnBenchmarks(path)).rejects.toThrow(code('UNSUPPORTED'));
  });

  it('refuses values that are no numbers, and sets that are not there', async () => {
    const bad = Float32Array.of(1, NaN, 3, 4);
    const attributes = { distance: 'euclidean' };
    const odd = at('odd.hdf5');
    await writeHdf5(odd, { attributes, datasets: [both[0]!, { ...both[1]!, data: bad }] });
    await expect(readAnnBenchmarks(odd)).rejects.toThrow(code('NOT_FINITE'));
    await writeHdf5(odd, { attributes, datasets: [both[0]!] });
    await expect(readAnnBenchmarks(odd)).rejects.toThrow(code('ARGUMENT'));
    const neighbors = { name: 'neighbors', data: Float32Array.of(1, 2), shape: [2, 1] };
    await writeHdf5(odd, { attributes, datasets: [...both, neighbors] });
    await expect(readAnnBenchmarks(odd)).rejects.toThrow(code('UNSUPPORTED'));
  });
});

describe('files of HDF5', () => {
  it('can be written by two at the same time: one of them stands there, whole', async () => {
    const path = at('both.hdf5');
    const content = (value: number): Hdf5Content => ({
      attributes: {},
      datasets: [{ name: 'train', data: data.map(() => value), shape: [2, 2] }],
    });
    await Promise.all(Array.from({ length: 8 }, (_, n) => writeHdf5(path, content(n))));
    const read = await readMatrix(path);
    expect(new Set(read.data).size).toBe(1);
    expect(readdirSync(dirname(path)).filter((name) => name.includes('.part'))).toEqual([]);
  });

  it.each([
    ['text', { attributes: { text: '' }, datasets: [] }],
    ['shape', { attributes: {}, datasets: [{ name: 'train', data, shape: [3, 2] }] }],
    ['name', { attributes: {}, datasets: [{ name: '', data, shape: [2, 2] }] }],
    ['twice', { attributes: {}, datasets: [both[0]!, both[0]!] }],
  ])(
    'with an odd %s are written or refused with a code, and leave nothing behind',
    async (name, content) => {
      const path = at(`content-${name}.hdf5`);
      const outcome = await writeHdf5(path, content).then(
        () => 'written',
        (error: Error & { code?: string }) => error.code ?? error.message,
      );
      expect(outcome).toMatch(/^(written|ERR_LICHEN_\w+)$/);
      expect(readdirSync(dirname(path)).filter((one) => one.includes('.part'))).toEqual([]);
    },
  );

  it.each([
    ['one dimension', [4], 'FORMAT'],
    ['three dimensions', [2, 2, 1], 'FORMAT'],
    ['no rows', [0, 4], 'EMPTY'],
  ])('of %s are no matrices', async (name, shape, expected) => {
    const path = at(`shape-${name}.hdf5`);
    const some = shape.includes(0) ? new Float32Array(0) : data;
    await writeHdf5(path, { attributes: {}, datasets: [{ name: 'train', data: some, shape }] });
    await expect(readMatrix(path)).rejects.toThrow(code(expected));
  });

  it('are refused where a folder stands, and where numbers are wanted that are not there', async () => {
    await expect(readMatrix(`${dirname(at('x'))}/none.hdf5`)).rejects.toThrow(code('NOT_FOUND'));
    const path = at('floats.hdf5');
    await writeHdf5(path, { attributes: {}, datasets: both });
    await expect(readIntMatrix(path, { column: 'train' })).rejects.toThrow(code('UNSUPPORTED'));
    for (const name of ['constructor', '__proto__', '/', '..']) {
      const reading = withHdf5(path, (file) => file.vectors(name));
      await expect(reading, JSON.stringify(name)).rejects.toThrow(code('ARGUMENT'));
    }
    const none = await withHdf5(path, (file) =>
      ['constructor', '__proto__', ''].map((name) => file.attribute(name)),
    );
    expect(none).toEqual([undefined, undefined, undefined]);
  });
});

it.each(['', 'train/x', 'x/y'])(
  'a data set %j is not there, for which the file is not to blame',
  async (name) => {
    const path = at('name.hdf5');
    await writeHdf5(path, { attributes: {}, datasets: both });
    await expect(readMatrix(path, { column: name })).rejects.toThrow(code('ARGUMENT'));
  },
);

describe.skipIf(!existsSync('/proc/self/fd'))('handles of files', () => {
  const opened = () => readdirSync('/proc/self/fd').length;
  const failures: Record<string, (path: string) => Promise<unknown>> = {
    'a truncated file': (path) => {
      writeFileSync(`${path}.h5`, readFileSync(path).subarray(0, 600));
      return readMatrix(`${path}.h5`);
    },
    'a data set that is not there': (path) => readMatrix(path, { column: 'none' }),
    'a path into a data set': (path) => readMatrix(path, { column: 'train/x' }),
    'a data set written twice': (path) =>
      writeHdf5(`${path}.h5`, { attributes: {}, datasets: [both[0]!, both[0]!] }),
  };

  it.each(Object.keys(failures))('are closed after %s', async (name) => {
    const path = at('handles.hdf5');
    await writeHdf5(path, { attributes: {}, datasets: both });
    const fail = () => expect(failures[name]!(path)).rejects.toThrow();
    await fail();
    const before = opened();
    for (let run = 0; run < 10; run++) await fail();
    // What the test runner itself opens meanwhile is few.
    expect(opened() - before).toBeLessThan(5);
  });
});

describe('reportHtml', () => {
  const report: Report = {
    ...{ title: '{{data}} $& $1 & <', summary: [], notes: [], x: 'x', y: 'y' },
    facts: JSON.parse('{"__proto__":"mine","constructor":1}') as Record<string, string>,
    axes: [
      { key: 'x', label: 'x', better: 'higher' },
      { key: 'y', label: '{{script}}', better: 'lower', log: true },
    ],
    points: Array.from({ length: 3000 }, (_, n) => ({
      ...{ series: '$&', label: `\u2028</SCRIPT><!--${n}` },
      values: { x: [NaN, Infinity, -Infinity, n][n % 4]!, y: -n },
    })),
  };

  it('carries any texts and values as they are', async () => {
    const page = await reportHtml(report);
    expect(page).toContain('<title>{{data}} $&amp; $1 &amp; &lt;</title>');
    const text = /<script[^>]*id="data"[^>]*>([^]*?)<\/script>/.exec(page)![1]!;
    const read = JSON.parse(text.replace(/^\s*"?|"?\s*$/g, '')) as Report;
    expect(Object.entries(read.facts)).toEqual([
      ['__proto__', 'mine'],
      ['constructor', 1],
    ]);
    expect(read.points.length).toBe(3000);
    expect(read.points[7]!.label).toBe(report.points[7]!.label);
    expect(page).not.toMatch(/<\/SCRIPT><!--/);
  });

  it('is a page without any points, too', async () => {
    expect(await reportHtml({ ...report, points: [] })).toMatch(/<\/html>\s*$/);
  });
});
